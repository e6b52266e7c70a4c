"""The machine's own addresses, for a server that listens on all of them, and the one that stands in its URL."""

from __future__ import annotations

import ipaddress
import socket
import struct
from pathlib import Path

_IPV6_WILDCARDS = frozenset({"::", "[::]"})
WILDCARDS = _IPV6_WILDCARDS | {"", "0.0.0.0"}

_SIOCGIFADDR = 0x8915
_IPV6_TABLE = Path("/proc/net/if_inet6")
_LINK_SCOPE = 0x20
"""Addresses that need a zone: of no use in a candidate."""


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


def _ipv6_addresses() -> list[str]:
    """Every IPv6 address of this machine that others can use, loopback last."""
    try:
        lines = _IPV6_TABLE.read_text().splitlines()
    except OSError:
        return []
    rows = [line.split() for line in lines]
    found = [ipaddress.IPv6Address(int(row[0], 16)) for row in rows if int(row[3], 16) != _LINK_SCOPE]
    return [str(address) for address in sorted(found, key=lambda address: address.is_loopback)]


def media_addresses(host: str, configured: tuple[str, ...]) -> list[str]:
    """Where media is received: what was configured, else `host`, else every address of the machine.

    OSError when `host` can't be found, or the machine has no address in a configured network.
    """
    if configured:
        return list(dict.fromkeys(address for entry in configured for address in _addresses_in(entry)))
    if host in _IPV6_WILDCARDS:
        return _ipv6_addresses() or local_addresses()
    if host in WILDCARDS:
        return local_addresses()
    return [_address_of(host)]


def _addresses_in(entry: str) -> list[str]:
    """The address itself, or those of this machine in a network."""
    if "/" not in entry:
        return [entry]
    network = ipaddress.ip_network(entry, strict=False)
    own = local_addresses() if network.version == 4 else _ipv6_addresses()
    found = [address for address in own if ipaddress.ip_address(address) in network]
    if not found:
        raise OSError(f"this machine has no address in {entry}; it has {', '.join(own) or 'none'}")
    return found


def _address_of(host: str) -> str:
    """Of a name that has several, an IPv4 one: it may have ::1 on a machine without IPv6."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise OSError(error.errno, f"can't listen on {host}: {error.strerror}") from error
    families = {family: str(address[0]) for family, *_, address in reversed(found)}
    return families.get(socket.AF_INET) or families[socket.AF_INET6]


def shown_host(host: str) -> str:
    """What stands for the server's host in a URL: of a wildcard, this machine's loopback."""
    if host in _IPV6_WILDCARDS:
        return "[::1]"
    if host in WILDCARDS:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
