"""Rooms on several worker threads behind one port: what comes in on one thread reaches the room that lives on another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from room_tools import Ear, Rooms, microphone, within
from udp_relay import RELAY_ADDRESS, UdpRelay

import greenroom
from greenroom import _engine
from livekit import rtc

pytestmark = pytest.mark.usefixtures("nothing_left")


def shard_of(server: greenroom.Server, rooms: Rooms) -> int:
    assert server._rooms is not None
    room = server._rooms.get(rooms.name)
    assert room is not None
    return room.plane.shard


def handed_over(server: greenroom.Server) -> int:
    assert server._sfu is not None
    counters = server._sfu.stats()
    assert counters["datagrams_not_handed_over"] == 0
    return counters["datagrams_handed_over"]


class Talk:
    """A room with one who speaks and one who listens."""

    def __init__(self, server: greenroom.Server) -> None:
        self.rooms = Rooms(server)

    async def join(self) -> None:
        self.speaker, _ = await self.rooms.join("speaker")
        self.listener, self.heard = await self.rooms.join("listener")

    async def hear(self, hz: float) -> None:
        """A new microphone, and a message, from one to the other."""
        known = len(self.heard.of("track_subscribed"))
        async with microphone(self.speaker, hz):
            track, *_ = await self.heard.wait("track_subscribed", count=known + 1)
            stream = rtc.AudioStream(track)
            await Ear(stream).wait_for_tone(hz)
            await stream.aclose()
        await within(self.speaker.local_participant.publish_data(f"{hz}"))
        await self.heard.wait("data_received", lambda packet: packet.data == f"{hz}".encode())


async def two_rooms(server: greenroom.Server) -> tuple[Talk, Talk]:
    """On the shard that reads the sockets, and on the other."""
    talks = Talk(server), Talk(server)
    for talk in talks:
        await talk.join()
    assert [shard_of(server, talk.rooms) for talk in talks] == [0, 1]
    return talks


@pytest.fixture(params=["udp", "tcp"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server(media_shards=2, force_tcp=request.param == "tcp") as server:
        yield server


async def test_rooms_on_different_workers_talk_at_once(server: greenroom.Server) -> None:
    here, there = await two_rooms(server)
    assert handed_over(server) > 0, "the first packet of who is there came in here"
    await here.hear(700)
    before = handed_over(server)
    await there.hear(900)
    assert handed_over(server) > before
    for talk in (here, there):
        assert talk.heard.names("reconnecting", "disconnected") == []
        await talk.rooms.leave()


async def test_a_client_whose_address_changes_stays_with_its_worker() -> None:
    settings: dict[str, Any] = {"tcp_port": None, "advertised_addresses": (RELAY_ADDRESS,), "media_shards": 2}
    async with greenroom.Server(**settings) as server, UdpRelay(server.udp_port) as relay:
        talks = await two_rooms(server)
        for talk in talks:
            await talk.hear(700)
        relay.rebind()
        for talk in talks:
            await talk.hear(900)
            assert talk.heard.names("disconnected", "participant_disconnected") == []
            await talk.rooms.leave()


async def test_new_rooms_go_to_the_least_used_worker() -> None:
    async with greenroom.Server(media_shards=2) as server:
        crowded, quiet, third = (Rooms(server) for _ in range(3))
        for identity in ("a", "b"):
            await crowded.join(identity)
        await quiet.join("a")
        await third.join("a")
        shards = [shard_of(server, rooms) for rooms in (crowded, quiet, third)]
        assert shards == [0, 1, 1]
        await crowded.leave()
        fourth = Rooms(server)
        await fourth.join("a")
        assert shard_of(server, fourth) == 0, "transports that are gone don't count"
        for rooms in (quiet, third, fourth):
            await rooms.leave()


async def test_a_server_has_a_shard_for_each_worker_thread_unless_told() -> None:
    async with greenroom.Server() as server:
        assert server._sfu is not None
        assert server._sfu.shards >= 1
        with pytest.raises(ValueError, match=r"shard is 99; there are"):
            server._sfu.create_transport(shard=99)
    with pytest.raises(ValueError, match="shards is 65"):
        _engine.Sfu(_engine.EventPort(), bind_addresses=["127.0.0.1"], shards=65)
