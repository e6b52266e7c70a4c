"""Hostile datagrams and ICE-TCP connections: refused, counted, and nobody else hears of them."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import random
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from hostile_rooms import *  # noqa: F403 - the fixtures
from hostile_rooms import Honest, Offender
from room_tools import Ear, Rooms, microphone, within
from udp_relay import RELAY_ADDRESS, UdpRelay

import greenroom
from greenroom.client.peer_link import PeerLink
from greenroom.signalling.sdp import parse
from livekit import rtc

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


# ---- with sound in the room ----


class Sound:
    """A tone that one honest participant hears of the other."""

    def __init__(self, server: greenroom.Server, stream: rtc.AudioStream, room_name: str) -> None:
        self._server = server
        self._stream = stream
        self._room_name = room_name

    async def goes_on(self) -> None:
        await Ear(self._stream).wait_for_tone(700)

    def credentials(self, identity: str) -> tuple[str, str]:
        """The server's ICE user name and password for a participant."""
        room = self._server.rooms.get(self._room_name)
        participant = room.participant(identity) if room is not None else None
        assert participant is not None
        transport = participant.publisher.connection.transport
        return transport.ice_ufrag, transport.ice_pwd


@pytest.fixture
async def sound(server: greenroom.Server, rooms: Rooms) -> AsyncIterator[Sound]:
    anna, anna_events = await rooms.join("anna")
    _, bob_events = await rooms.join("bob")
    async with microphone(anna, 700):
        track, *_ = await bob_events.wait("track_subscribed")
        stream = rtc.AudioStream(track)
        sound = Sound(server, stream, rooms.name)
        await sound.goes_on()
        yield sound
        await sound.goes_on()
        for events in (anna_events, bob_events):
            assert events.names("disconnected", "reconnecting", "track_unsubscribed") == []
        await stream.aclose()


class Stranger:
    """A UDP socket that sends to the server what it should not."""

    def __init__(self, server: greenroom.Server, host: str = "127.0.0.7") -> None:
        self._server = server
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.setblocking(False)

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, ("127.0.0.1", self._server.udp_port))

    def heard(self) -> list[bytes]:
        """What the server has sent here."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(2048))
        return found


def stats(server: greenroom.Server) -> dict[str, int]:
    assert server._sfu is not None
    return server._sfu.stats()


async def counted(server: greenroom.Server, before: dict[str, int], **more: int) -> dict[str, int]:
    """The counters, once each has grown by so much."""
    for _ in range(1000):
        now = stats(server)
        if all(now[name] - before[name] >= count for name, count in more.items()):
            return now
        await asyncio.sleep(0.01)
    grown = {name: now[name] - before[name] for name in more}
    raise AssertionError(f"counted were {grown}, expected at least {more}")


def _stun_request(fragment: str, password: str) -> bytes:
    """A binding request that nominates, as the controlling side of RFC 8445 makes it."""
    username = f"{fragment}:none".encode()
    attributes = struct.pack("!HH", 6, len(username)) + username + bytes(-len(username) % 4)
    attributes += struct.pack("!HHI", 0x24, 4, 2**31 - 1) + struct.pack("!HHQ", 0x802A, 8, 1)
    attributes += struct.pack("!HH", 0x25, 0)

    def head(length: int) -> bytes:
        return struct.pack("!HHI", 1, length, 0x2112A442) + transaction

    transaction = os.urandom(12)
    signed = head(len(attributes) + 24) + attributes
    attributes += struct.pack("!HH", 8, 20) + hmac.digest(password.encode(), signed, "sha1")
    fingerprint = zlib.crc32(head(len(attributes) + 8) + attributes) ^ 0x5354554E
    attributes += struct.pack("!HHI", 0x8028, 4, fingerprint)
    return head(len(attributes)) + attributes


async def test_a_wrong_password_gets_no_answer_and_no_address(server: greenroom.Server, sound: Sound) -> None:
    fragment, password = sound.credentials("anna")
    before = stats(server)
    with Stranger(server) as stranger:
        for wrong in ("", "x" * len(password), password[:-1], password + "x"):
            for _ in range(10):
                stranger.send(_stun_request(fragment, wrong))
                stranger.send(b"\x80\x6f" + os.urandom(160))
        await counted(server, before, packets_dropped_stun=40, packets_dropped_unknown=40)
        await sound.goes_on()
        assert stranger.heard() == []


async def test_a_wrong_user_name_is_of_nobody(server: greenroom.Server, sound: Sound) -> None:
    fragment, password = sound.credentials("anna")
    before = stats(server)
    with Stranger(server) as stranger:
        for wrong in ("", fragment[:-1], fragment.swapcase(), "nobody"):
            for _ in range(10):
                stranger.send(_stun_request(wrong, password))
        await counted(server, before, packets_dropped_unknown=40)
        await sound.goes_on()
        assert stranger.heard() == []


async def test_the_password_of_one_opens_nothing_of_another(server: greenroom.Server, sound: Sound) -> None:
    (fragment, _), (_, password) = sound.credentials("anna"), sound.credentials("bob")
    before = stats(server)
    with Stranger(server) as stranger:
        for _ in range(20):
            stranger.send(_stun_request(fragment, password))
        await counted(server, before, packets_dropped_stun=20)
        assert stranger.heard() == []


class RecordingRelay(UdpRelay):
    """Keeps what clients say."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.recorded: list[tuple[Any, bytes]] = []

    def _from_client(self, data: bytes, client: Any) -> None:
        self.recorded.append((client, data))
        super()._from_client(data, client)

    def say_again(self, client: Any, data: bytes) -> None:
        self._ways[client].sendto(data)


async def test_media_that_is_recorded_is_refused_wherever_it_comes_from() -> None:
    settings: dict[str, Any] = {"tcp_port": None, "advertised_addresses": (RELAY_ADDRESS,)}
    async with greenroom.Server(**settings) as server, RecordingRelay(server.udp_port) as relay:
        rooms = Rooms(server)
        anna, _ = await rooms.join("anna")
        _, events = await rooms.join("bob")
        async with microphone(anna, 700):
            track, *_ = await events.wait("track_subscribed")
            stream = rtc.AudioStream(track)
            await Ear(stream).wait_for_tone(700)
            media = [(client, data) for client, data in relay.recorded if 128 <= data[0] < 192]
            handshakes = [data for _, data in relay.recorded if 20 <= data[0] < 64]
            assert len(media) > 5
            assert handshakes
            before = stats(server)
            with Stranger(server) as stranger:
                for client, data in media:
                    relay.say_again(client, data)
                    stranger.send(data)
                for data in handshakes:
                    stranger.send(data)
                strange = len(media) + len(handshakes)
                await counted(
                    server, before, packets_dropped_replayed=len(media), packets_dropped_unknown=strange
                )
                sound = [(client, data) for client, data in media if not 192 <= data[1] < 224]
                for client, data in sound:
                    number = struct.unpack_from("!H", data, 2)[0] + 1000  # as if it were one to come
                    relay.say_again(client, data[:2] + struct.pack("!H", number % 65_536) + data[4:])
                await counted(server, before, packets_dropped_unauthenticated=len(sound))
                await Ear(stream).wait_for_tone(700)
                assert stranger.heard() == []
            await stream.aclose()
        assert events.names("disconnected", "reconnecting", "track_unsubscribed") == []
        await rooms.leave()


async def test_a_certificate_that_the_description_does_not_name(
    server: greenroom.Server, rooms: Rooms, sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = PeerLink.local_transport.fget
    assert honest is not None
    wrong = "sha-256 " + ":".join(["AB"] * 32)
    monkeypatch.setattr(
        PeerLink, "local_transport", property(lambda link: replace(honest(link), fingerprint=wrong))
    )
    before = stats(server)
    with pytest.raises(rtc.ConnectError):
        await rooms.join("mallory", rtc.RoomOptions(connect_timeout=3))
    await counted(server, before, transports_failed=1)
    await sound.goes_on()


async def test_a_flood_of_datagrams_leaves_the_sound_alone(server: greenroom.Server, sound: Sound) -> None:
    fragment, _ = sound.credentials("anna")
    generator, before = random.Random(6), stats(server)
    with Stranger(server) as stranger:
        for _ in range(100):
            for _ in range(10):
                for datagram in _datagrams(fragment, generator):
                    stranger.send(datagram)
            await asyncio.sleep(0.005)
        await sound.goes_on()
        await counted(server, before, packets_dropped_unknown=1000, packets_dropped_stun=500)
        assert stranger.heard() == []


# ---- ICE-TCP ----


def _framed(*messages: bytes) -> bytes:
    return b"".join(struct.pack("!H", len(message)) + message for message in messages)


async def _is_cut_off(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        assert await within(reader.read()) == b""


async def test_frames_that_are_too_large_cut_their_connection(server: greenroom.Server, sound: Sound) -> None:
    before = stats(server)
    request = _stun_request(*sound.credentials("anna"))
    attacks = [
        struct.pack("!H", 2049) + bytes(2049),  # before it has shown to speak STUN
        _framed(_stun_request("nobody", "x")) + struct.pack("!H", 20_000) + bytes(20_000),
        _framed(b"\x16\xfe\xfd" + bytes(60)),
        _framed(request[:19]),
    ]
    for attack in attacks:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.tcp_port)
        writer.write(attack)
        await _is_cut_off(reader)
        writer.close()
    await counted(server, before, tcp_connections_aborted=len(attacks))
    await sound.goes_on()


async def test_connections_that_are_slow_or_silent_are_in_nobodys_way(
    server: greenroom.Server, rooms: Rooms, sound: Sound
) -> None:
    """They are cut off after ten seconds, which is tested in virtual time (crates/net/src/slot/tests.rs)."""
    before, generator = stats(server), random.Random(7)
    frame = _framed(_stun_request("nobody", "x"))
    writers: list[asyncio.StreamWriter] = []
    try:
        for number in range(150):
            _, writer = await asyncio.open_connection("127.0.0.1", server.tcp_port)
            writers.append(writer)
            writer.write(frame[: number % 3])  # nothing, a byte, a length
        for position in range(2, 20):
            for writer in generator.sample(writers, 50):
                writer.write(frame[position : position + 1])
            await asyncio.sleep(0.005)
        await sound.goes_on()
        _, events = await rooms.join("late")
        await events.wait("track_subscribed")
        await counted(server, before, tcp_connections_accepted=len(writers))
    finally:
        for writer in writers:
            writer.close()


async def test_a_flood_over_tcp_leaves_the_sound_alone(server: greenroom.Server, sound: Sound) -> None:
    fragment, _ = sound.credentials("anna")
    generator, before = random.Random(8), stats(server)
    _, writer = await asyncio.open_connection("127.0.0.1", server.tcp_port)
    writer.write(_framed(_stun_request(fragment, "wrong")))
    for _ in range(200):
        writer.write(_framed(*(datagram for datagram in _datagrams(fragment, generator) if datagram)))
        await within(writer.drain())
    await sound.goes_on()
    await counted(server, before, packets_dropped_unknown=500, packets_dropped_stun=200)
    writer.close()
