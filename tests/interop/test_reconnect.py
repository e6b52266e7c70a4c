"""Reconnecting between real peers: our SDK and livekit-server, the official SDK and the embedded server."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from reconnect_cases import *  # noqa: F403 - the tests
from reconnect_cases import Behind, media_dies_and_is_revived, server_dies_and_another_follows
from room_tools import Ear, Events, Rooms, microphone, within
from tcp_proxy import TcpProxy
from udp_relay import RELAY_ADDRESS, UdpRelay, server_behind_relay

from livekit import api, rtc
from livekit.rtc.room import proto_room

from .official import OfficialClient, official_client
from .servers import RoomServer, greenroom_server, livekit_server

_LIFE = {
    "reconnecting", "reconnected", "disconnected", "participant_connected", "participant_disconnected",
    "track_subscribed", "track_unsubscribed", "local_track_published", "local_track_unpublished",
    "local_track_republished",
}  # fmt: skip


@pytest.fixture
def server(livekit: RoomServer) -> RoomServer:
    return livekit


@pytest.mark.parametrize("single", [True, False], ids=["one", "two"])
async def test_a_dead_media_path_to_livekit_server_is_revived_by_an_ice_restart(
    nothing_left: None, caplog: pytest.LogCaptureFixture, tmp_path: Path, single: bool
) -> None:
    with livekit_server(tmp_path / "output.log", node_ip=RELAY_ADDRESS) as server:
        async with UdpRelay(server.udp_port) as relay:
            await media_dies_and_is_revived(server, relay, caplog, single=single)


@contextlib.asynccontextmanager
async def _behind(
    proxy: TcpProxy, starting: contextlib.AbstractContextManager[RoomServer]
) -> AsyncIterator[None]:
    """From here on, the proxy leads to the server that is started."""
    with starting as server:
        proxy.lead_to(server.url)
        yield


async def test_a_livekit_server_that_is_killed_and_started_again(nothing_left: None, tmp_path: Path) -> None:
    with livekit_server(tmp_path / "first.log") as first:
        async with TcpProxy(first.url) as proxy:
            await server_dies_and_another_follows(
                Rooms(Behind(first, proxy)),
                lambda: os.kill(first.pid, signal.SIGKILL),
                _behind(proxy, livekit_server(tmp_path / "second.log")),
            )


@contextlib.asynccontextmanager
async def official_client_in(rooms: Rooms, url: str) -> AsyncIterator[OfficialClient]:
    """It has joined and publishes; the others of the room leave with it."""
    async with official_client(url, rooms.token("official")) as client:
        try:
            yield client
        finally:
            await rooms.leave()


@pytest.fixture
async def official(
    nothing_left: None, embedded: RoomServer
) -> AsyncIterator[tuple[OfficialClient, TcpProxy, Rooms]]:
    """The official SDK behind a proxy, in a room of the embedded server that we can join too."""
    rooms = Rooms(embedded)
    async with TcpProxy(embedded.url) as proxy, official_client_in(rooms, proxy.url) as client:
        yield client, proxy, rooms


async def test_the_official_sdk_finds_a_server_that_is_killed_and_started_again(
    nothing_left: None, tmp_path: Path
) -> None:
    with greenroom_server(tmp_path / "first.log") as first:
        async with TcpProxy(first.url) as proxy:
            rooms = Rooms(Behind(first, proxy))
            _, events = await rooms.join("us")
            async with official_client_in(rooms, proxy.url) as client:
                await events.wait("track_subscribed")
                os.kill(first.pid, signal.SIGKILL)
                await client.wait("reconnecting")
                async with _behind(proxy, greenroom_server(tmp_path / "second.log")):
                    await client.wait("reconnected")
                    assert client.names().count("local_track_republished") == 1
                    track, *_ = await events.wait("track_subscribed", count=2)
                    stream = rtc.AudioStream(track)
                    await Ear(stream).wait_for_tone(600)
                    await stream.aclose()
                    await rooms.leave()


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
        assert [name for name in client.names()[told:] if name in _LIFE] == ["reconnecting", "reconnected"]
        leaving = {"track_unsubscribed", "participant_disconnected", "track_published", "track_unpublished"}
        assert leaving.isdisjoint(name for name, _ in events.all[heard:]), "a resume is not seen by others"


async def test_data_gets_to_the_official_sdk_and_back_through_resumes(
    official: tuple[OfficialClient, TcpProxy, Rooms],
) -> None:
    """It answers each packet with what it said."""
    client, proxy, rooms = official
    room, events = await rooms.join("us")
    await client.wait("participant_active", "us")
    sent = [str(number) for number in range(40)]
    for number in sent:
        if number == "30":
            await client.wait("reconnected")
        if number in ("10", "30"):
            proxy.cut()
        await within(room.local_participant.publish_data(number))
    await events.wait("data_received", count=len(sent))
    await client.until(lambda _: client.names().count("reconnected") == 2, "the second resume")
    assert [packet.data.decode() for (packet,) in events.of("data_received")] == sent
    assert [args for name, args in client.events if name == "data_received"] == [[number] for number in sent]


async def test_the_official_sdk_comes_back_when_its_media_path_dies(nothing_left: None) -> None:
    """Its path alone. It resumes, or starts anew where its server gave it up first: that is a matter of milliseconds."""
    async with server_behind_relay() as (server, relay), contextlib.AsyncExitStack() as leaving:
        rooms = Rooms(server)
        room, events = await rooms.join("us")
        with relay.newcomers() as theirs:
            client = await leaving.enter_async_context(official_client_in(rooms, server.url))
            await _hear_the_official(room, events)
        relay.block(theirs)
        await client.wait("reconnecting")
        assert relay.dropped > 0
        relay.unblock(theirs)
        await client.wait("reconnected")
        await _hear_the_official(room, events)
        await within(room.local_participant.publish_data("after"))
        await events.wait("data_received", lambda packet: packet.data == b"after")
        assert client.names().count("reconnecting") == client.names().count("reconnected") == 1
        assert "disconnected" not in client.names()


async def _hear_the_official(room: rtc.Room, events: Events) -> None:
    """On the track that it publishes now."""

    def track() -> rtc.Track | None:
        official = room.remote_participants.get("official")
        publications = official.track_publications.values() if official is not None else ()
        return next((p.track for p in publications if p.track is not None), None)

    await events.until(lambda: track() is not None, "its track")
    stream = rtc.AudioStream(track())
    await Ear(stream).wait_for_tone(600)
    await stream.aclose()


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
    assert "local_track_republished" in client.names()
    await events.wait("track_subscribed", count=2)
    assert room.remote_participants["official"].track_publications
    assert client.names().count("reconnecting") == 1


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
    await client.order(f"simulate {proto_room.SimulateScenarioKind.Value(kind)}")
    await client.wait(expected[-1])
    life = {*_RESTARTED, "disconnected"} if kind != "SIMULATE_SPEAKER" else {"active_speakers_changed"}
    assert [event for event in client.names() if event in life] == expected
    if expected[-1] == "reconnected":
        track, *_ = await events.wait("track_subscribed", count=2 if expected is _RESTARTED else 1)
        audible = rtc.AudioStream(track)
        await Ear(audible).wait_for_tone(600)
        await audible.aclose()
