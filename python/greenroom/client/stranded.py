"""Whether a TCP connection has lost the address of this machine that it goes from, while others could take its place.

The kernel goes on sending from an address that is gone, into nothing, for minutes.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Any


def is_stranded(ours: Any, theirs: Any, present: Collection[str]) -> bool:
    """Both ends as `getsockname` and `getpeername` give them, and the addresses that this machine has now."""
    return _is_gone(ours, present) and _has_route(theirs)


def _is_gone(ours: Any, present: Collection[str]) -> bool:
    if not isinstance(ours, tuple):
        return False
    address = ipaddress.ip_address(ours[0].partition("%")[0])
    # Nobody lists those of IPv6 links.
    return not address.is_link_local and str(address) not in present


def _has_route(theirs: Any) -> bool:
    """The kernel knows a way there; nothing is sent."""
    family = socket.AF_INET6 if ":" in theirs[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(theirs)
        except OSError:
            return False
    return True
