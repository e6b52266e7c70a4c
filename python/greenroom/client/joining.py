"""Joining for the first time: signalling, the join, the media path, all before one deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from livekit.protocol import rtc as proto

from greenroom.signalling.url import UrlError, signal_url

from .addresses import Addresses
from .errors import ConnectError, ConnectTimeoutError, InvalidUrlError, MediaPathError, SignalProtocolError
from .ice_servers import IceUrlError, parse_ice_url
from .reconnect import reason_name
from .waiting import loop_time, run_within

if TYPE_CHECKING:
    from .session import Session

_T = TypeVar("_T")


async def join(session: Session, url: str, token: str, deadline_s: float) -> None:
    """Done when media can flow; `deadline_s` is on the loop's clock. A ConnectError otherwise, and then what there is
    is the caller's to free."""
    _check_options(session)
    session.token, session.addresses = token, Addresses(url, session.options.route)
    try:
        shown = signal_url(url, {})
    except UrlError as error:
        raise InvalidUrlError(str(error)) from error

    async def within(stage: str, work: Coroutine[Any, Any, _T]) -> _T:
        try:
            return await run_within(work, deadline_s - loop_time())
        except asyncio.TimeoutError as error:
            if isinstance(error, ConnectError):
                raise
            raise ConnectTimeoutError(
                f"connect did not finish within {session.options.connect_timeout_s:g} s: it was {stage}; "
                "check the network, or raise RoomOptions.connect_timeout"
            ) from error

    await within("deriving the key", session.encryption.prepare())
    signal = await within(f"opening the signal connection to {shown}", session.opener.open_anywhere())
    kind, message = await within(f"waiting for the join of {shown}", signal.receive_first())
    if kind == "leave":
        why = reason_name(message.reason)
        raise SignalProtocolError(f"the server ended the session as it began: {why}; see its log")
    if kind != "join":
        raise SignalProtocolError(f"the server's first message was {kind!r}, not a join")
    assert isinstance(message, proto.JoinResponse)
    session.begin(message)
    primary = session.make_media(message)
    session.start_signal()
    session.connections.begin(message)
    try:
        await within("waiting for the media path", _first_of(primary.connected, session.end_before_connected))
    except (ConnectTimeoutError, ConnectionError) as error:
        pairs, servers = primary.candidate_pairs_tried(), primary.ice_servers_tried()
        tried = "; ".join(pairs) or "none (no candidate of the server was reachable, or none came)"
        relays = f"STUN and TURN servers: {'; '.join(servers)}; " if servers else ""
        raise MediaPathError(
            f"signalling works but no media path to the server was found ({error}); candidate "
            f"pairs tried: {tried}; {relays}"
            "check that UDP to the server's RTC ports, or TCP to its rtc.tcp_port, is open",
            candidate_pairs=pairs,
            ice_servers=servers,
        ) from error


def _check_options(session: Session) -> None:
    for url in (url for entry in session.options.ice_servers for url in entry.urls):
        try:
            parse_ice_url(url)
        except IceUrlError as error:
            raise InvalidUrlError(f"RtcConfiguration.ice_servers: {error}") from error


async def _first_of(*futures: asyncio.Future[None]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in futures:
        if future.done():
            future.result()
