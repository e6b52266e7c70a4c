"""What one participant receives: its wishes, what it may have, and the down tracks that follow from both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom import _engine
from greenroom.signalling.down_sections import OfferedTrack
from greenroom.signalling.sdp import MediaKind

from .dynacast import NOBODY
from .stream_states import StreamStates, engine_priority

if TYPE_CHECKING:
    from .participant import Participant
    from .publications import Publication

NOT_FOUND_S = 60.0
"""How long a wish for a track that does not exist is kept."""
_ALL_TEMPORAL_LAYERS = 3
_USUAL_FPS = 30.0
"""Of video with temporal layers; publishers don't tell theirs."""
_LAYER_TOLERANCE = 0.9
"""A layer that reaches this part of the rate asked for is good enough, as in livekit-server."""


class Subscription:
    """One track on its way to one participant; it has a down track once the client answered the offer."""

    def __init__(
        self,
        subscriber: Participant,
        publication: Publication,
        states: StreamStates,
        *,
        synced: bool = False,
    ) -> None:
        self.subscriber = subscriber
        self.publication = publication
        self.stream_id = publication.synced_stream_id if synced else publication.stream_id
        self._states = states
        self.mid = ""
        self.ssrc = 0
        self.rtx_ssrc: int | None = None
        self.down_track: _engine.DownTrack | None = None
        self.codec = publication.codec
        """What the subscriber gets: the publication's, or the Opus in its RED."""
        self.from_backup = False
        """It can't take the publication's first codec, and gets the backup one."""
        self.error: models.SubscriptionError | None = None
        self.closed = False
        self.enabled = True
        """The client wants it now."""
        self.max_layer = 2
        """The highest spatial layer that it is to get."""
        self.paused = False
        """Held back for lack of bandwidth."""

    @property
    def source(self) -> Publication | None:
        """What it is forwarded from; None while that is not there."""
        if not self.from_backup:
            return self.publication
        return self.publication.backup.track if self.publication.backup is not None else None

    def unbind(self) -> None:
        """Send nothing for now."""
        if self.down_track is not None:
            self._states.unbound(self, self.down_track)
            self.down_track.close()
            self.down_track = None
            self.paused = False

    def close(self) -> None:
        self.closed = True
        self.unbind()
        self.publication.watch(self)


class Subscriptions:
    """All subscriptions of one participant, by track SID."""

    def __init__(self, participant: Participant, *, automatic: bool) -> None:
        self._participant = participant
        self._automatic = automatic
        self._wishes: dict[str, bool] = {}
        self._settings: dict[str, messages.UpdateTrackSettings] = {}
        self._active: dict[str, Subscription] = {}
        self._allowed: dict[str, bool] = {}
        """What the client was last told about its permission, by track SID."""
        self._missing: dict[str, asyncio.TimerHandle] = {}
        self._states = StreamStates(participant)

    def __contains__(self, track_sid: str) -> bool:
        return track_sid in self._active

    def publications(self) -> list[Publication]:
        """The tracks that are subscribed."""
        return [s.publication for s in self._active.values()]

    def publisher_sids(self) -> set[str]:
        """Of the participants that at least one track is subscribed of."""
        return {s.publication.publisher.sid for s in self._active.values()}

    def flowing(self) -> list[Subscription]:
        """Those with a down track."""
        return [s for s in self._active.values() if s.down_track is not None]

    # ---- wishes ----

    def wish(self, track_sids: Iterable[str], subscribe: bool) -> None:
        """The client's UpdateSubscription."""
        for track_sid in dict.fromkeys(track_sids):
            publication = self._participant.room.publication(track_sid)
            if publication is None and not self._may_remember():
                continue
            self._wishes[track_sid] = subscribe
            if publication is not None:
                self.reconcile(publication)
            elif subscribe and track_sid not in self._missing:
                loop = asyncio.get_running_loop()
                self._missing[track_sid] = loop.call_later(NOT_FOUND_S, self._not_found, track_sid)
            elif not subscribe:
                self._found(track_sid)

    def _may_remember(self) -> bool:
        return len(self._wishes) < self._participant.room.config.limits.remembered_tracks

    def _found(self, track_sid: str) -> None:
        timer = self._missing.pop(track_sid, None)
        if timer is not None:
            timer.cancel()

    def _not_found(self, track_sid: str) -> None:
        del self._missing[track_sid]
        self._wishes.pop(track_sid, None)
        self._report(track_sid, models.SubscriptionError.SE_TRACK_NOTFOUND)

    def _report(self, track_sid: str, error: models.SubscriptionError) -> None:
        self._participant.send(
            messages.SignalResponse(
                subscription_response=messages.SubscriptionResponse(track_sid=track_sid, err=error)
            )
        )

    # ---- from wish to subscription ----

    def reconcile(self, publication: Publication) -> None:
        """Make what is there follow what is wished and allowed. Called when either may have changed."""
        sid = publication.sid
        self._found(sid)
        wished = self._wishes.get(sid, self._automatic) and publication.announced
        permitted = self._participant.permission.can_subscribe
        allowed = publication.publisher.allows(self._participant, sid)
        if wished and permitted:
            self._tell_allowed(publication, allowed)
        subscription = self._active.get(sid)
        if wished and permitted and allowed:
            if subscription is None:
                self._subscribe(publication)
        elif subscription is not None:
            self._unsubscribe(subscription)

    def _tell_allowed(self, publication: Publication, allowed: bool) -> None:
        if self._allowed.get(publication.sid) == allowed:
            return
        self._allowed[publication.sid] = allowed
        update = messages.SubscriptionPermissionUpdate(
            participant_sid=publication.publisher.sid, track_sid=publication.sid, allowed=allowed
        )
        self._participant.send(messages.SignalResponse(subscription_permission_update=update))

    def _subscribe(self, publication: Publication) -> None:
        participant = self._participant
        synced = participant.syncs_streams
        subscription = Subscription(participant, publication, self._states, synced=synced)
        self._active[publication.sid] = subscription
        participant.room.tell("track_subscribed", subscription)
        self._participant.subscriber.add(subscription)

    def _unsubscribe(self, subscription: Subscription) -> None:
        publication = subscription.publication
        del self._active[publication.sid]
        if self._wishes.get(publication.sid) is False:
            self._allowed.pop(publication.sid, None)  # told anew when subscribed again
        subscription.close()
        self._participant.subscriber.remove(subscription)
        self._participant.room.speakers.unsubscribed(self._participant, publication.publisher)

    def ended(self, publication: Publication) -> None:
        """The track is gone: forget all about it."""
        sid = publication.sid
        subscription = self._active.get(sid)
        if subscription is not None:
            self._unsubscribe(subscription)
        self._allowed.pop(sid, None)
        self._settings.pop(sid, None)
        self._wishes.pop(sid, None)

    def fail(self, subscription: Subscription, error: models.SubscriptionError) -> None:
        """The client can't take the track; it is told, and the wish is dropped."""
        sid = subscription.publication.sid
        self._wishes[sid] = False
        subscription.error = error
        self._participant.room.tell("subscription_failed", subscription)
        if self._active.get(sid) is subscription:
            self._unsubscribe(subscription)
        self._report(sid, error)

    # ---- bound to a down track ----

    def await_backup(self, subscription: Subscription) -> None:
        """The client takes the backup codec alone: its publisher is asked for it."""
        subscription.from_backup = True
        self._apply_settings(subscription)

    def backup_published(self, publication: Publication) -> None:
        """The backup codec of a track is there now."""
        subscription = self._active.get(publication.sid)
        if subscription is not None and subscription.from_backup and subscription.down_track is None:
            self._participant.subscriber.negotiate()

    def backup_ended(self, publication: Publication) -> None:
        """The backup codec of a track is gone."""
        subscription = self._active.get(publication.sid)
        if subscription is not None and subscription.from_backup:
            subscription.unbind()

    def bound(self, subscription: Subscription, down_track: _engine.DownTrack, codec: str) -> None:
        """The client answered: media flows from here on, in this codec."""
        publication = subscription.publication
        subscription.codec = codec
        subscription.down_track = down_track
        self._apply_settings(subscription)
        self._states.bound(subscription, down_track)
        self._participant.room.tell("subscription_bound", subscription)
        self._participant.rate(publication.publisher.sid)
        self._participant.room.speakers.subscribed(self._participant, publication.publisher)
        if not self._participant.hidden:
            publication.publisher.first_subscriber(publication)

    # ---- settings ----

    def set_settings(self, settings: messages.UpdateTrackSettings) -> None:
        """The client's UpdateTrackSettings, which replaces earlier ones; kept for tracks that come later."""
        for sid in settings.track_sids:
            if (
                sid not in self._settings
                and len(self._settings) >= self._participant.room.config.limits.remembered_tracks
            ):
                return
            self._settings[sid] = settings
            subscription = self._active.get(sid)
            if subscription is not None:
                self._apply_settings(subscription)

    def _apply_settings(self, subscription: Subscription) -> None:
        down_track, publication = subscription.down_track, subscription.publication
        if down_track is None and not subscription.from_backup:
            return
        settings = self._settings.get(publication.sid)
        subscription.enabled = enabled = settings is None or not settings.disabled
        if down_track is not None:
            down_track.set_enabled(enabled)
        if publication.kind is MediaKind.VIDEO:
            source = subscription.source or publication
            quality = self._quality(source, settings)
            publication.watch(subscription, quality if enabled else NOBODY, backup=subscription.from_backup)
            temporal = _ALL_TEMPORAL_LAYERS if settings is None else temporal_layer(settings.fps)
            subscription.max_layer = source.spatial_layer(quality)
            if down_track is None:
                return
            down_track.set_max_layer(subscription.max_layer, temporal)
            priority = settings.priority if settings is not None else 0
            down_track.set_priority(engine_priority(publication, priority))

    def _quality(self, publication: Publication, settings: messages.UpdateTrackSettings | None) -> int:
        if settings is None:
            adaptive = self._participant.adaptive_stream
            return models.VideoQuality.LOW if adaptive else models.VideoQuality.HIGH
        if settings.width > 0:
            return publication.quality_for(settings.width, settings.height)
        return settings.quality  # left out means LOW

    def close(self) -> None:
        for timer in self._missing.values():
            timer.cancel()
        self._missing.clear()
        for subscription in self._active.values():
            subscription.close()
        self._active.clear()


def temporal_layer(fps: int) -> int:
    """The lowest that brings this many frames a second; each layer doubles the rate of the one below."""
    if fps <= 0:
        return _ALL_TEMPORAL_LAYERS
    wanted = fps * _LAYER_TOLERANCE
    rates = (_USUAL_FPS / 4, _USUAL_FPS / 2, _USUAL_FPS)
    return next((layer for layer, rate in enumerate(rates) if wanted <= rate), _ALL_TEMPORAL_LAYERS)


def offered_track(subscription: Subscription | None) -> OfferedTrack | None:
    """What a description says of the track in a section; None for a section without."""
    if subscription is None:
        return None
    publication = subscription.publication
    return OfferedTrack(
        stream_id=subscription.stream_id,
        track_sid=publication.sid,
        ssrc=subscription.ssrc,
        rtx_ssrc=subscription.rtx_ssrc,
        stereo=publication.info.stereo,
    )
