"""Networks that a client asks its server to pretend: only TCP, only TLS, little bandwidth. On both servers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from livekit.protocol import rtc as proto
from room_tools import Ear, Events, Rooms, microphone, noise, wait_for_picture
from turn_server import PASSWORD, USERNAME, TurnServer, turn_server

import greenroom
from livekit import rtc
from livekit.rtc.room import proto_room

from .servers import RoomServer, embedded_server, livekit_server
from .test_networks import transports

Scenario = proto_room.SimulateScenarioKind
_TURN_OF_LIVEKIT = """
  turn_servers:
    - host: 127.0.0.1
      port: {port}
      protocol: tls
      username: {username}
      credential: {password}
"""


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnServer]:
    with turn_server(tmp_path_factory.mktemp("coturn")) as server:
        yield server


@pytest.fixture(scope="module", params=["livekit", "embedded"])
def server(
    request: pytest.FixtureRequest, turn: TurnServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RoomServer]:
    """A server that names a TURN server over TLS."""
    with contextlib.ExitStack() as stack:
        if request.param == "livekit":
            rtc_lines = _TURN_OF_LIVEKIT.format(
                port=turn.tls_port, username=USERNAME, password=PASSWORD
            ).strip("\n")
            log = tmp_path_factory.mktemp("livekit-server-turn") / "output.log"
            yield stack.enter_context(livekit_server(log, rtc=rtc_lines))
        else:
            ice_server = greenroom.server.IceServer((turn.url("tls"),), USERNAME, PASSWORD)
            yield stack.enter_context(embedded_server(ice_servers=(ice_server,)))


@pytest.fixture
async def rooms(server: RoomServer, nothing_left: None) -> AsyncIterator[Rooms]:
    joined = Rooms(server)
    yield joined
    await joined.leave()


def uses_tcp(way: dict[str, Any], turn: TurnServer) -> bool:
    return all(pair.startswith("tcp ") for pair in way["candidate_pairs_tried"])


def uses_relay(way: dict[str, Any], turn: TurnServer) -> bool:
    return turn.is_relayed(way["local_candidate"])


IsExpected = Callable[[dict[str, Any], TurnServer], bool]


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(
    ("kind", "is_expected"), [("SIMULATE_FORCE_TCP", uses_tcp), ("SIMULATE_FORCE_TLS", uses_relay)]
)
async def test_media_goes_the_way_that_is_asked_for(
    rooms: Rooms, turn: TurnServer, kind: str, single: bool, is_expected: IsExpected
) -> None:
    context = turn.trusting_context()
    options = rtc.RoomOptions(single_peer_connection=single, ssl_context=context)
    room, events = await rooms.join("switching", options)
    other, other_events = await rooms.join("other")
    async with microphone(room, 600), microphone(other, 900):
        await _hears(events, 900, 1)
        await _hears(other_events, 600, 1)
        events.all.clear()
        await room.simulate_scenario(Scenario.Value(kind))
        await events.wait("reconnected")
        assert events.names("reconnecting", "local_track_republished", "reconnected") == [
            "reconnecting",
            "local_track_republished",
            "reconnected",
        ]
        await _hears(events, 900, 1)
        await _hears(other_events, 600, 2)
        ways = transports(room)
        assert ways
        for way in ways:
            assert is_expected(way, turn), way
        assert not any(is_expected(way, turn) for way in transports(other))


async def _hears(events: Events, hz: float, count: int) -> None:
    track, *_ = await events.wait("track_subscribed", count=count)
    stream = rtc.AudioStream(track)
    await Ear(stream).wait_for_tone(hz)
    await stream.aclose()


async def test_a_subscriber_with_little_bandwidth_gets_a_smaller_picture(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    async with noise(sender, (640, 360)):
        track, *_ = await events.wait("track_subscribed")
        stream = rtc.VideoStream(track)
        try:
            # livekit-server shares a limit among layers whose rates it knows by then, and does not look again.
            for _ in range(75):
                await wait_for_picture(stream, size=(640, 360))
            _limit(viewer, 100_000)
            await wait_for_picture(stream, size=(320, 180), limit_s=30)
            _limit(viewer, 0)
            await wait_for_picture(stream, size=(640, 360), limit_s=30)
        finally:
            await stream.aclose()


def _limit(room: rtc.Room, bandwidth_bps: int) -> None:
    """`SimulateScenarioKind` has no such kind; livekit-client's `subscriber-bandwidth` sends this."""
    assert room._session is not None
    room._session.send("simulate", proto.SimulateScenario(subscriber_bandwidth=bandwidth_bps))
