"""Hostile signalling and datagrams against a running server: two honest participants never notice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from hostile_tools import random_message
from livekit.protocol import models
from livekit.protocol import rtc as messages
from room_tools import Events, Rooms, within

import greenroom
from greenroom.signalling.sdp import parse
from livekit import rtc

_MESSAGES = 40


@pytest.fixture
async def server() -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server() as server:
        yield server


class Honest:
    """Two participants that were there before the attack."""

    def __init__(self, anna: tuple[rtc.Room, Events], bob: tuple[rtc.Room, Events]) -> None:
        self._sides = (anna, bob)

    async def exchange(self) -> None:
        """Reliable data both ways, all of it in order."""
        for (sender, _), (_, receiver) in (self._sides, self._sides[::-1]):
            topic = os.urandom(4).hex()
            payloads = [b"%d" % number * 50 for number in range(_MESSAGES)]
            for payload in payloads:
                await sender.local_participant.publish_data(payload, reliable=True, topic=topic)
            await receiver.wait("data_received", lambda p, topic=topic: p.topic == topic, count=_MESSAGES)
            got = [packet.data for (packet,) in receiver.of("data_received") if packet.topic == topic]
            assert got == payloads

    async def receives(self, topic: str) -> None:
        """A reliable message of somebody else."""
        for _, events in self._sides:
            await events.wait("data_received", lambda packet: packet.topic == topic)

    def assert_undisturbed(self) -> None:
        for room, events in self._sides:
            assert room.isconnected()
            assert events.names("disconnected", "reconnecting", "reconnected") == []


@pytest.fixture
async def rooms(server: greenroom.Server) -> AsyncIterator[Rooms]:
    rooms = Rooms(server)
    try:
        yield rooms
    finally:
        await rooms.leave()


@pytest.fixture
async def honest(rooms: Rooms) -> AsyncIterator[Honest]:
    honest = Honest(await rooms.join("anna"), await rooms.join("bob"))
    await honest.exchange()
    yield honest
    await within(honest.exchange())
    honest.assert_undisturbed()


class Offender:
    """A raw signal connection in the same room."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.close_code: int | None = None

    async def send(self, **message: object) -> None:
        await self.websocket.send_bytes(messages.SignalRequest(**message).SerializeToString())

    async def expect(self, kind: str) -> messages.SignalResponse:
        """The next message of that kind."""
        while True:
            frame = await within(self.websocket.receive())
            assert frame.type is aiohttp.WSMsgType.BINARY, f"the connection ended before any {kind}: {frame}"
            response = messages.SignalResponse.FromString(frame.data)
            if response.WhichOneof("message") == kind:
                return response

    async def ended(self) -> int | None:
        """The code the server closed the connection with, or None when it just dropped it."""
        while True:
            frame = await within(self.websocket.receive())
            if frame.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return self.websocket.close_code

    async def is_served(self) -> None:
        """The connection has survived so far."""
        await self.send(ping_req=messages.Ping(timestamp=77))
        while (await self.expect("pong_resp")).pong_resp.last_ping_timestamp != 77:
            pass


@pytest.fixture
async def offender(server: greenroom.Server, rooms: Rooms, honest: Honest) -> AsyncIterator[Offender]:
    url = f"{server.http_url}/rtc?protocol=16&auto_subscribe=1&access_token={rooms.token('mallory')}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as websocket:
        offender = Offender(websocket)
        await offender.expect("join")
        yield offender


# ---- signalling ----


async def test_frames_that_are_no_messages_close_their_connection(
    server: greenroom.Server, offender: Offender
) -> None:
    generator = random.Random(1)
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        for number in range(60):
            await offender.websocket.send_str("{}" * number)
            await offender.websocket.send_bytes(b"\xff" + generator.randbytes(number))
    await offender.ended()
    assert server.counters["signal_frames_malformed"] > 20


async def test_a_huge_frame_closes_its_connection(offender: Offender) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        await offender.websocket.send_bytes(bytes(8 * 1024 * 1024))
    assert await offender.ended() in (None, 1006, 1009)


_SDP = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
_BAD_DESCRIPTIONS = {
    "empty": "",
    "noise": "\x00\x01\N{GRINNING FACE}" * 100,
    "no transport": _SDP,
    "no credentials": _SDP
    + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\na=sctp-port:5000\r\n",
    "bad numbers": _SDP + "m=audio 99999999 UDP/TLS/RTP/SAVPF 111 -1\r\na=mid:1\r\n",
    "a thousand sections": _SDP
    + "".join(f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{n}\r\n" for n in range(1000)),
}


@pytest.mark.parametrize("sdp", _BAD_DESCRIPTIONS.values(), ids=_BAD_DESCRIPTIONS.keys())
async def test_an_unusable_offer_ends_its_session(
    server: greenroom.Server, offender: Offender, sdp: str
) -> None:
    await offender.send(offer=messages.SessionDescription(type="offer", sdp=sdp, id=1))
    await offender.expect("leave")
    await offender.ended()
    assert server.counters["protocol_violations"] >= 1


async def test_answers_that_nobody_asked_for_are_ignored(offender: Offender) -> None:
    outstanding = (await offender.expect("offer")).offer
    for number in range(outstanding.id + 1, outstanding.id + 100):
        await offender.send(answer=messages.SessionDescription(type="answer", sdp=_SDP, id=number))
    await offender.is_served()


async def test_candidates_that_are_none_are_skipped(offender: Offender) -> None:
    lines = ["", "{", "[]", "null", '{"candidate": 5}', '{"candidate":"candidate:x"}', "\x00", "{" * 5000]
    lines += [
        '{"candidate":"candidate:1 1 udp 1 127.0.0.1 99999 typ host"}',
        "9" * 6000,
        '{"candidate":"' + "a" * 9999,
    ]
    for target in (0, 1):
        for line in lines * 20:
            await offender.send(trickle=messages.TrickleRequest(candidateInit=line, target=target))
    await offender.is_served()


async def test_hundreds_of_tracks_are_refused_beyond_the_limit(offender: Offender) -> None:
    for number in range(400):
        track = messages.AddTrackRequest(cid=f"c{number}", name="x" * 300, type=models.TrackType.VIDEO)
        await offender.send(add_track=track)
    refusal = await offender.expect("request_response")
    assert refusal.request_response.reason == messages.RequestResponse.Reason.LIMIT_EXCEEDED
    await offender.is_served()


async def test_requests_about_nothing_are_answered_or_ignored(offender: Offender) -> None:
    sids = ["", "TR_none", "\x00", "x" * 5000]
    for sid in sids:
        await offender.send(mute=messages.MuteTrackRequest(sid=sid, muted=True))
        await offender.send(subscription=messages.UpdateSubscription(track_sids=sids, subscribe=True))
        await offender.send(track_setting=messages.UpdateTrackSettings(track_sids=[sid], width=2**32 - 1))
        await offender.send(update_video_track=messages.UpdateLocalVideoTrack(track_sid=sid, width=2**32 - 1))
        await offender.send(simulate=messages.SimulateScenario(speaker_update=2**31 - 1))
    await offender.is_served()


async def test_random_messages_cost_at_most_their_connection(
    server: greenroom.Server, rooms: Rooms, honest: Honest
) -> None:
    url = f"{server.http_url}/rtc?protocol=16&access_token="
    async with aiohttp.ClientSession() as http:
        for seed in range(12):
            generator = random.Random(seed)
            async with http.ws_connect(url + rooms.token(f"mallory-{seed}"), max_msg_size=0) as websocket:
                with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                    for _ in range(60):
                        message = random_message(messages.SignalRequest, generator)
                        await websocket.send_bytes(message.SerializeToString())
            await honest.exchange()


async def test_a_client_that_never_reads_is_cut_off(server: greenroom.Server, offender: Offender) -> None:
    request = messages.SignalRequest(trickle=messages.TrickleRequest(candidateInit="{" * 100_000))
    frame = request.SerializeToString()  # it is repeated in the answer
    with contextlib.suppress(ConnectionError, aiohttp.ClientError, asyncio.TimeoutError):
        for _ in range(400):
            await asyncio.wait_for(offender.websocket.send_bytes(frame), 1)
    await offender.ended()
    assert server.counters["signal_connections_too_slow"] == 1


# ---- the media ports ----


def _fake_stun(fragment: str, generator: random.Random) -> bytes:
    username = f"{fragment}:{generator.randbytes(4).hex()}".encode()
    attributes = struct.pack("!HH", 6, len(username)) + username + bytes(-len(username) % 4)
    attributes += struct.pack("!HHI", 0x24, 4, 2**31 - 1) + struct.pack("!HH", 0x25, 0)
    attributes += struct.pack("!HH", 8, 20) + generator.randbytes(20)
    return struct.pack("!HHI", 1, len(attributes), 0x2112A442) + generator.randbytes(12) + attributes


def _datagrams(fragment: str, generator: random.Random) -> list[bytes]:
    noise: Callable[[int], bytes] = generator.randbytes
    stun = _fake_stun(fragment, generator)
    kinds = [
        b"",
        noise(generator.randrange(1500)),
        stun,
        stun[: generator.randrange(len(stun))],
        _fake_stun("nobody", generator),
        b"\x01\x01\x00\x00\x21\x12\xa4\x42" + noise(12),
        b"\x16\xfe\xfd" + noise(10) + b"\x01" + noise(200),
        b"\x17\xfe\xfd" + noise(60),
        b"\x80\x6f" + noise(160),
        b"\x90\xe0" + noise(10) + b"\xbe\xde\xff\xff",
        b"\x80\xc8\x00\x06" + noise(24),
    ]
    return kinds


async def _fragment(offender: Offender) -> str:
    """The server's ICE username for the offender: what a stranger can't know but an attendant can."""
    offer = parse((await offender.expect("offer")).offer.sdp)
    assert offer.transport is not None
    assert offer.transport.ice_ufrag
    return offer.transport.ice_ufrag


def _dropped(server: greenroom.Server) -> int:
    assert server._sfu is not None
    return server._sfu.stats()["packets_dropped_unknown"]


async def test_datagrams_from_strange_addresses_are_counted_and_dropped(
    server: greenroom.Server, offender: Offender, honest: Honest
) -> None:
    fragment, generator, before = await _fragment(offender), random.Random(3), _dropped(server)
    strangers = []
    try:
        for host in ("127.0.0.2", "127.0.0.3", "127.9.9.9"):
            strangers.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            strangers[-1].bind((host, 0))
        talk = asyncio.ensure_future(honest.exchange())
        for _ in range(150):
            for stranger in strangers:
                # The first one names no connection; the others name the offender's.
                for datagram in _datagrams("nobody" if stranger is strangers[0] else fragment, generator):
                    stranger.sendto(datagram, ("127.0.0.1", server.udp_port))
            await asyncio.sleep(0.002)
        await within(talk)
    finally:
        for stranger in strangers:
            stranger.close()
    assert _dropped(server) - before > 500
    await offender.is_served()


async def test_noise_on_the_data_channels_is_counted_and_dropped(
    server: greenroom.Server, rooms: Rooms, honest: Honest
) -> None:
    room, _ = await rooms.join("mallory")
    await room.local_participant.publish_data(b"opens the channels")
    session, generator = room._session, random.Random(5)
    assert session is not None
    for number in range(200):
        noise = b"\xff" + generator.randbytes(number * 20)
        for channel in session.publisher.channels.values():
            session.publisher.link.peer.send(channel, noise)
    await honest.exchange()
    await room.local_participant.publish_data(b"last", topic="last")
    await honest.receives("last")
    assert server.counters["data_dropped_malformed"] >= 200


async def test_noise_on_the_tcp_ports_is_cut_off(server: greenroom.Server, honest: Honest) -> None:
    generator = random.Random(4)
    assert server.tcp_port is not None
    framed = [struct.pack("!H", len(d)) + d for d in _datagrams("nobody", generator)]
    attacks = [
        generator.randbytes(4000),
        b"\xff\xff" + bytes(70_000),
        b"".join(framed),
        b"\x00\x00" * 500,
        b"\x00",
    ]
    for port in (server.port, server.tcp_port):
        for attack in attacks:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(OSError):
                writer.write(attack)
                await writer.drain()
                writer.write_eof()
                await within(reader.read())
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await honest.exchange()


async def test_bad_http_requests_are_refused(server: greenroom.Server, rooms: Rooms, honest: Honest) -> None:
    token = rooms.token("mallory")
    paths = [
        "/rtc",
        "/rtc/validate",
        f"/rtc?access_token={token}",
        f"/rtc?access_token={'x' * 7000}",
        "/%00",
        "/rtc/v1",
    ]
    paths += [
        f"/rtc?access_token={token}&protocol=x&join_request=%FF",
        "/rtc?access_token=a.b.c",
        "/" + "a/" * 2000,
    ]
    async with aiohttp.ClientSession() as http:
        for path in paths:
            async with http.get(server.http_url + path, headers={"Authorization": "Bearer x"}) as response:
                assert response.status == 200 or 400 <= response.status < 500, path
