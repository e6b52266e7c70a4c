"""What this process holds open, for tests that nothing may be left behind."""

from __future__ import annotations

import os


def open_descriptors() -> dict[str, str]:
    """Sockets, pipes and event descriptors of this process, by number."""
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith(("socket:", "pipe:", "anon_inode:")):
            found[number] = target
    return found


def udp_sockets() -> set[str]:
    """The local address of each UDP socket of this process, as `/proc/net/udp` writes it; without those that look up
    names, which are connected to a remote."""
    own = set(open_descriptors().values())
    found: set[str] = set()
    for table in ("/proc/self/net/udp", "/proc/self/net/udp6"):
        if not os.path.exists(table):
            continue
        with open(table) as lines:
            words = [line.split() for line in lines][1:]
        free = [word for word in words if set(word[2]) == {"0", ":"}]
        found.update(word[1] for word in free if f"socket:[{word[9]}]" in own)
    return found
