"""Tracks that participants publish: from the wish (AddTrackRequest) to the announced publication."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom.signalling.media_parameters import PayloadType
from greenroom.signalling.sdp import MediaKind
from greenroom.signalling.server_description import PublishedSection, codec_of_mime_type, mime_type

from . import ids
from .dynacast import NOBODY, Dynacast

if TYPE_CHECKING:
    from greenroom import _engine

    from .participant import Participant

TRACK_KINDS = {MediaKind.AUDIO: models.TrackType.AUDIO, MediaKind.VIDEO: models.TrackType.VIDEO}

_SVC_CODECS = frozenset({"vp9", "av1"})
_STREAM_NAMES = {
    models.TrackSource.CAMERA: "camera",
    models.TrackSource.MICROPHONE: "camera",
    models.TrackSource.SCREEN_SHARE: "screen",
    models.TrackSource.SCREEN_SHARE_AUDIO: "screen",
}
_BEST_LAYER = 2
_LayerMode = models.VideoLayer.Mode


class Publication:
    """One track of one participant.

    It is announced to others when its media path is negotiated and connected.
    """

    def __init__(self, publisher: Participant, request: messages.AddTrackRequest) -> None:
        self.publisher = publisher
        self.cid = request.cid
        self.request = request
        self.info = _track_info(request)
        self.mid = ""
        self.announced = False
        self.first_subscriber_reported = False
        self.up_track: _engine.UpTrack | None = None
        self.payload_type: PayloadType | None = None
        self.watched_layer = _BEST_LAYER
        """The highest spatial layer that anybody watches, as the publisher was told; NOBODY when none."""
        self._dynacast = self._make_dynacast() if self.kind is MediaKind.VIDEO else None

    def _make_dynacast(self) -> Dynacast:
        dynacast = Dynacast(
            self._tell_quality, pause_delay_s=self.publisher.room.config.dynacast_pause_delay_s
        )
        dynacast.set_muted(self.info.muted)
        return dynacast

    @property
    def sid(self) -> str:
        return self.info.sid

    @property
    def kind(self) -> MediaKind:
        return MediaKind.AUDIO if self.info.type == models.TrackType.AUDIO else MediaKind.VIDEO

    @property
    def codec(self) -> str:
        """Lower case; empty before negotiation."""
        return codec_of_mime_type(self.info.mime_type)

    @property
    def stream_id(self) -> str:
        return f"{self.publisher.sid}|{self.sid}"

    @property
    def synced_stream_id(self) -> str:
        """The same for all tracks that belong together: camera and microphone, the two of a shared screen."""
        return f"{self.publisher.sid}|{self.info.stream}"

    def section(self) -> PublishedSection:
        """What the answer to the publisher has to say about this track."""
        codecs = self.request.simulcast_codecs
        features = self.info.audio_features
        video = codec_of_mime_type(codecs[0].codec) if codecs else ""
        return PublishedSection(
            wanted_codec=video if self.kind is MediaKind.VIDEO else self._audio_codec(),
            dtx=models.AudioTrackFeature.TF_NO_DTX not in features,
            stereo=models.AudioTrackFeature.TF_STEREO in features,
        )

    def _audio_codec(self) -> str:
        """Redundant where the client has that, as on livekit-server; what is encrypted can't be taken apart."""
        encrypted = self.info.encryption != models.Encryption.Type.NONE
        return "opus" if self.info.disable_red or encrypted else "red"

    def declared_rids(self) -> list[str]:
        """The rids that the AddTrackRequest names, lowest layer first."""
        return [layer.rid for layer in sorted(self.info.layers, key=lambda layer: layer.quality) if layer.rid]

    def negotiated(
        self, mid: str, payload_type: PayloadType, msid_track_id: str, rids: Sequence[str]
    ) -> None:
        """The track has an m-line: fill in what is only known now."""
        self.mid = mid
        self.payload_type = payload_type
        info = self.info
        info.mid = mid
        info.mime_type = mime_type(payload_type.codec)
        svc = payload_type.codec in _SVC_CODECS and len(rids) < 2
        layers = sorted(info.layers, key=lambda layer: layer.quality)
        for index, layer in enumerate(layers):
            layer.spatial_layer = index
            if index < len(rids):
                layer.rid = layer.rid or rids[index]
        info.simulcast = len(rids) > 1
        mode = (
            _LayerMode.MULTIPLE_SPATIAL_LAYERS_PER_STREAM if svc else _LayerMode.ONE_SPATIAL_LAYER_PER_STREAM
        )
        codec = models.SimulcastCodecInfo(
            mime_type=info.mime_type, mid=mid, cid=self.cid, layers=layers, video_layer_mode=mode
        )
        if msid_track_id != self.cid:
            codec.sdp_cid = msid_track_id
        del info.codecs[:]
        info.codecs.append(codec)
        self.touch()

    def touch(self) -> None:
        """The info changed: give it a newer version."""
        self.info.version.unix_micro = time.time_ns() // 1000

    def set_muted(self, muted: bool) -> bool:
        """Whether that was a change."""
        if self.info.muted == muted:
            return False
        self.info.muted = muted
        self.touch()
        if self.up_track is not None:
            self.up_track.set_muted(muted)
        if self._dynacast is not None:
            self._dynacast.set_muted(muted)
        return True

    def announce(self) -> None:
        """Others may know of the track from now on."""
        self.announced = True
        if self._dynacast is not None:
            self._dynacast.start()

    def watch(self, subscriber: Hashable, quality: int = NOBODY) -> None:
        """A subscriber watches at most this quality, or no longer; nothing for audio."""
        if self._dynacast is not None:
            self._dynacast.watch(subscriber, quality)

    def repeat_quality(self) -> None:
        """The publisher may have missed what it was told of the quality that is watched."""
        if self._dynacast is not None:
            self._dynacast.repeat()

    def _tell_quality(self, watched: int) -> None:
        self.watched_layer = NOBODY if watched == NOBODY else self.spatial_layer(watched)
        if self.up_track is not None and watched != NOBODY:
            self.up_track.expect_layers(self.spatial_layer(watched))
        update = subscribed_quality(self, watched)
        self.publisher.send(messages.SignalResponse(subscribed_quality_update=update))

    def spatial_layer(self, quality: int) -> int:
        """The layer a quality stands for: by position among the declared qualities, not by name."""
        declared = sorted({layer.quality for layer in self.info.layers})
        if quality >= models.VideoQuality.HIGH or len(declared) < 2:
            return _BEST_LAYER
        below = [index for index, known in enumerate(declared) if known <= quality]
        return below[-1] if below else 0

    def quality_for(self, width: int, height: int) -> int:
        """The lowest declared quality whose size reaches nine tenths of what is asked for."""
        for layer in sorted(self.info.layers, key=lambda layer: layer.quality):
            if layer.width >= 0.9 * width and layer.height >= 0.9 * height:
                return layer.quality
        return models.VideoQuality.HIGH

    def close(self) -> None:
        """Stop receiving. Harmless twice."""
        if self._dynacast is not None:
            self._dynacast.stop()
        if self.up_track is not None:
            self.up_track.close()
            self.up_track = None


def subscribed_quality(publication: Publication, watched: int) -> messages.SubscribedQualityUpdate:
    """What the publisher is told to send: every quality up to the one that is watched."""
    qualities = [
        messages.SubscribedQuality(quality=quality, enabled=quality <= watched)
        for quality in (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)
    ]
    return messages.SubscribedQualityUpdate(
        track_sid=publication.sid,
        subscribed_qualities=qualities,
        subscribed_codecs=[messages.SubscribedCodec(codec=publication.codec, qualities=qualities)],
    )


def _track_info(request: messages.AddTrackRequest) -> models.TrackInfo:
    info = models.TrackInfo(
        sid=ids.track_sid(request.type, request.source),
        type=request.type,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        source=request.source,
        layers=request.layers,
        encryption=request.encryption,
        stream=request.stream or _STREAM_NAMES.get(request.source, "unknown"),
        backup_codec_policy=request.backup_codec_policy,
        packet_trailer_features=request.packet_trailer_features,
        disable_red=request.disable_red,
    )
    features = dict.fromkeys(request.audio_features)
    if request.disable_dtx:
        features[models.AudioTrackFeature.TF_NO_DTX] = None
    if request.stereo:
        features[models.AudioTrackFeature.TF_STEREO] = None
    info.audio_features.extend(features)
    info.disable_dtx = models.AudioTrackFeature.TF_NO_DTX in features
    info.stereo = models.AudioTrackFeature.TF_STEREO in features
    info.version.unix_micro = time.time_ns() // 1000
    return info
