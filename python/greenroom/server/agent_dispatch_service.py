"""`livekit.AgentDispatchService`: sending agents into rooms, and taking them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import agent_dispatch as api
from livekit.protocol.room import RoomConfiguration

from .agent_worker import deployment_error
from .api_access import require_admin
from .limits import check_attributes, check_metadata
from .refusal import Refusal
from .twirp import Method, Methods, TwirpError

if TYPE_CHECKING:
    from .agents import Agents
    from .room import Room
    from .rooms import Rooms
    from .tokens import Claims

NAME = "livekit.AgentDispatchService"


class AgentDispatchService:
    """One method a call; `methods` is the table of them."""

    def __init__(self, rooms: Rooms, agents: Agents) -> None:
        self._rooms = rooms
        self._agents = agents
        self.methods: Methods = {
            (NAME, "CreateDispatch"): Method(api.CreateAgentDispatchRequest, self.create_dispatch),
            (NAME, "DeleteDispatch"): Method(api.DeleteAgentDispatchRequest, self.delete_dispatch),
            (NAME, "ListDispatch"): Method(api.ListAgentDispatchRequest, self.list_dispatch),
        }

    def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None:
            raise TwirpError("not_found", "requested room does not exist")
        return room

    async def create_dispatch(
        self, claims: Claims | None, request: api.CreateAgentDispatchRequest
    ) -> api.AgentDispatch:
        """The room is made when it is not there and rooms may make themselves."""
        require_admin(claims, request.room)
        wrong = deployment_error(request.deployment)
        if wrong is not None:
            raise TwirpError("invalid_argument", wrong)
        limits = self._rooms.config.limits
        check_metadata(request.metadata, limits)
        check_attributes(request.attributes, limits)
        if self._rooms.config.auto_create_rooms:
            try:
                room = self._rooms.create(request.room, RoomConfiguration())
            except Refusal as error:
                raise TwirpError("unavailable", error.body) from error
        else:
            room = self._room(request.room)
        if len(self._agents.dispatches(room)) >= limits.dispatches_per_room:
            message = f"the room has {limits.dispatches_per_room} dispatches: delete some first"
            raise TwirpError("resource_exhausted", message)
        dispatch = api.RoomAgentDispatch(
            agent_name=request.agent_name,
            metadata=request.metadata,
            restart_policy=request.restart_policy,
            deployment=request.deployment,
            attributes=request.attributes,
        )
        return self._agents.create(room, dispatch).snapshot()

    async def delete_dispatch(
        self, claims: Claims | None, request: api.DeleteAgentDispatchRequest
    ) -> api.AgentDispatch:
        """Its jobs are ended, and the agents have three seconds to leave."""
        require_admin(claims, request.room)
        try:
            return self._agents.delete(self._room(request.room), request.dispatch_id).snapshot()
        except KeyError:
            raise TwirpError("not_found", "dispatch ID not found") from None

    async def list_dispatch(
        self, claims: Claims | None, request: api.ListAgentDispatchRequest
    ) -> api.ListAgentDispatchResponse:
        """All of the room, or the one that is named."""
        require_admin(claims, request.room)
        found = [
            dispatch.snapshot()
            for dispatch in self._agents.dispatches(self._room(request.room))
            if request.dispatch_id in ("", dispatch.info.id)
        ]
        return api.ListAgentDispatchResponse(agent_dispatches=found)
