"""Joining that can't succeed, is given up, or happens many times over: typed errors, and nothing left behind."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from interop.ports import free_port
from livekit.protocol import models
from livekit.protocol import room as room_messages
from room_tools import Ear, Events, Rooms, microphone, within

import greenroom
from greenroom.client import errors
from greenroom.server.config import ServerConfig
from livekit import api, rtc

KEY, SECRET = "key", "a-secret-of-at-least-thirty-two-characters"

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
async def server(nothing_left: None) -> AsyncIterator[greenroom.Server]:
    async with greenroom.Server(api_key=KEY, api_secret=SECRET) as server:
        yield server


def claims(**changes: Any) -> str:
    import jwt

    now = int(time.time())
    content = {
        "iss": KEY, "sub": "one", "nbf": now - 5, "exp": now + 600, "video": {"roomJoin": True, "room": "lobby"},
        **changes,
    }  # fmt: skip
    return jwt.encode({k: v for k, v in content.items() if v is not None}, SECRET, algorithm="HS256")


def signed_with(secret: str) -> str:
    token = api.AccessToken(KEY, secret).with_identity("one")
    return token.with_grants(api.VideoGrants(room_join=True, room="lobby")).to_jwt()


NOW = int(time.time())
REFUSED_TOKENS = [
    ("expired", lambda: claims(exp=NOW - 3600, nbf=NOW - 7200), errors.ExpiredTokenError, "expired"),
    ("not yet valid", lambda: claims(nbf=NOW + 3600, exp=NOW + 7200), errors.TokenNotYetValidError, "nbf"),
    ("unknown key", lambda: claims(iss="another"), errors.WrongKeyError, "key"),
    (
        "wrong secret",
        lambda: signed_with("another-secret-of-thirty-two-chars!!"),
        errors.WrongKeyError,
        "signature",
    ),
    ("no jwt", lambda: "rubbish", errors.MalformedTokenError, "JWT"),
    ("empty", lambda: "", errors.TokenError, "token"),
    ("no join grant", lambda: claims(video={"room": "lobby"}), errors.PermissionDeniedError, "room_join"),
    ("no grant", lambda: claims(video=None), errors.TokenError, ""),
    ("no room", lambda: claims(video={"roomJoin": True}), errors.ConnectError, "room"),
    ("no identity", lambda: claims(sub=None), errors.TokenError, "identity"),
]


@pytest.mark.parametrize(
    ("make", "error", "named"), [r[1:] for r in REFUSED_TOKENS], ids=[r[0] for r in REFUSED_TOKENS]
)
async def test_a_token_that_does_not_do_says_why(
    server: greenroom.Server, make: Any, error: type[Exception], named: str
) -> None:
    room = rtc.Room()
    events = Events(room)
    token = make()
    with pytest.raises(rtc.ConnectError) as raised:
        await within(room.connect(server.url, token))
    assert type(raised.value) is error or isinstance(raised.value, error), raised.value
    assert named in str(raised.value)
    assert not token or token not in str(raised.value), "tokens don't belong in logs"
    assert events.names() == []
    assert not room.isconnected()
    with pytest.raises(RuntimeError, match="connect"):
        _ = room.local_participant


@pytest.mark.parametrize("url", ["", "lobby", "ftp://host", "ws://", "ws://host:port", "ws://[::1", "://x"])
async def test_a_bad_url_is_named(url: str) -> None:
    with pytest.raises(errors.InvalidUrlError) as raised:
        await within(rtc.Room().connect(url, "token"))
    assert url in str(raised.value)


async def test_a_refused_connection_names_the_address() -> None:
    port = free_port()
    with pytest.raises(errors.ServerUnreachableError, match=str(port)):
        await within(rtc.Room().connect(f"ws://127.0.0.1:{port}", claims()))


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(errors.ServerUnreachableError, match=r"nowhere\.invalid"):
        await within(rtc.Room().connect("ws://nowhere.invalid:7880", claims()))


async def test_tls_against_a_server_without_it(server: greenroom.Server) -> None:
    with pytest.raises(errors.TlsError, match="TLS"):
        await within(rtc.Room().connect(server.url.replace("ws:", "wss:"), claims()))


async def test_tls_with_a_certificate_nobody_vouches_for() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("untrusted.pem"))
    listener = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: None
    )  # its half of the failed handshake
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(errors.TlsError, match="certificate"):
            await within(rtc.Room().connect(f"wss://127.0.0.1:{port}", claims()))


@pytest.mark.parametrize("token", ["a\nb", "a\r\nX-Header: b", "tok\u00e9n", "\udcff", "a b", "\0"])
async def test_a_token_that_fits_no_header_is_refused(server: greenroom.Server, token: str) -> None:
    with pytest.raises(errors.TokenError, match="token"):
        await within(rtc.Room().connect(server.url, token))


@pytest.fixture
def silent_listener() -> Iterator[int]:
    """Accepts connections (the kernel does) and never says anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_silent_server_runs_into_the_deadline(silent_listener: int, scheme: str) -> None:
    options = rtc.RoomOptions(connect_timeout=0.3)
    with pytest.raises(errors.ConnectError, match=r"0\.3 s") as raised:
        await within(rtc.Room().connect(f"{scheme}://127.0.0.1:{silent_listener}", claims(), options))
    assert isinstance(raised.value, TimeoutError)


async def test_something_that_is_no_livekit_server() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(errors.ConnectError, match=str(port)):
            await within(rtc.Room().connect(f"ws://127.0.0.1:{port}", claims()))


class _Deaf:
    """A media plane, or one of its transports, that nothing from outside reaches."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_transport(self, **options: Any) -> _Deaf:
        return _Deaf(self._real.create_transport(**options))

    def set_remote(self, **_description: Any) -> None: ...
    def add_remote_candidate(self, _candidate: str) -> None: ...


async def test_media_that_finds_no_path_names_what_was_tried() -> None:
    server = greenroom.Server(api_key=KEY, api_secret=SECRET, tcp_port=None)
    make_sfu = server._sfu_factory

    def deaf_sfu(config: ServerConfig) -> Any:
        sfu, port = make_sfu(config)
        return _Deaf(sfu), port

    server._sfu_factory = deaf_sfu
    async with server:
        room = rtc.Room()
        with pytest.raises(errors.MediaPathError) as raised:
            await within(room.connect(server.url, claims(), rtc.RoomOptions(connect_timeout=1)))
        assert f"127.0.0.1:{server.udp_port}" in str(raised.value)
        assert "UDP" in str(raised.value)
        assert any(f":{server.udp_port}" in pair for pair in raised.value.candidate_pairs)
        assert not room.isconnected()


async def test_a_full_room_is_refused(rooms: Rooms) -> None:
    limit = room_messages.RoomConfiguration(max_participants=1)
    await rooms.join("one", room_config=limit)
    with pytest.raises(errors.RoomFullError, match="full"):
        await rooms.join("two")


async def test_after_an_error_the_same_room_object_can_connect(server: greenroom.Server) -> None:
    room = rtc.Room()
    with pytest.raises(errors.ExpiredTokenError):
        await room.connect(server.url, claims(exp=NOW - 3600, nbf=NOW - 7200))
    await within(room.connect(server.url, claims()))
    with pytest.raises(rtc.ConnectError, match="already"):
        await room.connect(server.url, claims())
    assert room.isconnected()
    await room.disconnect()


async def test_connecting_can_be_cancelled_at_any_point(server: greenroom.Server) -> None:
    """After each number of turns of the loop until connect gets through; `nothing_left` judges."""
    turns = 1
    while True:
        room = rtc.Room()
        connecting = asyncio.ensure_future(room.connect(server.url, claims(sub=f"c{turns}")))
        for _ in range(turns):
            if connecting.done():
                break
            await asyncio.sleep(0)
        if connecting.done():
            await connecting
            await room.disconnect()
            break
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(connecting)
        assert not room.isconnected()
        turns = max(turns + 1, turns * 5 // 4)
    assert turns > 10


async def test_disconnecting_while_connecting_is_harmless(server: greenroom.Server) -> None:
    room = rtc.Room()
    connecting = asyncio.ensure_future(room.connect(server.url, claims()))
    await asyncio.sleep(0)
    await room.disconnect()
    await within(connecting)
    await room.disconnect()


async def test_twenty_rooms_at_once(server: greenroom.Server) -> None:
    all_rooms = [Rooms(server) for _ in range(20)]
    joined = await asyncio.gather(*(rooms.join("one") for rooms in all_rooms))
    listeners = await asyncio.gather(*(rooms.join("two") for rooms in all_rooms))
    for number, (room, _) in enumerate(joined):
        await within(room.local_participant.publish_data(f"{number}"))
    for number, (_, events) in enumerate(listeners):
        assert (await events.wait("data_received"))[0].data == f"{number}".encode()
    await asyncio.gather(*(rooms.leave() for rooms in all_rooms))
    for _, events in (*joined, *listeners):
        assert len(events.of("data_received")) <= 1
        assert len(events.of("disconnected")) == 1


async def test_two_servers_in_one_process_are_strangers() -> None:
    async with greenroom.Server() as first, greenroom.Server() as second:
        here, there = Rooms(first), Rooms(second)
        here.name = there.name = "same"
        with pytest.raises(errors.WrongKeyError):
            await rtc.Room().connect(second.url, here.token("one"))
        one, _ = await here.join("one")
        two, _ = await there.join("two")
        assert one.remote_participants == {} == two.remote_participants
        listener, events = await here.join("listener")
        async with microphone(one, 800), microphone(two, 1500):
            stream = rtc.AudioStream((await events.wait("track_subscribed"))[0])
            await Ear(stream).wait_for_tone(800)
            await stream.aclose()
        assert set(listener.remote_participants) == {"one"}
        await here.leave()
        await there.leave()


async def test_a_server_that_stops_ends_its_rooms_with_the_reason() -> None:
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        talker, talked = await rooms.join("talker")
        listener, heard = await rooms.join("listener")
        async with microphone(talker):
            stream = rtc.AudioStream((await heard.wait("track_subscribed"))[0])
            await Ear(stream).wait_for_tone(1000)
            await server.stop()
            for events in (talked, heard):
                assert await events.wait("disconnected") == (rtc.DisconnectReason.SERVER_SHUTDOWN,)
                assert len(events.of("disconnected")) == 1
            async for _event in stream:
                pass
            await stream.aclose()
        assert not talker.isconnected()
        assert not listener.isconnected()
        await rooms.leave()
        for events in (talked, heard):
            assert len(events.of("disconnected")) == 1
    assert models.DisconnectReason.SERVER_SHUTDOWN == rtc.DisconnectReason.SERVER_SHUTDOWN


async def test_calls_after_leaving_say_that_the_room_is_not_connected(rooms: Rooms) -> None:
    room, _ = await rooms.join("one")
    await room.disconnect()
    with pytest.raises(Exception, match="not connected"):
        await room.local_participant.publish_data(b"late")
    source = rtc.AudioSource(48_000, 1)
    with pytest.raises(Exception, match="not connected"):
        await room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("late", source))
    await source.aclose()
    with pytest.raises(RuntimeError, match="not connected"):
        await room.get_rtc_stats()


async def test_repr_before_and_after(server: greenroom.Server) -> None:
    room = rtc.Room()
    assert repr(room) == "rtc.Room(sid=unknown, name=, metadata=, connection_state=CONN_DISCONNECTED)"
    await within(room.connect(server.url, claims()))
    sid = await within(room.sid)
    assert repr(room) == f"rtc.Room(sid={sid}, name=lobby, metadata=, connection_state=CONN_CONNECTED)"
    await room.disconnect()
