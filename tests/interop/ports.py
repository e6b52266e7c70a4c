"""Ports for servers that must be told theirs before they start."""

from __future__ import annotations

import random
import socket
from pathlib import Path

RELAY_PORTS = range(20_000, 30_000)
"""Where the TURN server of the tests relays: nothing else listens there."""
_LISTENING = range(11_000, 65_536)
"""Above what browsers refuse to connect to."""


def _ephemeral_ports() -> range:
    """What the kernel gives to connections: one of those may be taken before its server binds it."""
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    except OSError:
        text = "32768 65535"
    first, last = map(int, text.split())
    return range(first, last + 1)


def _in_random_order() -> list[int]:
    allowed = [port for port in _LISTENING if port not in RELAY_PORTS]
    ephemeral = _ephemeral_ports()
    # All of them, where the kernel leaves none.
    ports = [port for port in allowed if port not in ephemeral] or allowed
    return random.Random().sample(ports, len(ports))


_untried = iter(_in_random_order())


def free_port() -> int:
    """Free for TCP and UDP at every address of this machine, and never given to anyone else in this process."""
    for port in _untried:
        if _is_free(port):
            return port
    raise RuntimeError(f"no port is left of those in {_LISTENING}, outside of {_ephemeral_ports()}")


def _is_free(port: int) -> bool:
    is_dual = socket.has_dualstack_ipv6()
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET6 if is_dual else socket.AF_INET, kind) as probe:
            if is_dual:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            try:
                probe.bind(("", port))
            except OSError:
                return False
    return True
