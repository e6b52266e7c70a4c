"""Joins that fail: one type per cause, a message to act on, and nothing left behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from client_fakes import TIMEOUT_S, FakePeers, SignalServer
from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.client import errors
from greenroom.client.refusals import refusal_error
from livekit import rtc

_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"

# status, body, type, part of the message
_REFUSALS = [
    (
        401,
        f"invalid token: {_JWT}, error: token has invalid claims: token is expired",
        errors.ExpiredTokenError,
        "expired",
    ),
    (
        401,
        f"invalid token: {_JWT}, error: token has invalid claims: token is not valid yet",
        errors.TokenNotYetValidError,
        "nbf",
    ),
    (
        401,
        f"invalid token: {_JWT}, error: token signature is invalid: signature is invalid",
        errors.WrongKeyError,
        "secret",
    ),
    (401, "invalid API key: nobody", errors.WrongKeyError, "API key"),
    (401, "invalid authorization token", errors.MalformedTokenError, "no JWT"),
    (401, "no permissions to access the room", errors.PermissionDeniedError, "room_join"),
    (401, "permissions denied", errors.PermissionDeniedError, "room_join"),
    (400, "no room name", errors.TokenError, "names no room"),
    (400, "room name length exceeds limits: max length 256", errors.TokenError, "a shorter one"),
    (400, "identity cannot be empty", errors.TokenError, "identity"),
    (404, "requested room does not exist", errors.RoomNotFoundError, "create the room"),
    (404, "404 page not found", errors.ServerRefusedError, "check the URL"),
    (500, "connection closed by media", errors.RoomFullError, "max_participants"),
    (503, "node has exceeded its configured limit", errors.ServerRefusedError, "try again"),
    (500, "timed out while waiting for signal response", errors.ServerRefusedError, "see its log"),
]


@pytest.mark.parametrize(("status", "body", "kind", "part"), _REFUSALS)
async def test_a_refusal_is_typed_and_keeps_status_and_body(
    server: SignalServer, peers: FakePeers, status: int, body: str, kind: type[Exception], part: str
) -> None:
    server.refusal = (status, body)
    room = rtc.Room()
    with pytest.raises(rtc.ConnectError) as raised:
        await room.connect(server.url, "token")
    error = raised.value
    assert type(error) is kind
    assert part in error.message
    assert str(status) in error.message
    assert (error.status, error.body) == (status, body)
    assert _JWT not in error.message
    assert str(error) == error.message
    assert not room.isconnected()


def test_the_table_has_an_answer_for_anything() -> None:
    error = refusal_error("ws://host/rtc", 418, "")
    assert type(error) is errors.ServerRefusedError
    assert "(no body)" in error.message


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("ftp://host", "scheme 'ftp'"),
        ("localhost", "no scheme"),
        ("ws://", "no host"),
        ("ws://host:port", "can't be read"),
        ("", "no scheme"),
    ],
)
async def test_a_bad_url_is_told_before_anything_is_tried(url: str, part: str) -> None:
    with pytest.raises(errors.InvalidUrlError, match=part):
        await rtc.Room().connect(url, "token")


async def test_a_refused_connection(peers: FakePeers) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(errors.ServerUnreachableError, match=f"127.0.0.1:{port}.*is the server running"):
            await rtc.Room().connect(f"ws://127.0.0.1:{port}", "token")


async def test_tls_to_a_plain_port(server: SignalServer, peers: FakePeers) -> None:
    with pytest.raises(errors.TlsError, match="use ws://"):
        await rtc.Room().connect(server.url.replace("ws:", "wss:"), "token")


async def test_a_port_that_hangs_up(peers: FakePeers) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as hanging_up:
        port = hanging_up.sockets[0].getsockname()[1]
        with pytest.raises(errors.ServerUnreachableError, match="use wss://"):
            await rtc.Room().connect(f"ws://127.0.0.1:{port}", "token")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (rtc.KeyProviderOptions(key_ring_size=0), "key_ring_size is 0"),
        (rtc.KeyProviderOptions(key_ring_size=257), "key_ring_size is 257"),
        (rtc.KeyProviderOptions(ratchet_window_size=-1), "ratchet_window_size is -1"),
        (rtc.KeyProviderOptions(key_derivation_function=7), "key_derivation_function is 7"),  # type: ignore[arg-type]
    ],
)
async def test_options_of_encryption_that_make_no_sense(
    server: SignalServer, peers: FakePeers, options: rtc.KeyProviderOptions, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        await rtc.Room().connect(
            server.url, "token", rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=options))
        )
    assert server.connections.empty()
    assert peers.made == []


@pytest.mark.parametrize(
    "first",
    [
        [proto.SignalResponse(leave=proto.LeaveRequest(reason=models.DisconnectReason.STATE_MISMATCH))],
        [proto.SignalResponse(refresh_token="x")],
    ],
)
async def test_a_first_message_that_is_no_join(
    server: SignalServer, peers: FakePeers, first: list[proto.SignalResponse]
) -> None:
    server.first = first
    with pytest.raises(errors.SignalProtocolError):
        await rtc.Room().connect(server.url, "token")


async def test_no_media_path_names_what_was_tried(server: SignalServer, peers: FakePeers) -> None:
    peers.connects = False
    with pytest.raises(
        errors.MediaPathError, match=r"127\.0\.0\.1:40000 -> 127\.0\.0\.1:7882 failed"
    ) as raised:
        await rtc.Room().connect(server.url, "token", rtc.RoomOptions(connect_timeout=0.2))
    assert raised.value.candidate_pairs == ("127.0.0.1:40000 -> 127.0.0.1:7882 failed",)
    assert all(peer.closed for peer in peers.made)


async def test_media_that_fails_while_connecting(server: SignalServer, peers: FakePeers) -> None:
    peers.connects = False
    connecting = asyncio.ensure_future(rtc.Room().connect(server.url, "token"))
    await (await server.connection()).expect("answer")
    peers.subscriber.fire(_engine.FAILED, "no candidate pair worked")
    with pytest.raises(errors.MediaPathError, match="no candidate pair worked"):
        await asyncio.wait_for(connecting, TIMEOUT_S)


async def test_the_deadline_covers_the_websocket(server: SignalServer, peers: FakePeers) -> None:
    server.stuck_in_upgrade = True
    with pytest.raises(errors.ConnectTimeoutError, match="opening the signal connection"):
        await rtc.Room().connect(server.url, "token", rtc.RoomOptions(connect_timeout=0.1))


async def test_a_join_that_never_comes(server: SignalServer, peers: FakePeers) -> None:
    server.first = []
    with pytest.raises(errors.ConnectTimeoutError, match="waiting for the join"):
        await rtc.Room().connect(server.url, "token", rtc.RoomOptions(connect_timeout=0.1))


def _stuck_in_upgrade(server: SignalServer, peers: FakePeers) -> None:
    server.stuck_in_upgrade = True


def _stuck_before_join(server: SignalServer, peers: FakePeers) -> None:
    server.first = []


def _stuck_before_media(server: SignalServer, peers: FakePeers) -> None:
    peers.connects = False


@pytest.mark.parametrize("stick", [_stuck_in_upgrade, _stuck_before_join, _stuck_before_media])
async def test_cancelled_anywhere_connect_frees_everything(
    server: SignalServer, peers: FakePeers, stick: Callable[[SignalServer, FakePeers], None]
) -> None:
    stick(server, peers)
    room = rtc.Room()
    connecting = asyncio.ensure_future(room.connect(server.url, "token"))
    if stick is not _stuck_in_upgrade:
        connection = await server.connection()
        if stick is _stuck_before_media:
            await connection.expect("answer")
    else:
        await asyncio.sleep(0.05)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert all(peer.closed for peer in peers.made)
    if stick is not _stuck_in_upgrade:
        await asyncio.wait_for(connection.closed.wait(), TIMEOUT_S)
    with pytest.raises(RuntimeError):
        room.local_participant  # noqa: B018
    server.stuck_in_upgrade, server.first, peers.connects = False, None, True
    await room.connect(server.url, "token")
    await room.disconnect()


async def test_connecting_twice_is_refused(server: SignalServer, peers: FakePeers) -> None:
    room = rtc.Room()
    await room.connect(server.url, "token")
    with pytest.raises(rtc.ConnectError, match="connected already"):
        await room.connect(server.url, "token")
    await room.disconnect()


async def test_another_loop_than_the_rooms_is_refused(server: SignalServer) -> None:
    other = asyncio.new_event_loop()
    try:
        with pytest.raises(RuntimeError, match="another event loop"):
            await rtc.Room(other).connect(server.url, "token")
    finally:
        other.close()
