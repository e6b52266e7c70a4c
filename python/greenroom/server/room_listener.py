"""What happens in the rooms of a server, for whoever has to know: webhooks, agents, metrics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from livekit.protocol import models

if TYPE_CHECKING:
    from .participant import Participant
    from .publications import Publication
    from .room import Room
    from .subscriptions import Subscription

_logger = logging.getLogger("greenroom.server")

RoomEvent = Literal["room_started", "room_finished"]
ParticipantEvent = Literal[
    "participant_joined", "participant_active", "participant_left", "participant_measured"
]
TrackEvent = Literal["track_added", "track_published", "track_unpublished"]
SubscriptionEvent = Literal["track_subscribed", "subscription_bound", "subscription_failed"]
Event = RoomEvent | ParticipantEvent | TrackEvent | SubscriptionEvent | Literal["stream_begun"]


class RoomListener:
    """Every method is called within the change it tells of, and must neither wait nor change the room."""

    def room_started(self, room: Room) -> None:
        """A room was made."""

    def room_finished(self, room: Room) -> None:
        """A room is closed; everybody has left it."""

    def participant_joined(self, participant: Participant) -> None:
        """A participant was greeted; its media connection is not up yet."""

    def participant_active(self, participant: Participant) -> None:
        """A participant's media connection is up."""

    def participant_left(self, participant: Participant) -> None:
        """The session of a participant that had been greeted ended."""

    def participant_measured(self, participant: Participant) -> None:
        """The quality of a participant's connection was judged anew."""

    def track_added(self, publication: Publication) -> None:
        """A media track is to be published; its media path is not up yet."""

    def track_published(self, publication: Publication) -> None:
        """A media track can be subscribed to."""

    def track_unpublished(self, publication: Publication) -> None:
        """A media track ended."""

    def track_subscribed(self, subscription: Subscription) -> None:
        """A participant is to receive a track; the client has not answered yet."""

    def subscription_bound(self, subscription: Subscription) -> None:
        """A participant receives a track from now on."""

    def subscription_failed(self, subscription: Subscription) -> None:
        """A participant can't receive a track: `subscription.error`."""

    def stream_begun(self, packet: models.DataPacket) -> None:
        """The header of a data stream is passed on."""


class Listeners:
    """All listeners of a server. One that fails is logged and does not keep the others from hearing."""

    def __init__(self) -> None:
        self._listeners: list[RoomListener] = []

    def add(self, listener: RoomListener) -> None:
        self._listeners.append(listener)

    def tell(
        self, event: Event, subject: Room | Participant | Publication | Subscription | models.DataPacket
    ) -> None:
        """Call the method of that name on every listener, in the order they were added."""
        for listener in self._listeners:
            try:
                getattr(listener, event)(subject)
            except Exception:
                _logger.exception("%s could not be told of %s", type(listener).__name__, event)
