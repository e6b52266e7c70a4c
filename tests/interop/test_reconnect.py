"""Reconnecting between real peers: our SDK and livekit-server, the official SDK and the embedded server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from reconnect_cases import *  # noqa: F403 - the tests
from room_tools import Ear, Rooms, microphone, within
from tcp_proxy import TcpProxy

from livekit import api, rtc
from livekit.rtc.room import proto_room

from .peers import official_sdk_python
from .servers import RoomServer

_PROGRAM = Path(__file__).parent / "reconnect_program.py"
_LIMIT_S = 40.0


@pytest.fixture
def server(livekit: RoomServer) -> RoomServer:
    return livekit


class OfficialClient:
    """The official SDK in its own process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[str] = []

    async def wait(self, event: str) -> None:
        """Read what it tells until this comes."""
        assert self._process.stdout is not None
        while event not in self.events:
            line = await asyncio.wait_for(self._process.stdout.readline(), _LIMIT_S)
            assert line, f"it ended before {event}; it told {self.events}"
            self.events.append(json.loads(line)["event"])

    async def simulate(self, kind: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{proto_room.SimulateScenarioKind.Value(kind)}\n".encode())
        await self._process.stdin.drain()


@pytest.fixture
async def official(
    nothing_left: None, embedded: RoomServer
) -> AsyncIterator[tuple[OfficialClient, TcpProxy, Rooms]]:
    """The official SDK behind a proxy, in a room of the embedded server that we can join too."""
    rooms = Rooms(embedded)
    async with TcpProxy(embedded.url) as proxy:
        process = await asyncio.create_subprocess_exec(
            official_sdk_python(), _PROGRAM, proxy.url, rooms.token("official"),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            client = OfficialClient(process)
            await client.wait("ready")
            yield client, proxy, rooms
        finally:
            await rooms.leave()
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except asyncio.TimeoutError:
                process.kill()
                await process.wait()


async def test_the_official_sdk_resumes_on_the_embedded_server(
    official: tuple[OfficialClient, TcpProxy, Rooms],
) -> None:
    client, proxy, rooms = official
    room, events = await rooms.join("us")
    async with microphone(room, 900):
        track, *_ = await events.wait("track_subscribed")
        await client.wait("track_subscribed")
        told, heard = len(client.events), len(events.all)
        stream = rtc.AudioStream(track)
        proxy.cut()
        await client.wait("reconnected")
        await Ear(stream).wait_for_tone(600)
        await stream.aclose()
        await within(room.local_participant.publish_data("after"))
        await events.wait("data_received", lambda packet: packet.data == b"after")
        since = [event for event in client.events[told:] if event != "active_speakers_changed"]
        assert since == ["reconnecting", "reconnected"]
        leaving = {"track_unsubscribed", "participant_disconnected", "track_published", "track_unpublished"}
        assert leaving.isdisjoint(name for name, _ in events.all[heard:]), "a resume is not seen by others"


async def test_the_official_sdk_restarts_when_its_session_is_gone(
    official: tuple[OfficialClient, TcpProxy, Rooms],
) -> None:
    client, proxy, rooms = official
    room, events = await rooms.join("us")
    await events.wait("track_subscribed")
    proxy.refusing = True
    before = proxy.connections
    proxy.cut()
    await proxy.reached(before + 2)  # the resume and its validation, or the next attempt: it starts anew now
    proxy.refusing = False
    await client.wait("reconnected")
    assert "local_track_republished" in client.events
    await events.wait("track_subscribed", count=2)
    assert room.remote_participants["official"].track_publications
    assert client.events.count("reconnecting") == 1


async def test_data_of_a_server_sdk_reaches_the_official_sdk(
    official: tuple[OfficialClient, TcpProxy, Rooms], embedded: RoomServer
) -> None:
    """It answers each packet with what it said."""
    _, _, rooms = official
    _, events = await rooms.join("us")
    async with api.LiveKitAPI(embedded.url, embedded.api_key, embedded.api_secret) as client:
        await client.room.send_data(
            api.SendDataRequest(
                room=rooms.name, data=b"from a server", kind=0, destination_identities=["official"]
            )
        )
    packet = (await events.wait("data_received"))[0]
    assert (packet.data, packet.participant.identity) == (b"from a server", "official")


_RESUMED = ["reconnecting", "reconnected"]
_RESTARTED = ["reconnecting", "local_track_republished", "reconnected"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("SIMULATE_SIGNAL_RECONNECT", _RESUMED),
        ("SIMULATE_NODE_FAILURE", _RESTARTED),
        ("SIMULATE_MIGRATION", _RESTARTED),
        ("SIMULATE_FORCE_TCP", _RESTARTED),
        ("SIMULATE_FORCE_TLS", _RESTARTED),
        ("SIMULATE_FULL_RECONNECT", _RESTARTED),
        ("SIMULATE_DISCONNECT_SIGNAL_ON_RESUME", _RESTARTED),
        ("SIMULATE_SERVER_LEAVE", ["disconnected"]),
        ("SIMULATE_SPEAKER", ["active_speakers_changed"]),
    ],
)
async def test_failures_that_the_official_sdk_simulates_on_the_embedded_server(
    official: tuple[OfficialClient, TcpProxy, Rooms], kind: str, expected: list[str]
) -> None:
    client, _, rooms = official
    _, events = await rooms.join("us")
    await events.wait("track_subscribed")
    client.events.clear()
    await client.simulate(kind)
    await client.wait(expected[-1])
    life = {*_RESTARTED, "disconnected"} if kind != "SIMULATE_SPEAKER" else {"active_speakers_changed"}
    assert [event for event in client.events if event in life] == expected
    if expected[-1] == "reconnected":
        track, *_ = await events.wait("track_subscribed", count=2 if expected is _RESTARTED else 1)
        audible = rtc.AudioStream(track)
        await Ear(audible).wait_for_tone(600)
        await audible.aclose()
