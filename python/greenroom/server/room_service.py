"""`livekit.RoomService`: rooms and participants as the server's API sees and changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import room as api

from .administration import change_permission, change_room_metadata, mute_track
from .api_access import require_admin, require_create, require_destination, require_list
from .data_router import NONCE_BYTES
from .data_sender import LOSSY, RELIABLE
from .limits import attributes_size, check_attributes, check_metadata, check_name
from .refusal import Refusal
from .server_calls import CallError
from .tokens import Claims
from .twirp import Method, Methods, TwirpError

if TYPE_CHECKING:
    from .participant import Participant
    from .room import Room
    from .rooms import Rooms

NAME = "livekit.RoomService"

_Claims = Claims | None
_LABELS = {models.DataPacket.Kind.RELIABLE: RELIABLE, models.DataPacket.Kind.LOSSY: LOSSY}

CALL_ERRORS = {
    1400: "invalid_argument",
    1401: "not_found",
    1402: "invalid_argument",
    1403: "unimplemented",
    1404: "unimplemented",
    1501: "canceled",
    1502: "canceled",
    1503: "unavailable",
}
"""Twirp's code for that of a failed remote call; `internal` for every other."""


class RoomService:
    """One method a call; `methods` is the table of them."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._limits = rooms.config.limits
        self.methods: Methods = {
            (NAME, name): method
            for name, method in {
                "CreateRoom": Method(api.CreateRoomRequest, self.create_room),
                "ListRooms": Method(api.ListRoomsRequest, self.list_rooms),
                "DeleteRoom": Method(api.DeleteRoomRequest, self.delete_room),
                "ListParticipants": Method(api.ListParticipantsRequest, self.list_participants),
                "GetParticipant": Method(api.RoomParticipantIdentity, self.get_participant),
                "RemoveParticipant": Method(api.RoomParticipantIdentity, self.remove_participant),
                "MutePublishedTrack": Method(api.MuteRoomTrackRequest, self.mute_published_track),
                "UpdateParticipant": Method(api.UpdateParticipantRequest, self.update_participant),
                "UpdateSubscriptions": Method(api.UpdateSubscriptionsRequest, self.update_subscriptions),
                "SendData": Method(api.SendDataRequest, self.send_data),
                "UpdateRoomMetadata": Method(api.UpdateRoomMetadataRequest, self.update_room_metadata),
                "ForwardParticipant": Method(api.ForwardParticipantRequest, self.relocate_participant),
                "MoveParticipant": Method(api.MoveParticipantRequest, self.relocate_participant),
                "PerformRpc": Method(api.PerformRpcRequest, self.perform_rpc),
            }.items()
        }

    def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None:
            raise TwirpError("not_found", "requested room does not exist")
        return room

    def _participant(self, room: str, identity: str) -> Participant:
        found = self._rooms.get(room)
        participant = found.participant(identity) if found is not None else None
        if participant is None or not participant.started:
            raise TwirpError("not_found", "participant does not exist")
        return participant

    # ---- rooms ----

    async def create_room(self, claims: _Claims, request: api.CreateRoomRequest) -> models.Room:
        """Make the room and start it; one that is there already is returned as it is."""
        require_create(claims)
        if request.HasField("egress"):
            raise TwirpError("unimplemented", "egress is not part of this server")
        longest = self._limits.room_name_bytes
        if longest and len(request.name.encode()) > longest:
            message = f"room name length exceeds limits: max length {longest}"
            raise TwirpError("invalid_argument", message)
        check_metadata(request.metadata, self._limits)
        for agent in request.agents:
            check_metadata(agent.metadata, self._limits)
            check_attributes(agent.attributes, self._limits)
        settings = api.RoomConfiguration(
            name=request.name,
            empty_timeout=request.empty_timeout,
            departure_timeout=request.departure_timeout,
            max_participants=request.max_participants,
            metadata=request.metadata,
            agents=request.agents,
            min_playout_delay=request.min_playout_delay,
            max_playout_delay=request.max_playout_delay,
            sync_streams=request.sync_streams,
            tags=request.tags,
        )
        try:
            return self._rooms.create(request.name, settings, preset=request.room_preset).info()
        except KeyError:
            message = "unknown room configuration in create room request"
            raise TwirpError("invalid_argument", message) from None
        except Refusal as error:
            raise TwirpError("unavailable", error.body) from error

    async def list_rooms(self, claims: _Claims, request: api.ListRoomsRequest) -> api.ListRoomsResponse:
        require_list(claims)
        rooms = self._rooms.all()
        if request.names:
            wanted = frozenset(request.names)
            rooms = [room for room in rooms if room.name in wanted]
        return api.ListRoomsResponse(rooms=[room.info() for room in rooms])

    async def delete_room(self, claims: _Claims, request: api.DeleteRoomRequest) -> api.DeleteRoomResponse:
        require_create(claims)
        self._room(request.room).close(models.DisconnectReason.ROOM_DELETED)
        return api.DeleteRoomResponse()

    async def update_room_metadata(
        self, claims: _Claims, request: api.UpdateRoomMetadataRequest
    ) -> models.Room:
        check_metadata(request.metadata, self._limits)
        require_admin(claims, request.room)
        room = self._room(request.room)
        change_room_metadata(room, request.metadata)
        return room.info()

    async def send_data(self, claims: _Claims, request: api.SendDataRequest) -> api.SendDataResponse:
        """A packet of nobody's to those it names, or to everybody."""
        require_admin(claims, request.room)
        if len(request.nonce) not in (0, NONCE_BYTES):
            got = len(request.nonce)
            raise TwirpError("invalid_argument", f"nonce should be 16-bytes or not present, got: {got} bytes")
        room = self._room(request.room)
        label = _LABELS.get(request.kind)
        if label is None:
            raise TwirpError("invalid_argument", f"kind {request.kind} is neither RELIABLE nor LOSSY")
        user = models.UserPacket(
            payload=request.data,
            destination_sids=request.destination_sids,
            destination_identities=request.destination_identities,
            nonce=request.nonce,
        )
        if request.HasField("topic"):
            user.topic = request.topic
        room.data.send_from_server(
            label, models.DataPacket(destination_identities=request.destination_identities, user=user)
        )
        return api.SendDataResponse()

    # ---- participants ----

    async def list_participants(
        self, claims: _Claims, request: api.ListParticipantsRequest
    ) -> api.ListParticipantsResponse:
        require_admin(claims, request.room)
        room = self._rooms.get(request.room)
        participants = room.started_participants() if room is not None else []
        return api.ListParticipantsResponse(participants=[p.info() for p in participants])

    async def get_participant(
        self, claims: _Claims, request: api.RoomParticipantIdentity
    ) -> models.ParticipantInfo:
        require_admin(claims, request.room)
        return self._participant(request.room, request.identity).info()

    async def remove_participant(
        self, claims: _Claims, request: api.RoomParticipantIdentity
    ) -> api.RemoveParticipantResponse:
        """Its token still lets it in again."""
        require_admin(claims, request.room)
        participant = self._participant(request.room, request.identity)
        participant.room.remove(participant, models.DisconnectReason.PARTICIPANT_REMOVED)
        return api.RemoveParticipantResponse()

    async def mute_published_track(
        self, claims: _Claims, request: api.MuteRoomTrackRequest
    ) -> api.MuteRoomTrackResponse:
        require_admin(claims, request.room)
        participant = self._participant(request.room, request.identity)
        if not request.muted and not self._rooms.config.remote_unmute:
            raise TwirpError("failed_precondition", "remote unmute not enabled")
        return api.MuteRoomTrackResponse(track=mute_track(participant, request.track_sid, request.muted))

    async def update_participant(
        self, claims: _Claims, request: api.UpdateParticipantRequest
    ) -> models.ParticipantInfo:
        """Name and metadata that are empty stay as they are; a permission replaces the whole one."""
        check_name(request.name, self._limits)
        check_metadata(request.metadata, self._limits)
        check_attributes(request.attributes, self._limits)
        require_admin(claims, request.room)
        participant = self._participant(request.room, request.identity)
        merged = {**participant.attributes, **request.attributes}
        if attributes_size(merged) > self._limits.attributes_bytes > 0:
            raise TwirpError("invalid_argument", "attributes size exceeds limits")
        if request.name or request.metadata or request.attributes:
            participant.update_profile(
                name=request.name or None,
                metadata=request.metadata or None,
                attributes=dict(request.attributes),
            )
        if request.HasField("permission"):
            change_permission(participant, request.permission)
        return participant.info()

    async def update_subscriptions(
        self, claims: _Claims, request: api.UpdateSubscriptionsRequest
    ) -> api.UpdateSubscriptionsResponse:
        require_admin(claims, request.room)
        participant = self._participant(request.room, request.identity)
        sids = [*request.track_sids, *(sid for p in request.participant_tracks for sid in p.track_sids)]
        participant.subscriptions.wish(sids, request.subscribe)
        return api.UpdateSubscriptionsResponse()

    async def relocate_participant(
        self, claims: _Claims, request: api.MoveParticipantRequest | api.ForwardParticipantRequest
    ) -> api.MoveParticipantResponse:
        """The open livekit-server can't do this either, and answers in these words."""
        require_destination(claims, request.room, request.destination_room)
        if request.room == request.destination_room:
            message = "destination room cannot be the same as source room"
            raise TwirpError("invalid_argument", message + " ", argument=message)
        self._participant(request.room, request.identity)
        raise TwirpError("unknown", "not implemented")

    async def perform_rpc(self, claims: _Claims, request: api.PerformRpcRequest) -> api.PerformRpcResponse:
        require_admin(claims, request.room)
        if not request.destination_identity:
            raise TwirpError("invalid_argument", "destination identity is required")
        participant = self._participant(request.room, request.destination_identity)
        try:
            payload = await participant.calls.call(
                request.method, request.payload, request.response_timeout_ms
            )
        except CallError as error:
            raise TwirpError(CALL_ERRORS.get(error.code, "internal"), str(error)) from error
        return api.PerformRpcResponse(payload=payload)
