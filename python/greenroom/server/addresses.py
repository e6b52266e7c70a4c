"""The machine's own IPv4 addresses, for a server that listens on all of them."""

from __future__ import annotations

import socket
import struct

WILDCARDS = frozenset({"", "0.0.0.0", "::", "[::]"})

_SIOCGIFADDR = 0x8915


def local_addresses() -> list[str]:
    """Every IPv4 address of this machine, outside-facing ones first and loopback last."""
    found = _interface_addresses() or _route_address()
    outside = [a for a in found if not a.startswith("127.")]
    return [*dict.fromkeys(outside), "127.0.0.1"]


def _interface_addresses() -> list[str]:
    try:
        import fcntl
    except ImportError:
        return []
    addresses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue  # no IPv4 address on this interface
            addresses.append(socket.inet_ntoa(answer[20:24]))
    return addresses


def _route_address() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: this only asks for the route
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def media_addresses(host: str, configured: tuple[str, ...]) -> list[str]:
    """Where media is received: what was configured, else `host`, else every address of the machine."""
    if configured:
        return list(configured)
    if host in WILDCARDS:
        return local_addresses()
    return [socket.gethostbyname(host)]
