"""Many rooms of one process on few UDP sockets, where the server gives each connection a port of its own; and where it
has one port for all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from descriptors import udp_sockets
from room_tools import Ear, Events, Rooms, microphone, within

from livekit import rtc
from livekit.rtc.room import proto_room

from .servers import RoomServer, greenroom_server, livekit_server

ROOMS = 20
_RESUME = proto_room.SimulateScenarioKind.Value("SIMULATE_SIGNAL_RECONNECT")
_RESTART = proto_room.SimulateScenarioKind.Value("SIMULATE_FULL_RECONNECT")


class Pair:
    """Two participants of one room."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.packets: asyncio.Queue[rtc.DataPacket] = asyncio.Queue()

    @classmethod
    async def join(cls, server: RoomServer) -> Pair:
        pair = cls(Rooms(server))
        pair.alice, pair.events = await pair.rooms.join("alice")
        pair.bob, _ = await pair.rooms.join("bob")
        pair.bob.on("data_received", pair.packets.put_nowait)
        return pair

    alice: rtc.Room
    events: Events
    bob: rtc.Room

    async def check_data(self, text: str) -> None:
        await self.alice.local_participant.publish_data(text)
        assert (await within(self.packets.get())).data == text.encode()

    async def check_sound(self, hz: float) -> None:
        found: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()
        self.bob.once("track_subscribed", lambda track, *_: found.set_result(track))
        async with microphone(self.alice, hz):
            stream = rtc.AudioStream(await within(found), sample_rate=48_000, num_channels=1)
            await Ear(stream).wait_for_tone(hz)
            await stream.aclose()

    def local_addresses(self) -> set[str]:
        """Where the media of both leave this machine."""
        sessions = [room._session for room in (self.alice, self.bob)]
        links = [link for session in sessions if session is not None for link in session.connections.links]
        transports: list[dict[str, Any]] = [link.peer.stats()["transport"] for link in links]
        return {way["local_candidate"].split()[-1] for way in transports if way["dtls_state"] == "connected"}


async def check_all(pairs: list[Pair], text: str) -> None:
    await asyncio.gather(*(pair.check_data(f"{text} {number}") for number, pair in enumerate(pairs)))


@pytest.fixture
def ranged(tmp_path: Path) -> Iterator[RoomServer]:
    """livekit-server with a port for each peer connection."""
    section = "  port_range_start: 42000\n  port_range_end: 42999"
    with livekit_server(tmp_path / "output.log", rtc=section) as server:
        yield server


@pytest.fixture(params=[livekit_server, greenroom_server])
def single(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RoomServer]:
    """A server with one UDP port for all."""
    with request.param(tmp_path / "output.log") as server:
        yield server


Join = Callable[[RoomServer, int], "asyncio.Future[list[Pair]]"]


@pytest.fixture
async def join(nothing_left: None) -> AsyncIterator[Join]:
    pairs: list[Pair] = []

    async def some(server: RoomServer, count: int) -> list[Pair]:
        new = await asyncio.gather(*(Pair.join(server) for _ in range(count)))
        pairs.extend(new)
        return list(new)

    yield some  # type: ignore[misc]
    await asyncio.gather(*(pair.rooms.leave() for pair in pairs))


async def test_rooms_share_sockets_where_each_has_a_port_on_the_server(
    ranged: RoomServer, join: Join
) -> None:
    workers = os.cpu_count() or 1
    others = udp_sockets()
    pairs = await join(ranged, ROOMS)
    sockets = udp_sockets() - others
    addresses = {socket.split(":")[0] for socket in sockets}
    assert len(sockets) <= workers * len(addresses), sockets
    assert len(set.union(*(pair.local_addresses() for pair in pairs))) <= workers * len(addresses)
    await check_all(pairs, "all together")
    await asyncio.gather(*(pair.check_sound(500 + 100 * number) for number, pair in enumerate(pairs[:3])))

    await pairs.pop().rooms.leave()
    await check_all(pairs, "after one has left")

    await pairs[0].alice.simulate_scenario(_RESUME)
    await pairs[0].events.wait("reconnected")
    await check_all(pairs, "after one has restarted ICE")
    await pairs[1].alice.simulate_scenario(_RESTART)
    await pairs[1].events.wait("reconnected")
    await check_all(pairs, "after one has begun anew")
    await asyncio.gather(*(pair.check_sound(500 + 100 * number) for number, pair in enumerate(pairs[:3])))
    assert len(udp_sockets() - others) <= workers * len(addresses), "it joined on the shared ones again"


async def test_a_room_that_joins_among_others_changes_nothing_for_them(
    ranged: RoomServer, join: Join
) -> None:
    pairs = await join(ranged, 2)
    async with microphone(pairs[0].alice, 900):
        track = await within(_first_track(pairs[0].bob))
        stream = rtc.AudioStream(track, sample_rate=48_000, num_channels=1)
        ear = Ear(stream)
        await ear.wait_for_tone(900)
        for _ in range(3):
            (passing,) = await join(ranged, 1)
            await passing.check_data("passing by")
            await passing.rooms.leave()
            await ear.wait_for_tone(900)
        await stream.aclose()
    assert "reconnecting" not in pairs[0].events.names()


async def test_each_room_has_sockets_of_its_own_where_the_server_has_one_port(
    single: RoomServer, join: Join
) -> None:
    pairs = await join(single, 5)
    await check_all(pairs, "all together")
    ways = [pair.local_addresses() for pair in pairs]
    assert len(set.union(*ways)) == sum(len(way) for way in ways) == 2 * len(pairs), ways

    await pairs.pop(0).rooms.leave()
    (late,) = await join(single, 1)
    pairs.append(late)
    await check_all(pairs, "after the first has left and another come")
    for pair, scenario in zip(pairs, (_RESUME, _RESTART), strict=False):
        await pair.alice.simulate_scenario(scenario)
        await pair.events.wait("reconnected")
        await check_all(pairs, "after a reconnect")
    await asyncio.gather(*(pair.check_sound(500 + 100 * number) for number, pair in enumerate(pairs)))
    for pair in pairs[2:]:
        assert "reconnecting" not in pair.events.names()


def _first_track(room: rtc.Room) -> asyncio.Future[Any]:
    """A remote track of the room, now or soon."""
    found = asyncio.get_running_loop().create_future()
    there = [
        publication.track
        for participant in room.remote_participants.values()
        for publication in participant.track_publications.values()
        if publication.track is not None
    ]
    if there:
        found.set_result(there[0])
    else:
        room.once("track_subscribed", lambda track, *_: found.set_result(track))
    return found
