"""The data tracks that a participant receives: its wishes, what it may have, and the handles it knows them by."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from livekit.protocol import rtc as messages

from .data_tracks import MAX_HANDLE, DataTrack
from .subscriptions import NOT_FOUND_S

if TYPE_CHECKING:
    from .participant import Participant

_FIRST_HANDLES = 256


class DataSubscriptions:
    """Of one participant, by track SID. Nothing is subscribed to unasked, unless `automatic`."""

    def __init__(self, participant: Participant, *, automatic: bool = False) -> None:
        self._participant = participant
        self._automatic = automatic
        self._wishes: dict[str, bool] = {}
        self._allowed: dict[str, bool] = {}
        """What the client was last told about its permission."""
        self._handles: dict[str, tuple[int, DataTrack]] = {}
        """Of what is forwarded."""
        self._last_handle = secrets.randbelow(_FIRST_HANDLES)
        self._missing: dict[str, asyncio.TimerHandle] = {}

    def update(self, request: messages.UpdateDataSubscription) -> None:
        """The client's wishes. For a track that does not exist they are kept for a while."""
        room = self._participant.room
        for update in request.updates:
            sid, track = update.track_sid, room.data_tracks.get(update.track_sid)
            if track is None and not (update.subscribe and self._may_remember()):
                self._wishes.pop(sid, None)
                continue
            self._wishes[sid] = update.subscribe
            if track is not None:
                self.reconcile(track)
            elif sid not in self._missing:
                loop = asyncio.get_running_loop()
                self._missing[sid] = loop.call_later(NOT_FOUND_S, self._not_found, sid)

    def _may_remember(self) -> bool:
        return len(self._wishes) < self._participant.room.config.limits.remembered_tracks

    def _not_found(self, sid: str) -> None:
        del self._missing[sid]
        self._wishes.pop(sid, None)

    def reconcile(self, track: DataTrack) -> None:
        """Make what is there follow what is wished and allowed. Called when either may have changed."""
        timer = self._missing.pop(track.sid, None)
        if timer is not None:
            timer.cancel()
        own = track.publisher is self._participant
        wished = self._wishes.get(track.sid, self._automatic) and not own
        permitted = self._participant.permission.can_subscribe
        allowed = track.publisher.allows(self._participant, track.sid)
        if wished and permitted:
            self._tell_allowed(track, allowed)
        if wished and permitted and allowed:
            if track.sid not in self._handles:
                self._subscribe(track)
        elif track.sid in self._handles:
            self._unsubscribe(track)

    def _tell_allowed(self, track: DataTrack, allowed: bool) -> None:
        if self._allowed.get(track.sid) == allowed:
            return
        self._allowed[track.sid] = allowed
        update = messages.SubscriptionPermissionUpdate(
            participant_sid=track.publisher.sid, track_sid=track.sid, allowed=allowed
        )
        self._participant.send(messages.SignalResponse(subscription_permission_update=update))

    def _subscribe(self, track: DataTrack) -> None:
        handle = self._free_handle()
        self._handles[track.sid] = (handle, track)
        self.tell_handles()  # before any packet
        track.publisher.publisher.connection.transport.subscribe_data_track(
            track.info.pub_handle, self._participant.primary.connection.transport, handle=handle
        )

    def _free_handle(self) -> int:
        used = {handle for handle, _ in self._handles.values()}
        while True:
            self._last_handle = self._last_handle % MAX_HANDLE + 1
            if self._last_handle not in used:
                return self._last_handle

    def _unsubscribe(self, track: DataTrack) -> None:
        del self._handles[track.sid]
        track.publisher.publisher.connection.transport.unsubscribe_data_track(
            track.info.pub_handle, self._participant.primary.connection.transport
        )
        self.tell_handles()

    def ended(self, track: DataTrack) -> None:
        """The track is gone: forget all about it."""
        if track.sid in self._handles:
            self._unsubscribe(track)
        self._wishes.pop(track.sid, None)
        self._allowed.pop(track.sid, None)

    def tell_handles(self) -> None:
        """Send the whole table; the client drops packets of handles that are not in it."""
        handles = messages.DataTrackSubscriberHandles()
        for handle, track in self._handles.values():
            entry = handles.sub_handles[handle]
            entry.publisher_identity = track.publisher.identity
            entry.publisher_sid = track.publisher.sid
            entry.track_sid = track.sid
        self._participant.send(messages.SignalResponse(data_track_subscriber_handles=handles))

    def resumed(self) -> None:
        """A table may have been lost with the signal connection."""
        if self._handles:
            self.tell_handles()

    def close(self) -> None:
        """The participant leaves."""
        for timer in self._missing.values():
            timer.cancel()
        self._missing.clear()
        for _, track in list(self._handles.values()):
            track.publisher.publisher.connection.transport.unsubscribe_data_track(
                track.info.pub_handle, self._participant.primary.connection.transport
            )
        self._handles.clear()
