"""Which of its video tracks a subscriber is told to be active, and which held back for lack of bandwidth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom import _engine
from greenroom.signalling.sdp import MediaKind

if TYPE_CHECKING:
    from .participant import Participant
    from .publications import Publication
    from .subscriptions import Subscription

_SCREEN_SHARE_PRIORITY, _CAMERA_PRIORITY = 255, 1
"""As the engine counts: higher ones are served first."""


def engine_priority(publication: Publication, wished: int) -> int:
    """What the engine is told of a client's wish, for which 1 is the highest priority and 0 none in particular."""
    if wished > 0:
        return max(1, 256 - wished)
    is_screen = publication.info.source == models.TrackSource.SCREEN_SHARE
    return _SCREEN_SHARE_PRIORITY if is_screen else _CAMERA_PRIORITY


class StreamStates:
    """Of one participant's subscriptions."""

    def __init__(self, participant: Participant) -> None:
        self._participant = participant

    def bound(self, subscription: Subscription, down_track: _engine.DownTrack) -> None:
        """Video begins to flow: it is active, and the client hears when that changes."""
        if subscription.publication.kind is not MediaKind.VIDEO:
            return

        def on_event(kind: int, payload: int | None) -> None:
            if kind == _engine.DOWN_TRACK_PAUSED and subscription.down_track is down_track:
                subscription.paused = bool(payload)
                state = messages.StreamState.PAUSED if payload else messages.StreamState.ACTIVE
                self._tell(subscription.publication, state)

        self._participant.room.plane.port.register(down_track.handle, on_event)
        self._tell(subscription.publication, messages.StreamState.ACTIVE)

    def unbound(self, subscription: Subscription, down_track: _engine.DownTrack) -> None:
        """The down track is gone."""
        if subscription.publication.kind is MediaKind.VIDEO:
            self._participant.room.plane.port.unregister(down_track.handle)

    def _tell(self, publication: Publication, state: messages.StreamState) -> None:
        info = messages.StreamStateInfo(
            participant_sid=publication.publisher.sid, track_sid=publication.sid, state=state
        )
        update = messages.StreamStateUpdate(stream_states=[info])
        self._participant.send(messages.SignalResponse(stream_state_update=update))
