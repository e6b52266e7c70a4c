"""One log line for each thing that happens in rooms, with its names as fields of their own in JSON."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from livekit.protocol import models

from .room_listener import RoomListener

if TYPE_CHECKING:
    from .participant import Participant
    from .publications import Publication
    from .room import Room

_logger = logging.getLogger("greenroom.server")


class RoomLog(RoomListener):
    """Says who comes, publishes and goes."""

    def room_started(self, room: Room) -> None:
        _room(room, "started")

    def room_finished(self, room: Room) -> None:
        _room(room, "closed")

    def participant_joined(self, participant: Participant) -> None:
        _participant(participant, "joined")

    def participant_active(self, participant: Participant) -> None:
        _participant(participant, "is connected")

    def participant_left(self, participant: Participant) -> None:
        reason = models.DisconnectReason.Name(participant.disconnect_reason)
        _participant(participant, f"left: {reason}", reason=reason)

    def track_published(self, publication: Publication) -> None:
        _track(publication, "published")

    def track_unpublished(self, publication: Publication) -> None:
        _track(publication, "unpublished")


def _room(room: Room, what: str) -> None:
    _logger.info("room %s %s", room.name, what, extra={"fields": {"room": room.name, "room_sid": room.sid}})


def _participant(participant: Participant, what: str, **fields: str) -> None:
    room = participant.room
    names = {"room": room.name, "participant": participant.identity, "participant_sid": participant.sid}
    message = "room %s: %s %s"
    _logger.info(message, room.name, participant.identity, what, extra={"fields": {**names, **fields}})


def _track(publication: Publication, what: str) -> None:
    source = models.TrackSource.Name(publication.info.source).lower()
    fields = {"track": publication.sid, "source": source}
    _participant(publication.publisher, f"{what} {source} {publication.sid}", **fields)
