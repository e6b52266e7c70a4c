"""The server's HTTP refusals of a join, read into typed errors by one table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import (
    ConnectError,
    ExpiredTokenError,
    MalformedTokenError,
    PermissionDeniedError,
    RoomFullError,
    RoomNotFoundError,
    ServerRefusedError,
    TokenError,
    TokenNotYetValidError,
    WrongKeyError,
)


@dataclass(frozen=True)
class _Refusal:
    status: int | None
    """None: any."""
    text: str
    """Found in the lower-case body; empty matches always."""
    error: type[ConnectError]
    advice: str


_KEY_ADVICE = "sign the token with a key and secret that this server is configured with"
_REFUSALS = (
    _Refusal(
        401,
        "token is expired",
        ExpiredTokenError,
        "the token has expired: mint a new one, or check both clocks",
    ),
    _Refusal(
        401,
        "not valid yet",
        TokenNotYetValidError,
        "the token's nbf is in the future: wait, or check both clocks",
    ),
    _Refusal(
        401, "invalid api key", WrongKeyError, f"the server does not know the token's API key: {_KEY_ADVICE}"
    ),
    _Refusal(
        401, "signature is invalid", WrongKeyError, f"the token's signature does not match: {_KEY_ADVICE}"
    ),
    _Refusal(
        401,
        "invalid authorization",
        MalformedTokenError,
        "the token is no JWT: mint one with livekit.api.AccessToken",
    ),
    _Refusal(
        401,
        "permission",
        PermissionDeniedError,
        "the token does not allow to join: grant room_join and the room's name",
    ),
    _Refusal(400, "no room name", TokenError, "the token names no room: set `room` in its video grant"),
    _Refusal(400, "room name length", TokenError, "the token's room has too long a name: use a shorter one"),
    _Refusal(
        400, "identity", TokenError, "the token's identity can't be used: set one of 1 to 256 characters"
    ),
    _Refusal(
        None,
        "max participants",
        RoomFullError,
        "the room is full: raise its max_participants or wait for someone to leave",
    ),
    _Refusal(
        None,
        "max_participants",
        RoomFullError,
        "the room is full: raise its max_participants or wait for someone to leave",
    ),
    _Refusal(
        500,
        "connection closed by media",
        RoomFullError,
        "the session ended as it began: most often the room is full (max_participants); the "
        "server's log has the reason",
    ),
    _Refusal(404, "room does not exist", RoomNotFoundError, "create the room first, or grant room_create"),
    _Refusal(404, "", ServerRefusedError, "nothing at this path speaks the LiveKit protocol: check the URL"),
    _Refusal(401, "", TokenError, "the server refused the token"),
    _Refusal(403, "", TokenError, "the server refused the token"),
    _Refusal(503, "", ServerRefusedError, "the server is over its limits: try again later"),
)
_OTHER = _Refusal(None, "", ServerRefusedError, "the server refused to start the session: see its log")
_BODY_LIMIT = 500
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""Servers repeat the token in their answer; it must not reach logs through our message."""


def refusal_error(url: str, status: int, body: str) -> ConnectError:
    """The error for a join at `url` (without its query) that was answered with this status and body."""
    text = body.lower()
    refusal = next((r for r in _REFUSALS if r.status in (None, status) and r.text in text), _OTHER)
    shown = _TOKEN.sub("<token>", body.strip())[:_BODY_LIMIT]
    message = f"joining at {url} was refused with status {status}: {shown or '(no body)'}; {refusal.advice}"
    return refusal.error(message, status=status, body=body)
