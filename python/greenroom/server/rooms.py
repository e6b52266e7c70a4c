"""All rooms of one server."""

from __future__ import annotations

from collections import Counter

from livekit.protocol import models
from livekit.protocol.room import RoomConfiguration

from . import ids
from .config import ServerConfig
from .join_request import JoinRequest
from .media_connection import MediaPlane
from .participant import Participant
from .refusal import Refusal
from .room import Room
from .room_listener import Listeners

_GOING = "the server is going out of service"


class Rooms:
    """Rooms by name: made by the first join, gone when they close."""

    def __init__(self, config: ServerConfig, plane: MediaPlane, counters: Counter[str]) -> None:
        self.config = config
        self.counters = counters
        self.listeners = Listeners()
        self.draining = False
        """Nobody new is let in; lost signal connections may still be resumed."""
        self.node_id = ids.node_id()
        self._plane = plane
        self._rooms: dict[str, Room] = {}

    def get(self, name: str) -> Room | None:
        return self._rooms.get(name)

    def all(self) -> list[Room]:
        return list(self._rooms.values())

    def check(self, request: JoinRequest) -> None:
        """Raise Refusal when a join would meet no room and may not make one, or comes too late."""
        if self.draining and not request.reconnect:
            raise Refusal(503, _GOING)
        may_create = self.config.auto_create_rooms or request.grant.room_create
        if request.room not in self._rooms and not may_create:
            raise Refusal(404, "requested room does not exist")

    def join(self, request: JoinRequest) -> Participant:
        """Admit a participant into its room, which is made if need be. Raises Refusal."""
        self.check(request)
        try:
            room = self.create(request.room, request.claims.room_config, preset=request.claims.room_preset)
        except KeyError as error:
            raise Refusal(500, f"unknown room configuration {error}") from error
        return room.join(request)

    def create(self, name: str, settings: RoomConfiguration, *, preset: str = "") -> Room:
        """The room of that name: made if it is not there, else left as it is. KeyError for an unknown preset, Refusal
        when the server goes out of service.

        `settings` go before those of the preset, which go before the server's; what is 0 or empty is not set.
        """
        room = self._rooms.get(name)
        if room is None:
            if self.draining:
                raise Refusal(503, _GOING)
            if preset:
                settings = merged(self.config.room_presets[preset], settings)
            room = Room(
                name,
                settings,
                config=self.config,
                plane=self._plane.for_a_room(),
                node_id=self.node_id,
                counters=self.counters,
                on_closed=self._forget,
                listeners=self.listeners,
            )
            self._rooms[room.name] = room
            self.listeners.tell("room_started", room)
        return room

    def find(self, request: JoinRequest) -> Participant | None:
        """The live session that a resume means: the same room and identity, and the same SID when it is
        given.
        """
        room = self._rooms.get(request.room)
        participant = room.participant(request.identity) if room is not None else None
        if (
            participant is None
            or not participant.started
            or request.participant_sid not in ("", participant.sid)
        ):
            return None
        return participant

    def _forget(self, room: Room) -> None:
        if self._rooms.get(room.name) is room:
            del self._rooms[room.name]
        self.listeners.tell("room_finished", room)

    def close(self, reason: models.DisconnectReason) -> None:
        """End every room."""
        for room in list(self._rooms.values()):
            room.close(reason)


def merged(preset: RoomConfiguration, settings: RoomConfiguration) -> RoomConfiguration:
    """The preset with what `settings` sets in its place; lists are replaced as a whole."""
    result = RoomConfiguration()
    result.CopyFrom(preset)
    for field, _ in settings.ListFields():
        result.ClearField(field.name)
    result.MergeFrom(settings)
    return result
