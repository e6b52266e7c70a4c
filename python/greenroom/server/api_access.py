"""What a token must grant for each call of the server's API. Each check raises TwirpError `unauthenticated`."""

from __future__ import annotations

from .permissions import VideoGrant
from .tokens import Claims
from .twirp import TwirpError

_NOTHING = VideoGrant()


def _grant(claims: Claims | None) -> VideoGrant:
    return (claims.video if claims is not None else None) or _NOTHING


def _require(allowed: bool) -> None:
    if not allowed:
        raise TwirpError("unauthenticated", "permissions denied")


def require_create(claims: Claims | None) -> None:
    _require(_grant(claims).room_create)


def require_list(claims: Claims | None) -> None:
    _require(_grant(claims).room_list)


def require_record(claims: Claims | None) -> None:
    _require(_grant(claims).room_record)


def require_ingress_admin(claims: Claims | None) -> None:
    _require(_grant(claims).ingress_admin)


def require_admin(claims: Claims | None, room: str) -> None:
    """`roomAdmin` of exactly this room."""
    grant = _grant(claims)
    _require(grant.room_admin and grant.room == room)


def require_destination(claims: Claims | None, room: str, destination: str) -> None:
    """`roomAdmin` of the room, and `destinationRoom` of the other."""
    grant = _grant(claims)
    _require(grant.room_admin and grant.room == room and grant.destination_room == destination)


def require_sip(claims: Claims | None, what: str) -> None:
    """`sip.admin` or `sip.call`, as `what` says."""
    sip = claims.raw.get("sip") if claims is not None else None
    _require(isinstance(sip, dict) and sip.get(what) is True)
