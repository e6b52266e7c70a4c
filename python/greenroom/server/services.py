"""All methods of the server's API: those of its services, and those of services that need other systems."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf import message_factory
from google.protobuf.message import Message
from livekit.protocol import egress, ingress, sip

from .agent_dispatch_service import AgentDispatchService
from .api_access import require_ingress_admin, require_record, require_sip
from .room_service import RoomService
from .tokens import Claims
from .twirp import Method, Methods, TwirpError

if TYPE_CHECKING:
    from .agents import Agents
    from .rooms import Rooms

_Access = Callable[[Claims | None], None]

_SIP_CALLS = frozenset({"CreateSIPParticipant", "TransferSIPParticipant"})


def _sip_access(method: str) -> _Access:
    return lambda claims: require_sip(claims, "call" if method in _SIP_CALLS else "admin")


ABSENT: tuple[tuple[Any, Callable[[str], _Access]], ...] = (
    (egress.DESCRIPTOR.services_by_name["Egress"], lambda _: require_record),
    (ingress.DESCRIPTOR.services_by_name["Ingress"], lambda _: require_ingress_admin),
    (sip.DESCRIPTOR.services_by_name["SIP"], _sip_access),
)
"""Services whose methods are known but not done, and what a token must grant to be told so."""


def _unimplemented(service: str, method: str, access: _Access) -> Callable[[Claims | None, Any], Any]:
    async def refuse(claims: Claims | None, request: Message) -> Message:
        access(claims)
        raise TwirpError("unimplemented", f"{service}/{method} is not part of this server")

    return refuse


def absent_methods() -> Methods:
    """The methods of the absent services: permission is checked, then they answer `unimplemented`."""
    return {
        (service.full_name, method.name): Method(
            message_factory.GetMessageClass(method.input_type),
            _unimplemented(service.full_name, method.name, access(method.name)),
        )
        for service, access in ABSENT
        for method in service.methods
    }


def methods(rooms: Rooms, agents: Agents) -> Methods:
    """The whole table."""
    return {
        **absent_methods(),
        **RoomService(rooms).methods,
        **AgentDispatchService(rooms, agents).methods,
    }
