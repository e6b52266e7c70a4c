"""STUN and TURN servers: reading their URLs (RFC 7064, RFC 7065) and looking their names up."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace

_logger = logging.getLogger("livekit")

MAX_ICE_SERVERS = 16
_LOOKUP_TIMEOUT_S = 5.0
_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:?/\[\]@]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:\?transport=(?P<transport>[A-Za-z]+))?",
    re.IGNORECASE,
)
_TRANSPORTS = {
    ("stun", "udp"): "udp",
    ("turn", "udp"): "udp",
    ("turn", "tcp"): "tcp",
    ("turns", "tcp"): "tls",
}
"""(scheme, transport of the URL) to the engine's transport. DTLS (`turns:` over UDP) and STUN over streams give
nothing that the others do not."""


class IceUrlError(ValueError):
    """The URL is none of a STUN or TURN server, or of one that can't be used."""


@dataclass(frozen=True)
class IceServerEntry:
    """As a user, or the server's join response, gives it."""

    urls: tuple[str, ...]
    username: str = ""
    password: str = ""


@dataclass(frozen=True)
class IceServer:
    """What `_engine.Peer.add_ice_server` takes; `address` is empty until it is looked up."""

    kind: str
    transport: str
    url: str
    host: str
    port: int
    address: str = ""
    username: str = ""
    password: str = ""
    trusted_certificates: tuple[bytes, ...] | None = None
    verify: bool = True


def parse_ice_url(url: str) -> IceServer:
    """IceUrlError says what is wrong with it."""
    match = _URL.fullmatch(url.strip())
    if match is None:
        raise IceUrlError(
            f"{url[:200]!r} is no URL of a STUN or TURN server; write stun:HOST[:PORT], "
            "turn:HOST[:PORT][?transport=udp|tcp] or turns:HOST[:PORT]"
        )
    scheme = match["scheme"].lower()
    default = "tcp" if scheme in ("turns", "stuns") else "udp"
    transport = _TRANSPORTS.get((scheme, (match["transport"] or default).lower()))
    if transport is None:
        raise IceUrlError(
            f"{url[:200]!r} can't be used: stun: goes over UDP, turn: over UDP or TCP, turns: over TCP"
        )
    port = int(match["port"] or (5349 if scheme == "turns" else 3478))
    if not 0 < port < 65536:
        raise IceUrlError(f"{url[:200]!r} has the port {port}; use 1 to 65535")
    host = match["host"].strip("[]")
    return IceServer(kind=scheme[:4], transport=transport, url=url.strip(), host=host, port=port)


def read_entries(entries: Iterable[IceServerEntry]) -> list[IceServer]:
    """The usable URLs of all entries, in order, without repetitions. Others are logged and skipped."""
    servers: dict[tuple[str, str], IceServer] = {}
    for entry in entries:
        for url in entry.urls:
            try:
                server = parse_ice_url(url)
            except IceUrlError as error:
                _logger.warning("skipped an ICE server: %s", error)
                continue
            if server.kind == "turn" and not (entry.username and entry.password):
                _logger.warning("skipped the ICE server %s: a TURN server takes username and credential", url)
                continue
            servers[(server.url, entry.username)] = replace(
                server, username=entry.username, password=entry.password
            )
    if len(servers) > MAX_ICE_SERVERS:
        _logger.warning("%d ICE servers are given; the first %d are used", len(servers), MAX_ICE_SERVERS)
    return list(servers.values())[:MAX_ICE_SERVERS]


def trusting(server: IceServer, context: ssl.SSLContext | None) -> IceServer:
    """The same server, with TLS as this context has it; None: as this machine has it."""
    if server.transport != "tls" or context is None:
        return server
    certificates = tuple(context.get_ca_certs(binary_form=True))
    return replace(
        server,
        trusted_certificates=certificates or None,
        verify=context.verify_mode != ssl.CERT_NONE,
    )


async def look_up(
    servers: Iterable[IceServer], on_failed: Callable[[IceServer, str], None] = lambda server, reason: None
) -> AsyncIterator[IceServer]:
    """Each server with an address, as soon as it is known: one of each family, where it has both. Names that can't be
    looked up are told to `on_failed`, with the reason."""
    named: list[IceServer] = []
    for server in servers:
        if _is_address(server.host):
            yield replace(server, address=server.host)
        else:
            named.append(server)
    tasks = [asyncio.ensure_future(_addresses(server, on_failed)) for server in named]
    try:
        for finished in asyncio.as_completed(tasks):
            for found in await finished:
                yield found
    finally:
        for task in tasks:
            task.cancel()


async def _addresses(server: IceServer, on_failed: Callable[[IceServer, str], None]) -> list[IceServer]:
    loop = asyncio.get_running_loop()
    try:
        lookup = loop.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
        found = await asyncio.wait_for(lookup, _LOOKUP_TIMEOUT_S)
    except (OSError, UnicodeError, asyncio.TimeoutError) as error:
        reason = str(error) or f"no answer within {_LOOKUP_TIMEOUT_S:g} s"
        on_failed(server, f"unreachable: looking its name up failed: {reason}")
        return []
    by_family = {family: str(address[0]) for family, _, _, _, address in reversed(found)}
    return [
        replace(server, address=by_family[family])
        for family in (socket.AF_INET, socket.AF_INET6)
        if family in by_family
    ]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
