"""A first join that fails is tried again where that can help, and only there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import web
from client_fakes import TIMEOUT_S, FakePeers, SignalServer

from greenroom.client import errors, first_join, reconnect
from greenroom.client.refusals import refusal_error
from livekit import rtc

BUSY = (503, "node has exceeded its configured limit")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "random_unit", lambda: 0.0)


class Answers:
    """What a server says to one join after the other; None lets it in."""

    def __init__(self, server: SignalServer, *answers: tuple[int, str] | None) -> None:
        self._server = server
        self._answers: Iterator[tuple[int, str] | None] = iter(answers)
        self.asked = 0
        server.on_request = self._next

    async def _next(self, request: web.Request) -> None:
        self.asked += 1
        self._server.refusal = next(self._answers)


async def test_a_server_that_is_busy_twice_is_joined(server: SignalServer, peers: FakePeers) -> None:
    answers = Answers(server, BUSY, BUSY, None)
    room = rtc.Room()
    await room.connect(server.url, "token")
    assert room.isconnected()
    assert answers.asked == 3
    assert sum(not peer.closed for peer in peers.made) == 2  # those of the attempt that succeeded
    await room.disconnect()


async def test_four_attempts_are_made_and_the_last_error_is_told(
    server: SignalServer, peers: FakePeers
) -> None:
    answers = Answers(server, BUSY, BUSY, BUSY, (500, "the last"), None)
    with pytest.raises(errors.ServerRefusedError, match="the last"):
        await rtc.Room().connect(server.url, "token")
    assert answers.asked == 4
    assert all(peer.closed for peer in peers.made)


async def test_a_server_that_hangs_up_is_tried_again(server: SignalServer, peers: FakePeers) -> None:
    asked = 0

    async def hang_up_twice(request: web.Request) -> None:
        nonlocal asked
        asked += 1
        if asked <= 2 and request.transport is not None:
            request.transport.abort()

    server.on_request = hang_up_twice
    room = rtc.Room()
    await room.connect(server.url, "token")
    assert asked == 3
    await room.disconnect()


async def test_a_signal_connection_lost_before_the_media_path(server: SignalServer, peers: FakePeers) -> None:
    peers.connects = False
    room = rtc.Room()
    connecting = asyncio.ensure_future(room.connect(server.url, "token"))
    first = await server.connection()
    await first.expect("answer")
    peers.connects = True
    assert first.request.transport is not None
    first.request.transport.abort()
    await asyncio.wait_for(connecting, TIMEOUT_S)
    assert room.isconnected()
    await room.disconnect()


@pytest.mark.parametrize("refusal", [(401, "token is expired"), (403, ""), (404, "not found"), (400, "")])
async def test_what_the_user_has_to_mend_is_told_at_once(
    server: SignalServer, peers: FakePeers, refusal: tuple[int, str]
) -> None:
    answers = Answers(server, refusal, None)
    with pytest.raises(rtc.ConnectError) as raised:
        await rtc.Room().connect(server.url, "token")
    assert raised.value.status == refusal[0]
    assert answers.asked == 1


def test_which_errors_may_pass() -> None:
    refused = [
        (status, first_join.may_pass(refusal_error("ws://host", status, ""))) for status in (400, 429, 502)
    ]
    assert refused == [(400, False), (429, True), (502, True)]
    table = [
        (errors.ServerUnreachableError("refused"), True),
        (errors.ServerUnreachableError("no websocket", may_pass=False), False),
        (errors.SignalLostError("closed"), True),
        (errors.SignalProtocolError("no join"), False),
        (errors.RoomFullError("full", status=500), False),
        (errors.InvalidUrlError("ftp"), False),
        (errors.TlsError("untrusted"), False),
        (errors.MediaPathError("no path"), False),
        (errors.ConnectTimeoutError("late"), False),
    ]
    for error, expected in table:
        assert first_join.may_pass(error) is expected, error


async def test_no_attempt_is_made_after_the_deadline(
    peers: FakePeers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnect, "random_unit", lambda: 1.0)
    attempts = 0

    async def attempt(deadline_s: float) -> None:
        nonlocal attempts
        attempts += 1
        raise errors.ServerUnreachableError("refused")

    with pytest.raises(errors.ServerUnreachableError):
        await first_join.join_with_retries(attempt, 0.2)
    assert attempts == 2  # the pause of 0.1 s fits, the one of 0.3 s does not


async def test_cancelled_in_a_pause_no_attempt_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_join, "RETRY_PAUSES_S", (3600.0,))
    monkeypatch.setattr(reconnect, "random_unit", lambda: 0.5)
    attempted = asyncio.Event()

    async def attempt(deadline_s: float) -> None:
        assert not attempted.is_set()
        attempted.set()
        raise errors.ServerUnreachableError("refused")

    joining = asyncio.ensure_future(first_join.join_with_retries(attempt, 7200))
    await attempted.wait()
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
