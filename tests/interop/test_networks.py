"""Media and data through relays, over TCP, and from awkward networks; on both servers, with a real TURN server."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from room_tools import RED, Ear, Rooms, camera, microphone, wait_for_picture, within
from turn_server import PASSWORD, USERNAME, TurnServer, turn_server

from greenroom import _engine
from greenroom.client import peer_link
from greenroom.client.connections import trickle
from greenroom.client.peer_link import PeerLink
from livekit import rtc
from livekit.rtc.room import proto_room

from .ports import free_port
from .servers import RoomServer, livekit_server

Policy = proto_room.IceTransportType


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnServer]:
    with turn_server(tmp_path_factory.mktemp("coturn")) as server:
        yield server


@pytest.fixture(params=["livekit", "embedded"])
def server(request: pytest.FixtureRequest) -> RoomServer:
    found: RoomServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def rooms(server: RoomServer, nothing_left: None):  # type: ignore[no-untyped-def]
    joined = Rooms(server)
    yield joined
    await joined.leave()


def through(
    *urls: str,
    policy: Policy.ValueType = Policy.TRANSPORT_RELAY,
    username: str = USERNAME,
    password: str = PASSWORD,
    **options: Any,
) -> rtc.RoomOptions:
    """Options to use these servers."""
    servers = [proto_room.IceServer(urls=list(urls), username=username, password=password)]
    configuration = rtc.RtcConfiguration(ice_transport_type=policy, ice_servers=servers)
    return rtc.RoomOptions(rtc_config=configuration, **options)


def transports(room: rtc.Room) -> list[dict[str, Any]]:
    """What the engine knows of the way of each connection that carries something."""
    session = room._session
    assert session is not None
    found = [link.peer.stats()["transport"] for link in session.connections.links]
    return [transport for transport in found if transport["dtls_state"] == "connected"]


async def check_everything_flows(sender: rtc.Room, receiver: rtc.Room) -> None:
    """Sound, picture and data from one to the other."""
    tracks: dict[int, asyncio.Future[rtc.Track]] = {
        kind: asyncio.get_running_loop().create_future()
        for kind in (rtc.TrackKind.KIND_AUDIO, rtc.TrackKind.KIND_VIDEO)
    }
    packets: asyncio.Queue[rtc.DataPacket] = asyncio.Queue()
    receiver.on("data_received", packets.put_nowait)
    receiver.on("track_subscribed", lambda track, *_: tracks[track.kind].set_result(track))
    async with microphone(sender, 700), camera(sender, RED):
        audio = rtc.AudioStream(
            await within(tracks[rtc.TrackKind.KIND_AUDIO]), sample_rate=48_000, num_channels=1
        )
        video = rtc.VideoStream(await within(tracks[rtc.TrackKind.KIND_VIDEO]))
        await Ear(audio).wait_for_tone(700)
        await wait_for_picture(video, RED)
        await sender.local_participant.publish_data("by relay")
        assert (await within(packets.get())).data == b"by relay"
        await audio.aclose()
        await video.aclose()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_relay_only_carries_everything(rooms: Rooms, turn: TurnServer, transport: str) -> None:
    options = through(turn.url(transport), ssl_context=turn.trusting_context())
    alice, _ = await rooms.join("alice", options)
    bob, _ = await rooms.join("bob", options)
    await check_everything_flows(alice, bob)
    for transports_of_one in (transports(alice), transports(bob)):
        assert transports_of_one
        for way in transports_of_one:
            assert turn.is_relayed(way["local_candidate"])
            assert all(" relay " in pair for pair in way["candidate_pairs_tried"])


async def test_wrong_credentials_are_named(rooms: Rooms, turn: TurnServer) -> None:
    options = through(turn.url("udp"), password="wrong", connect_timeout=5)
    with pytest.raises(rtc.ConnectError, match="refused the credentials") as caught:
        await rooms.join("alice", options)
    assert caught.value.ice_servers[0].startswith(turn.url("udp"))


async def test_a_turn_server_whose_certificate_is_not_trusted_is_named(
    rooms: Rooms, turn: TurnServer
) -> None:
    with pytest.raises(rtc.ConnectError, match="TLS failed: invalid peer certificate"):
        await rooms.join("alice", through(turn.url("tls"), connect_timeout=5))


async def test_a_turn_server_that_is_not_there_is_named(rooms: Rooms) -> None:
    url = f"turn:127.0.0.1:{free_port()}?transport=tcp"
    with pytest.raises(rtc.ConnectError, match="unreachable: Connection refused"):
        await rooms.join("alice", through(url, connect_timeout=5))


async def test_without_a_turn_server_relay_only_fails_at_once(rooms: Rooms, turn: TurnServer) -> None:
    with pytest.raises(rtc.ConnectError, match="there is no TURN server"):
        await rooms.join("alice", through(turn.stun_url))


async def test_reflexive_and_relayed_candidates_come_beside_those_of_the_host(
    rooms: Rooms, turn: TurnServer
) -> None:
    options = through(turn.url("udp"), turn.stun_url, policy=Policy.TRANSPORT_ALL)
    alice, _ = await rooms.join("alice", options)
    bob, _ = await rooms.join("bob")
    await check_everything_flows(alice, bob)
    for way in transports(alice):
        assert not turn.is_relayed(way["local_candidate"]), "the direct way is better"
        reports = dict(line.split(": ", 1) for line in way["ice_servers_tried"])
        assert reports[turn.url("udp")].startswith("relayed address 127.0.0.1:")
        assert reports[turn.stun_url].startswith("reflexive address ")


async def test_no_host_candidate_is_told(rooms: Rooms, turn: TurnServer) -> None:
    alice, _ = await rooms.join("alice", through(turn.url("udp"), policy=Policy.TRANSPORT_NOHOST))
    bob, _ = await rooms.join("bob")
    await check_everything_flows(alice, bob)
    session = alice._session
    assert session is not None
    assert not [line for line in session.publisher.link.local_transport.candidates if "typ host" in line]


@pytest.fixture(params=["livekit_tcp", "embedded_tcp"])
def tcp_server(request: pytest.FixtureRequest) -> RoomServer:
    found: RoomServer = request.getfixturevalue(request.param)
    return found


async def test_media_goes_over_tcp_where_udp_does_not(tcp_server: RoomServer, nothing_left: None) -> None:
    rooms = Rooms(tcp_server)
    try:
        alice, _ = await rooms.join("alice")
        bob, _ = await rooms.join("bob")
        await check_everything_flows(alice, bob)
        for way in (*transports(alice), *transports(bob)):
            assert all(pair.startswith("tcp ") for pair in way["candidate_pairs_tried"])
    finally:
        await rooms.leave()


@pytest.fixture
def new_address() -> Iterator[str]:
    """An address that this machine gets in the middle of the test, on loopback."""
    address = "127.77.77.77"
    command = ["ip", "address", "{}", f"{address}/32", "dev", "lo"]

    def change(word: str) -> None:
        subprocess.run([word if part == "{}" else part for part in command], check=True, capture_output=True)

    try:
        change("add")
        change("del")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"addresses can't be changed here: {error}")
    yield address
    with contextlib.suppress(subprocess.CalledProcessError):
        change("del")


def _candidates(room: rtc.Room) -> str:
    session = room._session
    assert session is not None
    return " ".join(session.publisher.link.local_transport.candidates)


async def test_addresses_that_come_later_are_gathered(rooms: Rooms, new_address: str) -> None:
    once = rtc.RtcConfiguration(continual_gathering_policy=proto_room.ContinualGatheringPolicy.GATHER_ONCE)
    alice, _ = await rooms.join("alice")
    bob, _ = await rooms.join("bob", rtc.RoomOptions(rtc_config=once))
    session = alice._session
    assert session is not None
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    link = session.publisher.link
    link._on_candidate = lambda name, candidate: told.put_nowait((name, candidate))
    add = await asyncio.create_subprocess_exec("ip", "address", "add", f"{new_address}/32", "dev", "lo")
    assert await add.wait() == 0
    name, candidate = await within(told.get())
    assert name == "publisher"
    assert new_address in candidate
    assert new_address in _candidates(alice)
    assert new_address not in _candidates(bob)
    await check_everything_flows(alice, bob)


async def test_servers_that_livekit_server_names_are_used(
    turn: TurnServer, tmp_path: Path, nothing_left: None
) -> None:
    section = f"""
  turn_servers:
    - host: 127.0.0.1
      port: {turn.port}
      protocol: udp
      username: {USERNAME}
      credential: {PASSWORD}
"""
    relays = rtc.RtcConfiguration(ice_transport_type=Policy.TRANSPORT_RELAY)
    with livekit_server(tmp_path / "output.log", rtc=section) as server:
        rooms = Rooms(server)
        try:
            alice, _ = await rooms.join("alice", rtc.RoomOptions(rtc_config=relays))
            assert all(turn.is_relayed(way["local_candidate"]) for way in transports(alice))
        finally:
            await rooms.leave()


async def test_mdns_names_in_place_of_addresses_do_no_harm(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As browsers hide their addresses: the server learns them from the checks that come."""

    def hide(link: PeerLink, candidate: str) -> None:
        words = candidate.split()
        name = "0d1e6f0c-7a3b-4f5e-9d2c-1b0a9f8e7d6c.local"
        link._local_candidate(" ".join([*words[:4], name, *words[5:]]))

    monkeypatch.setitem(peer_link._HANDLERS, _engine.LOCAL_CANDIDATE, hide)
    alice, _ = await rooms.join("alice")
    bob, _ = await rooms.join("bob")
    for room in (alice, bob):
        session = room._session
        assert session is not None
        lines = [line.split() for link in session.connections.links for line in link._candidates]
        told = {line[4].rpartition(".")[2] for line in lines if line[2] == "udp"}
        assert told == {"local"}
        for link in session.connections.links:
            trickle(session.send, link.name, "candidate:1 1 udp 2130706431 0d1e6f0c.local 40000 typ host")
    await check_everything_flows(alice, bob)
