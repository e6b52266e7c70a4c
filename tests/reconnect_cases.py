"""Losing a server and finding it again: cases that hold on every server. `server` is the fixture that makes it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from room_tools import GREEN, Ear, Events, Rooms, camera, microphone, running, wait_for_picture, within
from tcp_proxy import TcpProxy
from udp_relay import UdpRelay

from greenroom.client.reconnect import Trigger
from livekit import api, rtc
from livekit.rtc.room import proto_room

Scenario = proto_room.SimulateScenarioKind
pytestmark = pytest.mark.usefixtures("nothing_left")

LIFE = (
    "connection_state_changed",
    "reconnecting",
    "reconnected",
    "disconnected",
    "participant_connected",
    "participant_disconnected",
    "track_published",
    "track_unpublished",
    "track_subscribed",
    "track_unsubscribed",
    "local_track_published",
    "local_track_unpublished",
    "local_track_republished",
)
RESUMED = ["connection_state_changed", "reconnecting", "connection_state_changed", "reconnected"]


class Behind:
    """The server as seen through the proxy."""

    def __init__(self, server: Any, proxy: TcpProxy) -> None:
        self.url, self.token = proxy.url, server.token


class Pair:
    """Two participants that hear each other: `room` behind a proxy, `other` beside it."""

    room: rtc.Room
    other: rtc.Room
    events: Events
    other_events: Events

    def __init__(self, proxy: TcpProxy, rooms: Rooms) -> None:
        self.proxy, self.rooms = proxy, rooms
        self.numbers: list[int] = []

    async def join(self, server: Any, *, single: bool) -> None:
        """`single`: whether `room` uses one peer connection where the server has that."""
        self.rooms.server = server
        self.other, self.other_events = await self.rooms.join("other")
        self.rooms.server = Behind(server, self.proxy)
        self.room, self.events = await self.rooms.join("cut", rtc.RoomOptions(single_peer_connection=single))
        self.other.on("data_received", lambda packet: self.numbers.append(int(packet.data)))

    async def settle(self) -> None:
        """Both hear each other, and what came before is forgotten."""
        await self.hear_each_other()
        for events in (self.events, self.other_events):
            events.all.clear()

    async def hear_each_other(self) -> None:
        """Each the track that the other publishes now, not one of before a restart."""
        await asyncio.gather(
            self._hear(self.room, self.events, self.other, 900),
            self._hear(self.other, self.other_events, self.room, 600),
        )

    async def _hear(self, room: rtc.Room, events: Events, speaker: rtc.Room, hz: float) -> None:
        def track() -> Any:
            published = speaker.local_participant.track_publications
            audio = [t for t in _tracks(room) if isinstance(t, rtc.RemoteAudioTrack)]
            return next((t for t in audio if t.sid in published), None)

        await events.until(lambda: track() is not None, "a track to hear")
        stream = rtc.AudioStream(track())
        try:
            await Ear(stream).wait_for_tone(hz)
        finally:
            await stream.aclose()

    async def send(self, first: int, last: int) -> None:
        for number in range(first, last):
            await self.room.local_participant.publish_data(str(number))

    async def received(self, count: int) -> None:
        """That many numbers have come, each once and in order."""
        await self.other_events.until(lambda: len(self.numbers) >= count, f"{count} numbers")
        assert self.numbers == list(range(count))


ONE_CONNECTION_OR_TWO = pytest.mark.parametrize("pair", [True, False], indirect=True, ids=["one", "two"])


@pytest.fixture
async def pair(nothing_left: None, server: Any, request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    async with TcpProxy(server.url) as proxy:
        pair = Pair(proxy, Rooms(server))
        await pair.join(server, single=getattr(request, "param", True))
        async with microphone(pair.other, 900), microphone(pair.room, 600):
            await pair.settle()
            yield pair
            await pair.rooms.leave()


@ONE_CONNECTION_OR_TWO
async def test_a_cut_connection_is_resumed_and_nothing_else_happens(pair: Pair) -> None:
    sid = pair.room.local_participant.sid
    stream = rtc.AudioStream(next(iter(_tracks(pair.room))))
    await pair.send(0, 20)
    pair.proxy.cut()
    await pair.events.wait("reconnecting")
    assert pair.room.connection_state == rtc.ConnectionState.CONN_RECONNECTING
    await within(pair.send(20, 40))
    await pair.events.wait("reconnected")
    await Ear(stream).wait_for_tone(900)
    await stream.aclose()
    await pair.hear_each_other()
    await pair.received(40)
    assert pair.events.names(*LIFE) == RESUMED
    assert pair.other_events.names(*LIFE) == []
    assert pair.room.local_participant.sid == sid


async def test_resumes_again_and_again(pair: Pair) -> None:
    for number in range(1, 6):
        pair.proxy.cut()
        await pair.events.wait("reconnected", count=number)
        await within(pair.send(4 * number - 4, 4 * number))
    await pair.received(20)
    assert pair.events.names(*LIFE) == RESUMED * 5
    assert pair.other_events.names(*LIFE) == []


async def test_who_left_during_the_gap_is_gone_before_reconnected(pair: Pair) -> None:
    pair.proxy.refusing = True
    pair.proxy.cut()
    await pair.events.wait("reconnecting")
    await pair.other.disconnect()
    pair.proxy.refusing = False
    await pair.events.wait("reconnected")
    names = pair.events.names(*LIFE)
    assert names.count("participant_disconnected") == 1
    assert names.index("participant_disconnected") < names.index("reconnected")
    assert pair.room.remote_participants == {}


async def test_what_is_asked_during_the_gap_happens_after_it(pair: Pair) -> None:
    publication = next(iter(pair.room.remote_participants["other"].track_publications.values()))
    pair.proxy.cut()
    await pair.events.wait("reconnecting")
    publication.set_subscribed(False)
    async with camera(pair.room, GREEN):
        await pair.events.wait("track_unsubscribed")
        assert pair.events.names("reconnected", "local_track_published") == [
            "reconnected",
            "local_track_published",
        ]
        await pair.other_events.wait("track_subscribed")


async def media_dies_and_is_revived(
    server: Any, relay: UdpRelay, caplog: pytest.LogCaptureFixture, *, single: bool
) -> None:
    """The case of a dead media path, for a server whose media goes through `relay`."""
    rooms = Rooms(server)
    # The server is told no address: it would find the way around the relay.
    no_address = rtc.RtcConfiguration(ice_transport_type=rtc.IceTransportType.TRANSPORT_NOHOST)
    options = rtc.RoomOptions(single_peer_connection=single, rtc_config=no_address)
    room, events = await rooms.join("sender", options)
    _, heard = await rooms.join("listener")
    reconnecting = asyncio.Event()
    room.on("reconnecting", reconnecting.set)
    async with microphone(room, 900):
        track, *_ = await heard.wait("track_subscribed")
        stream = rtc.AudioStream(track)
        await Ear(stream).wait_for_tone(900)
        await room.local_participant.publish_data("0")
        relay.blocked = True
        for number in range(1, 10):
            await room.local_participant.publish_data(str(number))
        # Long before the server does: that takes ten seconds without consent, and five more.
        await within(reconnecting.wait(), 30)
        assert relay.dropped > 0
        assert Trigger.MEDIA_SILENT.value in caplog.text
        relay.blocked = False
        for number in range(10, 20):
            await within(room.local_participant.publish_data(str(number)))
        await events.wait("reconnected")
        await heard.wait("data_received", count=20)
        assert [int(packet.data) for (packet,) in heard.of("data_received")] == list(range(20))
        await Ear(stream).wait_for_tone(900)
        await stream.aclose()
        for happened in (events, heard):
            assert happened.names("track_unsubscribed", "participant_disconnected") == []
    await rooms.leave()


async def server_dies_and_another_follows(
    rooms: Rooms, die: Callable[[], None], another: contextlib.AbstractAsyncContextManager[object]
) -> None:
    """The case of a server that is killed: it `die`s, and where it was there is `another`, which knows of nobody."""
    (a, a_events), (b, b_events) = await rooms.join("a"), await rooms.join("b")
    old_room = await a.sid
    async with microphone(a, 900) as (publication, _):
        await b_events.wait("track_subscribed")
        old_track = publication.sid
        die()
        await a_events.wait("reconnecting")
        sending = asyncio.ensure_future(a.local_participant.publish_data("0"))
        async with another:
            await asyncio.gather(a_events.wait("reconnected"), b_events.wait("reconnected"))
            await within(sending)
            assert a_events.of("local_track_republished") == [(publication, old_track)]
            assert await a.sid != old_room
            await b_events.until(lambda: "a" in b.remote_participants, "the other participant")
            track, *_ = await b_events.wait("track_subscribed", count=2)
            stream = rtc.AudioStream(track)
            await Ear(stream).wait_for_tone(900)
            await stream.aclose()
            for events in (a_events, b_events):
                assert events.names("reconnecting", "reconnected") == ["reconnecting", "reconnected"]
            await rooms.leave()


@ONE_CONNECTION_OR_TWO
async def test_an_unreachable_server_needs_a_restart(pair: Pair) -> None:
    (publication,) = pair.room.local_participant.track_publications.values()
    old_sid, old_track_sid, local = pair.room.local_participant.sid, publication.sid, publication.track
    pair.proxy.refusing = True
    before = pair.proxy.connections
    pair.proxy.cut()
    await pair.proxy.reached(before + 2)
    pair.proxy.refusing = False
    await pair.events.wait("reconnected")
    assert pair.room.local_participant.sid != old_sid
    assert pair.events.of("local_track_republished") == [(publication, old_track_sid)]
    assert publication.sid != old_track_sid
    assert publication.track is local
    names = pair.events.names(*LIFE)
    assert names.count("reconnecting") == names.count("reconnected") == 1
    assert names.index("participant_disconnected") < names.index("participant_connected") < len(names) - 1
    assert names[-2:] == ["connection_state_changed", "reconnected"]
    await pair.other_events.until(
        lambda: pair.other.remote_participants["cut"].sid == pair.room.local_participant.sid,
        "the new participant",
    )
    await pair.hear_each_other()
    await within(pair.send(0, 10))
    await pair.received(10)


async def test_disconnect_while_the_server_is_unreachable(pair: Pair) -> None:
    pair.proxy.refusing = True
    pair.proxy.cut()
    await pair.events.wait("reconnecting")
    await asyncio.wait_for(pair.room.disconnect(), 1)
    assert pair.events.of("disconnected") == [(rtc.DisconnectReason.CLIENT_INITIATED,)]
    assert pair.events.of("reconnected") == []


@pytest.mark.parametrize("kind", ["SIMULATE_NODE_FAILURE", "SIMULATE_MIGRATION", "SIMULATE_FULL_RECONNECT"])
async def test_a_lost_session_is_restarted(pair: Pair, kind: str) -> None:
    async with camera(pair.room, GREEN):
        await pair.other_events.wait("track_subscribed")
        old = {p.sid for p in pair.room.local_participant.track_publications.values()}
        await pair.room.simulate_scenario(Scenario.Value(kind))
        await pair.events.wait("reconnecting")
        await within(pair.send(0, 20))
        assert pair.room.connection_state == rtc.ConnectionState.CONN_CONNECTED
        new = set(pair.room.local_participant.track_publications)
        assert len(new) == 2
        assert not new & old
        assert {previous for _, previous in pair.events.of("local_track_republished")} == old
        await pair.received(20)
        await pair.other_events.until(lambda: len(list(_tracks(pair.other))) == 2, "both tracks again")
        await pair.hear_each_other()
        stream = rtc.VideoStream(next(t for t in _tracks(pair.other) if isinstance(t, rtc.RemoteVideoTrack)))
        await wait_for_picture(stream, GREEN)
        await stream.aclose()
        assert pair.events.names("reconnecting", "reconnected") == ["reconnecting", "reconnected"]


@ONE_CONNECTION_OR_TWO
async def test_streams_go_on_after_a_restart(pair: Pair) -> None:
    """Ours and those of a participant: they yield the same track of the new session."""
    (track,) = _tracks(pair.room)
    microphone = rtc.TrackSource.SOURCE_MICROPHONE
    streams = [
        rtc.AudioStream(track),
        rtc.AudioStream.from_participant(
            participant=pair.room.remote_participants["other"], track_source=microphone
        ),
    ]
    async with camera(pair.other, GREEN):
        picture, *_ = await pair.events.wait("track_subscribed")
        stream = rtc.VideoStream(picture)
        for _ in range(2):
            await pair.room.simulate_scenario(Scenario.SIMULATE_FULL_RECONNECT)
            await pair.events.wait("reconnected")
            pair.events.all.clear()
            await pair.events.until(lambda: len(_tracks(pair.room)) == 2, "both tracks")
            assert track not in _tracks(pair.room)
            for ears in streams:
                await Ear(ears).wait_for_tone(900)
        await wait_for_picture(stream, GREEN)
        await stream.aclose()
    await pair.room.disconnect()
    for ears in streams:
        assert await within(_drained(ears))
        await ears.aclose()


async def _drained(stream: rtc.AudioStream) -> bool:
    """True when the stream ends."""
    async for _ in stream:
        pass
    return True


async def test_data_tracks_go_on(pair: Pair) -> None:
    """What it publishes and what it reads, through a resume and a restart. Others see a restart as leaving and coming."""
    ours = await within(pair.room.local_participant.publish_data_track(name="ours"))
    theirs = await within(pair.other.local_participant.publish_data_track(name="theirs"))
    reading = (await pair.events.wait("data_track_published"))[0].subscribe()
    read = (await pair.other_events.wait("data_track_published"))[0].subscribe()
    await within(_frame_arrives(ours, read, b"at first"))
    await within(_frame_arrives(theirs, reading, b"at first"))
    await pair.room.simulate_scenario(Scenario.SIMULATE_SIGNAL_RECONNECT)
    await pair.events.wait("reconnected")
    await within(_frame_arrives(ours, read, b"after a resume"))
    await within(_frame_arrives(theirs, reading, b"after a resume"))
    await pair.room.simulate_scenario(Scenario.SIMULATE_FULL_RECONNECT)
    await pair.events.wait("reconnected", count=2)
    await within(_frame_arrives(theirs, reading, b"after a restart"))
    (again,) = await pair.other_events.wait("data_track_published", count=2)
    assert again.info.name == "ours"
    assert await within(read.read()) is None
    read = again.subscribe()
    await within(_frame_arrives(ours, read, b"after a restart"))
    for stream in (read, reading):
        stream.close()


async def _frame_arrives(local: rtc.LocalDataTrack, stream: rtc.DataTrackStream, payload: bytes) -> None:
    """Push it until it is read: frames are lost while the server does not know who wants them."""

    async def read() -> None:
        while (frame := await stream.read()) is not None:
            if frame.payload == payload:
                return
        raise AssertionError(f"the stream ended before {payload!r}")

    async with running(_push(local, payload)):
        await read()


async def _push(local: rtc.LocalDataTrack, payload: bytes) -> None:
    while True:
        with contextlib.suppress(rtc.PushFrameError):
            local.try_push(rtc.DataTrackFrame(payload))
        await asyncio.sleep(0.02)


async def test_a_simulated_loss_of_signalling_is_resumed(pair: Pair) -> None:
    await pair.room.simulate_scenario(Scenario.Value("SIMULATE_SIGNAL_RECONNECT"))
    await pair.events.wait("reconnected")
    assert pair.events.names(*LIFE) == RESUMED


async def test_a_resume_that_is_cut_becomes_a_restart(pair: Pair) -> None:
    await pair.room.simulate_scenario(Scenario.Value("SIMULATE_DISCONNECT_SIGNAL_ON_RESUME"))
    await pair.events.wait("reconnected")
    assert len(pair.events.of("local_track_republished")) == 1
    assert pair.events.names("reconnecting", "reconnected") == ["reconnecting", "reconnected"]
    await pair.hear_each_other()


_LEEWAY = datetime.timedelta(minutes=1)
"""What both servers give a token beyond its time."""


async def test_who_joined_with_a_token_that_has_expired_since_comes_back(server: Any) -> None:
    """Servers give a new one; it is used by a resume and by a restart."""
    grants = api.VideoGrants(room_join=True, room=f"room-{os.urandom(4).hex()}")
    token = api.AccessToken(server.api_key, server.api_secret).with_identity("late").with_grants(grants)
    short = token.with_ttl(datetime.timedelta(seconds=2) - _LEEWAY).to_jwt()
    async with TcpProxy(server.url) as proxy, rtc.Room() as room, aiohttp.ClientSession() as http:
        events = Events(room)
        await within(room.connect(proxy.url, short))
        await events.wait("token_refreshed")
        validate = f"{server.url.replace('ws', 'http', 1)}/rtc/validate?access_token={short}"
        while (await http.get(validate)).status != 401:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.1)
        proxy.cut()
        await events.wait("reconnected")
        await room.simulate_scenario(Scenario.SIMULATE_FULL_RECONNECT)
        await events.wait("reconnected", count=2)
        assert events.of("disconnected") == []


async def test_a_server_that_leaves_is_the_end(pair: Pair) -> None:
    await pair.room.simulate_scenario(Scenario.Value("SIMULATE_SERVER_LEAVE"))
    await pair.events.wait("disconnected")
    assert pair.events.of("disconnected") == [(rtc.DisconnectReason.SERVER_SHUTDOWN,)]
    assert pair.events.of("reconnecting") == []
    assert not pair.room.isconnected()


async def test_simulated_speaking(pair: Pair) -> None:
    await pair.room.simulate_scenario(Scenario.Value("SIMULATE_SPEAKER"))
    await pair.events.wait(
        "active_speakers_changed", lambda speakers: pair.room.local_participant in speakers
    )


def _tracks(room: rtc.Room) -> list[Any]:
    publications = [p for who in room.remote_participants.values() for p in who.track_publications.values()]
    return [p.track for p in publications if p.track is not None]
