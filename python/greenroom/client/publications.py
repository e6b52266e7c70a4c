"""Local publications: announcing a track, negotiating it, muting it, ending it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any

from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.signalling.client_description import PUBLISH_PAYLOADS, AcceptedTrack, OfferedTrack
from greenroom.signalling.encodings import RIDS, Encoding, choose_encodings
from greenroom.signalling.media_parameters import SendLayer
from greenroom.signalling.sdp import MediaKind

from .errors import PublishTrackError, UnpublishTrackError
from .options import PublishOptions
from .publisher import Publisher, StartSender
from .state import UNKNOWN_TRACK_SID, PublicationState, TrackState
from .waiting import gather, wait_future

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("livekit")

PUBLISH_TIMEOUT_S = 10.0
_DEFAULT_AUDIO_BITRATE_BPS = 48_000
_SCREEN_SHARE = models.TrackSource.SCREEN_SHARE
_QUALITIES = (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)


class Publications:
    """`size` of a video track is (width, height) of its source."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._announced: dict[str, asyncio.Future[models.TrackInfo]] = {}
        """add_track messages without a reply, by cid."""
        self._requests: dict[str, proto.AddTrackRequest] = {}
        self._early_subscribed: set[str] = set()
        """`track_subscribed` that came before the publication was ours to tell."""

    async def publish(
        self, track: TrackState, options: PublishOptions, size: tuple[int, int] = (0, 0)
    ) -> PublicationState:
        """Publish `track`: announced, negotiated and sending when this returns. PublishTrackError says
        why not."""
        if track.publication is not None:
            raise PublishTrackError(
                f"track {track.name!r} is published already as {track.publication.sid}; unpublish it first",
                "published",
            )
        engine_source = getattr(track.source, "_engine_source", None)
        if engine_source is None:
            raise PublishTrackError(f"track {track.name!r} has no source to send from", "no_source")
        is_video = track.kind == models.TrackType.VIDEO
        payload = PUBLISH_PAYLOADS.get(options.video_codec if is_video else "opus")
        if payload is None or (is_video and payload.codec == "opus"):
            raise PublishTrackError(
                f"video codec {options.video_codec!r} can't be sent; use VP8 or H264", "unsupported_codec"
            )
        await self._settled()
        if track.publication is not None:
            raise PublishTrackError(f"track {track.name!r} is published already", "published")
        publication = PublicationState(
            models.TrackInfo(), self._session.state.local, options=options, size=size
        )
        track.publication = publication
        publisher = self._session.publisher
        try:
            publication.info = await self._negotiate(publication, track)
        except BaseException:
            self._abandon(publication, track, publisher)
            raise
        self._published(publication, track)
        return publication

    async def _settled(self) -> None:
        try:
            await self._session.reconnector.settled()
        except ConnectionError as error:
            raise PublishTrackError(
                "the session ended before the track was published", "session_ended"
            ) from error

    async def _negotiate(self, publication: PublicationState, track: TrackState) -> models.TrackInfo:
        """Announce the track and send it; the server's description of it."""
        options, size = publication.options, publication.size
        is_video = track.kind == models.TrackType.VIDEO
        payload = PUBLISH_PAYLOADS[options.video_codec if is_video else "opus"]
        encodings = _encodings(options, size) if is_video else []
        publication.cid = cid = f"TR_{secrets.token_hex(12)}"
        request = add_track_request(track, cid, options, encodings, payload.codec, size)
        request.encryption = self._session.encryption.announced_type  # type: ignore[assignment]
        info = await self._announce(cid, request)
        cryptor = self._session.encryption.for_sending(info.sid, publication.sid)
        offered = OfferedTrack(
            mid=self._session.publisher.next_mid(payload),
            kind=MediaKind.VIDEO if is_video else MediaKind.AUDIO,
            cid=cid,
            stream_id=self._session.state.local.sid,
            payload=payload,
            layers=_layers(encodings, payload.rtx_payload_type is not None),
        )
        publication.mid = offered.mid
        source = track.source._engine_source
        make = _video_sender if is_video else _audio_sender
        start = make(source, options, cryptor)
        await self._session.publisher.add_track(offered, start)
        return info

    def unpublish(self, track_sid: str) -> None:
        """Stop sending and end the section. UnpublishTrackError when no track of ours has this SID."""
        publication = self._session.state.local.publications.get(track_sid)
        if publication is None:
            known = ", ".join(self._session.state.local.publications) or "none"
            raise UnpublishTrackError(f"no local track {track_sid!r} to unpublish; published are: {known}")
        self._end(publication)

    def set_muted(self, track: TrackState, muted: bool) -> None:
        """Mute or unmute; told to the server when the track is published."""
        if track.muted == muted:
            return
        track.muted = muted
        publication = track.publication
        if publication is None or publication.facade is None:
            return
        publication.info.muted = muted
        if publication.mid:  # else it is published again in a moment, muted or not
            self._session.publisher.link.peer.set_sender_muted(publication.mid, muted)
            self._session.send("mute", proto.MuteTrackRequest(sid=publication.sid, muted=muted))
        event = "track_muted" if muted else "track_unmuted"
        self._session.emit(event, publication.participant.facade, publication.facade)

    # ---- what the server says ----

    def announced(self, message: proto.TrackPublishedResponse) -> None:
        future = self._announced.get(message.cid)
        if future is not None and not future.done():
            future.set_result(message.track)

    def refused(self, cid: str, reason: str, text: str) -> None:
        """The server echoed our add_track with a reason. QUEUED only means later."""
        future = self._announced.get(cid)
        if future is None or future.done() or reason == "QUEUED":
            return
        advice = "; grant canPublish and this source in the token" if reason == "NOT_ALLOWED" else ""
        detail = f": {text}" if text else ""
        future.set_exception(
            PublishTrackError(f"the server refused the track ({reason}){detail}{advice}", reason)
        )

    def muted_by_server(self, message: proto.MuteTrackRequest) -> None:
        publication = self._session.state.local.publications.get(message.sid)
        if publication is not None and publication.track is not None:
            self.set_muted(publication.track, message.muted)

    def ended_by_server(self, message: proto.TrackUnpublishedResponse) -> None:
        publication = self._session.state.local.publications.get(message.track_sid)
        if publication is not None:
            self._end(publication)

    def subscribed(self, message: proto.TrackSubscribed) -> None:
        """The first subscriber of a track has come; it may be told before our publish call is through."""
        publication = self._session.state.local.publications.get(message.track_sid)
        if publication is None:
            if len(self._early_subscribed) < 1024:
                self._early_subscribed.add(message.track_sid)
            return
        self._first_subscriber(publication)

    def quality_wanted(self, message: proto.SubscribedQualityUpdate) -> None:
        """Dynacast: stop layers nobody watches, start those somebody does."""
        publication = self._session.state.local.publications.get(message.track_sid)
        if publication is None or not publication.mid or not self._session.options.dynacast:
            return
        qualities = message.subscribed_qualities
        if message.subscribed_codecs:
            qualities = message.subscribed_codecs[0].qualities
        wanted = {q.quality: q.enabled for q in qualities}
        count = len(publication.info.layers)
        if count < 2:
            peer = self._session.publisher.link.peer
            peer.set_layer_active(publication.mid, "", any(wanted.values()))
            return
        for rid, quality in zip(RIDS[:count], _QUALITIES, strict=False):
            if quality in wanted:
                self._session.publisher.link.peer.set_layer_active(publication.mid, rid, wanted[quality])

    # ---- reconnecting ----

    def ask_again(self) -> None:
        """After a resume: announcements whose reply has not come may have been lost with the connection."""
        for request in self._requests.values():
            self._session.send("add_track", request)

    def lose_senders(self) -> None:
        """The publisher connection is gone: nothing is sent until `republish`."""
        self._fail_announced("the session was restarted before the track was published", "restarted")
        self._early_subscribed.clear()
        for publication in self._session.state.local.publications.values():
            publication.mid = ""

    async def republish(self) -> dict[str, str]:
        """Publish every local track again, together. A track that can't be is logged and ends.
        Returns the new SIDs by the old ones."""
        local = list(self._session.state.local.publications.values())
        renamed = await gather([self._republish(publication) for publication in local])
        return dict(pair for pair in renamed if pair is not None)

    async def _republish(self, publication: PublicationState) -> tuple[str, str] | None:
        session, track = self._session, publication.track
        previous_sid = publication.sid
        if track is None:
            return None
        try:
            info = await self._negotiate(publication, track)
        except PublishTrackError as error:
            if error.reason in ("session_ended", "restarted"):
                raise ConnectionError(error.message) from error
            _logger.warning("track %r could not be published again: %s", track.name, error)
            self._end(publication)
            return None
        if publication.track is None:  # unpublished meanwhile
            session.publisher.remove_track(publication.cid)
            return None
        session.state.local.publications.pop(previous_sid, None)
        publication.info = info
        track.sid = publication.sid
        session.state.local.publications[publication.sid] = publication
        self._send_muted(publication, track)
        session.state.local.tracks_changed()
        session.emit("local_track_republished", publication.facade, previous_sid)
        self._tell_early_subscriber(publication)
        return previous_sid, publication.sid

    # ---- the end ----

    def close(self) -> None:
        """The session is over: nobody may wait on it."""
        self._fail_announced("the session ended before the track was published", "session_ended")
        for publication in self._session.state.local.publications.values():
            first = publication.first_subscriber
            if first is not None and not first.done():
                first.set_exception(ConnectionError("the session ended before anyone subscribed"))
                first.exception()
            if publication.track is not None:
                publication.track.publication = None

    # ---- inside ----

    def _fail_announced(self, message: str, reason: str) -> None:
        for future in self._announced.values():
            if not future.done():
                future.set_exception(PublishTrackError(message, reason))
                future.exception()

    async def _announce(self, cid: str, request: proto.AddTrackRequest) -> models.TrackInfo:
        future: asyncio.Future[models.TrackInfo] = asyncio.get_running_loop().create_future()
        self._announced[cid] = future
        self._requests[cid] = request
        self._session.send("add_track", request, urgent=True)
        try:
            return await wait_future(future, PUBLISH_TIMEOUT_S)
        except asyncio.TimeoutError as error:
            raise PublishTrackError(
                f"the server did not acknowledge the track within {PUBLISH_TIMEOUT_S:g} s", "timeout"
            ) from error
        finally:
            self._announced.pop(cid, None)
            self._requests.pop(cid, None)

    def _published(self, publication: PublicationState, track: TrackState) -> None:
        session = self._session
        track.sid = publication.sid
        publication.track = track
        publication.first_subscriber = asyncio.get_running_loop().create_future()
        publication.facade = session.facade.make_publication(publication)
        session.state.local.publications[publication.sid] = publication
        self._send_muted(publication, track)
        session.state.local.tracks_changed()
        session.emit("local_track_published", publication.facade, track.facade)
        self._tell_early_subscriber(publication)

    def _send_muted(self, publication: PublicationState, track: TrackState) -> None:
        """The track may have been muted or unmuted since it was announced."""
        if track.muted:
            self._session.publisher.link.peer.set_sender_muted(publication.mid, True)
        if publication.info.muted != track.muted:
            publication.info.muted = track.muted
            message = proto.MuteTrackRequest(sid=publication.sid, muted=track.muted)
            self._session.send("mute", message, urgent=True)

    def _tell_early_subscriber(self, publication: PublicationState) -> None:
        if publication.sid in self._early_subscribed:
            self._early_subscribed.discard(publication.sid)
            self._first_subscriber(publication)

    def _first_subscriber(self, publication: PublicationState) -> None:
        first = publication.first_subscriber
        if first is None or first.done() or publication.track is None:
            return
        first.set_result(None)
        self._session.emit("local_track_subscribed", publication.track.facade)

    def _abandon(self, publication: PublicationState, track: TrackState, publisher: Publisher) -> None:
        track.publication = None
        self._forget_cryptor(publication)
        # After a restart the same section belongs to another track.
        if publication.mid and publisher.link.alive:
            publisher.remove_track(publication.cid)

    def _forget_cryptor(self, publication: PublicationState) -> None:
        self._session.encryption.forget(self._session.state.local.identity, publication.sid)

    def _end(self, publication: PublicationState) -> None:
        session, track = self._session, publication.track
        session.state.local.publications.pop(publication.sid, None)
        self._forget_cryptor(publication)
        if publication.mid and session.publisher.link.alive:
            session.publisher.remove_track(publication.cid)
        publication.track = None
        if track is not None:
            track.publication = None
            track.sid = UNKNOWN_TRACK_SID
        first = publication.first_subscriber
        if first is not None and not first.done():
            first.set_exception(ConnectionError("the track was unpublished before anyone subscribed"))
            first.exception()
        session.state.local.tracks_changed()
        session.emit("local_track_unpublished", publication.facade)


def add_track_request(
    track: TrackState,
    cid: str,
    options: PublishOptions,
    encodings: list[Encoding],
    codec: str,
    size: tuple[int, int],
) -> proto.AddTrackRequest:
    """The announcement of a track; `cid` is also the track id in the offer's msid."""
    request = proto.AddTrackRequest(
        cid=cid,
        name=track.name,
        type=models.TrackType.Name(track.kind),
        source=models.TrackSource.Name(options.source),
        muted=track.muted,
        stream=options.stream,
    )
    if track.kind == models.TrackType.AUDIO:
        request.disable_dtx = not options.dtx
        # RED is not sent: the payload stays plain Opus.
        request.disable_red = True
        request.stereo = options.stereo
        if not options.dtx:
            request.audio_features.append(models.AudioTrackFeature.TF_NO_DTX)
        if options.stereo:
            request.audio_features.append(models.AudioTrackFeature.TF_STEREO)
        return request
    request.width, request.height = size
    qualities = _QUALITIES[: len(encodings)] if len(encodings) > 1 else (models.VideoQuality.HIGH,)
    for index, (encoding, quality) in enumerate(zip(encodings, qualities, strict=True)):
        # Numbered here, because livekit-server numbers only the layers of a section that is offered for the first time.
        request.layers.add(
            quality=quality,
            spatial_layer=index,
            width=encoding.width,
            height=encoding.height,
            bitrate=encoding.bitrate_bps,
            rid=encoding.rid or "",
        )
    simulcast = request.simulcast_codecs.add(codec=codec, cid=cid)
    simulcast.layers.extend(request.layers)
    return request


def _encodings(options: PublishOptions, size: tuple[int, int]) -> list[Encoding]:
    width, height = size
    return choose_encodings(
        max(1, width),
        max(1, height),
        screen_share=options.source == _SCREEN_SHARE,
        simulcast=options.simulcast,
        bitrate_bps=options.max_bitrate_bps,
        framerate=options.max_framerate,
    )


def _layers(encodings: list[Encoding], with_rtx: bool) -> tuple[SendLayer, ...]:
    def ssrc() -> int:
        return secrets.randbelow(0xFFFF_FFFE) + 1

    if not encodings:
        return (SendLayer(None, ssrc(), None, 1.0, 0, 0.0),)
    return tuple(
        SendLayer(
            rid=encoding.rid,
            ssrc=ssrc(),
            rtx_ssrc=ssrc() if with_rtx else None,
            scale_down_by=encoding.scale_down_by,
            max_bitrate_bps=encoding.bitrate_bps,
            max_framerate=encoding.framerate,
        )
        for encoding in encodings
    )


def _audio_sender(source: Any, options: PublishOptions, cryptor: _engine.FrameCryptor | None) -> StartSender:
    def start(peer: _engine.Peer, track: OfferedTrack, accepted: AcceptedTrack) -> None:
        bitrate_bps = options.max_bitrate_bps or _DEFAULT_AUDIO_BITRATE_BPS
        peer.add_audio_sender(
            track.mid,
            source,
            ssrc=track.layers[0].ssrc,
            payload_type=accepted.payload_type,
            bitrate_bps=min(bitrate_bps, accepted.max_bitrate_bps or bitrate_bps),
            # As announced: receivers were told by the track's features, whatever the server's own part of the answer says.
            stereo=options.stereo,
            dtx=accepted.dtx and options.dtx,
            cryptor=cryptor,
        )

    return start


def _video_sender(source: Any, options: PublishOptions, cryptor: _engine.FrameCryptor | None) -> StartSender:
    def start(peer: _engine.Peer, track: OfferedTrack, accepted: AcceptedTrack) -> None:
        peer.add_video_sender(
            track.mid,
            source,
            codec=track.payload.codec,
            payload_type=accepted.payload_type,
            layers=track.layers,
            is_screencast=options.source == _SCREEN_SHARE,
            cryptor=cryptor,
        )

    return start
