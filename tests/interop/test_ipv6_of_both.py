"""`greenroom serve` over IPv6 alone, and signalling with livekit-server over IPv6.

livekit-server's media can't go over ::1, the one IPv6 address that every machine has: its ICE takes all of ::/96 for
IPv4-compatible addresses, and offers none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ipv6_cases import *  # noqa: F403 - the tests
from room_tools import Rooms

from .servers import RoomServer, greenroom_server, livekit_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomServer]:
    with greenroom_server(tmp_path_factory.mktemp("ipv6") / "output.log", address="::1") as server:
        yield server


async def test_signalling_with_livekit_server_over_ipv6(tmp_path: Path) -> None:
    with livekit_server(tmp_path / "output.log", address="::1") as livekit:
        assert livekit.url.startswith("ws://[::1]:")
        rooms = Rooms(livekit)
        anna, _ = await rooms.join("anna")
        _, events = await rooms.join("bob")
        await anna.local_participant.publish_data("hello")
        await events.wait("data_received", lambda packet: packet.data == b"hello")
        await rooms.leave()
