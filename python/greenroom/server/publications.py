"""Tracks that participants publish: from the wish (AddTrackRequest) to the announced publication."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom.signalling.media_parameters import PayloadType
from greenroom.signalling.sdp import MediaKind
from greenroom.signalling.server_description import PublishedSection, codec_of_mime_type, mime_type

from . import ids
from .backup_codec import BackupCodec
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

    It is announced to others when its media path is negotiated and connected. One with a `primary` is what that one's
    backup codec comes in.
    """

    def __init__(
        self, publisher: Participant, request: messages.AddTrackRequest, primary: Publication | None = None
    ) -> None:
        self.publisher = publisher
        self.cid = request.cid
        self.request = request
        self.primary = primary
        self.info = _track_info(request)
        self.mid = ""
        self.sdp_cid = ""
        """What the track is called in descriptions, where that is not its cid."""
        self.announced = False
        self.first_subscriber_reported = False
        self.up_track: _engine.UpTrack | None = None
        self.payload_type: PayloadType | None = None
        self.watched_layer = _BEST_LAYER
        """The highest spatial layer that anybody watches, as the publisher was told; NOBODY when none."""
        self._told: int | None = None
        """The quality that the publisher was told to be watched."""
        self._dynacast: Dynacast | None = None
        self.backup: BackupCodec | None = None
        if primary is not None:
            self.info.sid = primary.sid
            if not self.info.layers:
                self.info.layers.extend(layer for codec in request.simulcast_codecs for layer in codec.layers)
        elif self.kind is MediaKind.VIDEO:
            pause_delay_s = publisher.room.config.dynacast_pause_delay_s
            self._dynacast = Dynacast(self._watched, pause_delay_s=pause_delay_s)
            codec = _backup_codec(request)
            if codec:
                self.backup = BackupCodec(codec, self._tell_quality, pause_delay_s=pause_delay_s)
            for dynacast in self._dynacasts():
                dynacast.set_muted(self.info.muted)

    def _dynacasts(self) -> list[Dynacast]:
        backup = self.backup.dynacast if self.backup is not None else None
        return [dynacast for dynacast in (self._dynacast, backup) if dynacast is not None]

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
            codec.sdp_cid = self.sdp_cid = msid_track_id
        if self.primary is not None:
            self.primary.set_codecs([*self.primary.info.codecs[:1], codec])
        elif self.backup is not None:
            self.set_codecs([codec, models.SimulcastCodecInfo(mime_type=mime_type(self.backup.codec))])
        else:
            self.set_codecs([codec])

    def set_codecs(self, codecs: Sequence[models.SimulcastCodecInfo]) -> None:
        """What others are told of the codecs: the first, and the backup one."""
        del self.info.codecs[:]
        self.info.codecs.extend(codecs)
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
        if self.backup is not None and self.backup.track is not None:
            self.backup.track.set_muted(muted)
        for dynacast in self._dynacasts():
            dynacast.set_muted(muted)
        return True

    def announce(self) -> None:
        """Others may know of the track from now on."""
        self.announced = True
        if self._dynacast is not None:
            self._dynacast.start()

    def watch(self, subscriber: Hashable, quality: int = NOBODY, *, backup: bool = False) -> None:
        """A subscriber watches at most this quality, of the backup codec or the first, or no longer; nothing for
        audio."""
        if self._dynacast is not None:
            self._dynacast.watch(subscriber, NOBODY if backup else quality)
        if self.backup is not None:
            self.backup.dynacast.watch(subscriber, quality if backup else NOBODY)

    def repeat_quality(self) -> None:
        """The publisher may have missed what it was told of the quality that is watched."""
        for dynacast in self._dynacasts():
            dynacast.repeat()

    def _watched(self, quality: int) -> None:
        self._told = quality
        self.expect(quality)
        self._tell_quality()

    def expect(self, watched: int) -> None:
        """The publisher was told that this quality is watched."""
        self.watched_layer = NOBODY if watched == NOBODY else self.spatial_layer(watched)
        if self.up_track is not None and watched != NOBODY:
            self.up_track.expect_layers(self.spatial_layer(watched))

    def _tell_quality(self) -> None:
        watched = {self.codec: models.VideoQuality.HIGH if self._told is None else self._told}
        if self.backup is not None and self.backup.watched is not None:
            watched[self.backup.codec] = self.backup.watched
            if self.backup.track is not None:
                self.backup.track.expect(self.backup.watched)
        update = subscribed_quality(self.sid, watched)
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
        for dynacast in self._dynacasts():
            dynacast.stop()
        if self.backup is not None and self.backup.track is not None:
            self.backup.track.close()
        if self.up_track is not None:
            self.up_track.close()
            self.up_track = None


def subscribed_quality(track_sid: str, watched: Mapping[str, int]) -> messages.SubscribedQualityUpdate:
    """What the publisher is told to send of each codec: every quality up to the one that is watched."""
    codecs = [
        messages.SubscribedCodec(
            codec=codec,
            qualities=[
                messages.SubscribedQuality(quality=quality, enabled=quality <= best)
                for quality in (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)
            ],
        )
        for codec, best in watched.items()
    ]
    return messages.SubscribedQualityUpdate(
        track_sid=track_sid, subscribed_qualities=codecs[0].qualities, subscribed_codecs=codecs
    )


def _backup_policy(request: messages.AddTrackRequest) -> models.BackupCodecPolicy:
    policy = request.backup_codec_policy
    is_audio = request.type == models.TrackType.AUDIO
    return (
        models.BackupCodecPolicy.SIMULCAST
        if is_audio and policy != models.BackupCodecPolicy.REGRESSION
        else policy
    )


def _backup_codec(request: messages.AddTrackRequest) -> str:
    codecs = [codec_of_mime_type(codec.codec) for codec in request.simulcast_codecs[:2]]
    return codecs[1] if len(codecs) == 2 and codecs[1] != codecs[0] else ""


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
        backup_codec_policy=_backup_policy(request),
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
