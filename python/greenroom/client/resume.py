"""Going on with the same session over a new signal connection."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from livekit.protocol import rtc as proto

from . import participants
from .errors import ConnectTimeoutError, MediaPathError, SignalProtocolError
from .reconnect import LeaveAction, leave_action, reason_name
from .sync_state import sync_state
from .waiting import run_within

if TYPE_CHECKING:
    from .session import Session

OPEN_TIMEOUT_S = 5.0
FIRST_MESSAGE_TIMEOUT_S = 5.0
MEDIA_TIMEOUT_S = 15.0


async def resume(session: Session) -> None:
    """One attempt: done when media flows again and nothing is missing. A ConnectError otherwise."""
    seen: set[str] = set()
    session.seen = seen
    try:
        reconnect = await _reconnect(session)
        session.renew_ice_servers(reconnect)
        session.send("sync_state", sync_state(session))
        media_back = session.connections.restart_ice()
        session.start_signal()
        await _wait_for(media_back())
        await session.sender.replay(reconnect.last_message_seq)
    finally:
        session.seen = None
    if not session.has_signal:
        raise SignalProtocolError("the signal connection was lost while resuming")
    # The snapshot names everybody, us included: who is not in it, nor in a later update, has left.
    if session.state.local.identity in seen:
        for participant in list(session.state.remotes.values()):
            if participant.identity not in seen:
                participants.remove(session, participant)
    session.publications.ask_again()
    session.requests.ask_again()
    session.data_tracks.ask_again()


async def _reconnect(session: Session) -> proto.ReconnectResponse:
    kind, message = await first_message(session, resume=True)
    if kind != "reconnect":
        raise SignalProtocolError(f"the server answered a resume with {kind!r}")
    assert isinstance(message, proto.ReconnectResponse)
    return message


async def first_message(session: Session, *, resume: bool = False) -> tuple[str, Any]:
    """Open a signal connection with the newest token. SignalProtocolError when it begins with a leave; the
    session has ended then if the leave says so."""
    try:
        sid = session.state.local.sid if resume else ""
        signal = await run_within(session.opener.open(resumed_sid=sid), OPEN_TIMEOUT_S)
        kind, message = await run_within(signal.receive_first(), FIRST_MESSAGE_TIMEOUT_S)
    except asyncio.TimeoutError as error:
        raise ConnectTimeoutError("the signal connection did not open in time") from error
    if kind == "leave":
        if leave_action(message) is LeaveAction.END:
            session.ended_by_server(message)
        raise SignalProtocolError(f"the server answered with a leave ({reason_name(message.reason)})")
    return kind, message


async def _wait_for(media: Coroutine[Any, Any, None]) -> None:
    try:
        await run_within(media, MEDIA_TIMEOUT_S)
    except asyncio.TimeoutError as error:
        raise MediaPathError(f"no media within {MEDIA_TIMEOUT_S:g} s after resuming") from error
    except ConnectionError as error:
        raise MediaPathError(f"media did not come back: {error}") from error
