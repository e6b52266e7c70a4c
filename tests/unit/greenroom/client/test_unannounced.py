"""Media of tracks that the server has not told of: held for a while, in bounds, and told as a failure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from client_fakes import Connection, FakePeers, FakeReceiver, SignalServer, participant, server_offer, track
from livekit.protocol import models
from livekit.protocol import rtc as proto
from test_session import Recorder

from greenroom.client import reconnect, unannounced
from greenroom.client.unannounced import MAX_HELD, WAIT_S, Unannounced
from livekit import rtc

OVERDUE = (
    "could not find published track with sid: TR_v: the server sends it, and has not told of it for 5 s; it is subscribed "
    "if that still comes, else it has to be published again"
)


class Clock:
    """Timers in virtual time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.running: dict[object, tuple[float, Callable[[], None]]] = {}

    def start(self, delay_s: float, function: Callable[[], None]) -> Any:
        timer = _Timer(self)
        self.running[timer] = (self.now_s + delay_s, function)
        return timer

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        for timer, (due_s, function) in list(self.running.items()):
            if due_s <= self.now_s:
                del self.running[timer]
                function()


class _Timer:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def cancel(self) -> None:
        del self._clock.running[self]


class Waiting(Unannounced):
    def __init__(self) -> None:
        self.clock, self.failures, self.deaf = Clock(), list[tuple[str, str, str]](), False
        super().__init__(
            lambda *failure: self.failures.append(failure),
            is_deaf=lambda: self.deaf,
            start_timer=self.clock.start,
        )

    def come(self, track_sid: str) -> Any:
        receiver: Any = FakeReceiver(1, "0", "video")
        self.hold("PA_bob", track_sid, receiver)
        return receiver


def test_news_in_time_get_the_media_and_end_the_wait() -> None:
    waiting = Waiting()
    receiver = waiting.come("TR_v")
    waiting.clock.pass_s(WAIT_S - 0.01)
    assert waiting.take("TR_v") is receiver
    assert waiting.take("TR_v") is None
    assert (waiting.failures, waiting.clock.running) == ([], {})


def test_late_news_are_a_failure_and_get_the_media_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    waiting = Waiting()
    receiver = waiting.come("TR_v")
    waiting.clock.pass_s(WAIT_S)
    assert waiting.failures == [("PA_bob", "TR_v", OVERDUE)]
    assert [record.message for record in caplog.records] == [f"track of participant PA_bob: {OVERDUE}"]
    waiting.clock.pass_s(100)
    assert (len(waiting.failures), waiting.clock.running) == (1, {})
    assert waiting.take("TR_v") is receiver


def test_media_that_begins_anew_neither_waits_longer_nor_fails_twice() -> None:
    waiting = Waiting()
    waiting.come("TR_v")
    waiting.clock.pass_s(WAIT_S / 2)
    second = waiting.come("TR_v")
    waiting.clock.pass_s(WAIT_S / 2)
    third = waiting.come("TR_v")
    waiting.clock.pass_s(WAIT_S)
    assert len(waiting.failures) == 1
    waiting.stopped("TR_v", second)
    assert waiting.take("TR_v") is third


@pytest.mark.parametrize("after_s", [0, WAIT_S], ids=["waiting", "failed"])
def test_media_that_stops_is_forgotten(after_s: float) -> None:
    waiting = Waiting()
    receiver = waiting.come("TR_v")
    waiting.clock.pass_s(after_s)
    waiting.stopped("TR_v", receiver)
    assert (waiting.take("TR_v"), waiting.clock.running) == (None, {})


def test_nothing_fails_while_no_news_can_come() -> None:
    waiting = Waiting()
    waiting.come("TR_v")
    waiting.deaf = True
    waiting.clock.pass_s(WAIT_S)
    waiting.deaf = False
    waiting.clock.pass_s(WAIT_S - 0.01)
    assert waiting.failures == []
    waiting.clock.pass_s(0.01)
    assert waiting.failures == [("PA_bob", "TR_v", OVERDUE)]


def test_more_than_any_room_sends_fails_at_once() -> None:
    waiting = Waiting()
    for number in range(MAX_HELD):
        waiting.come(f"TR_{number}")
    assert waiting.failures == []
    waiting.come("TR_more")
    ((who, sid, error),) = waiting.failures
    assert (who, sid) == ("PA_bob", "TR_more")
    assert error.startswith(
        "could not find published track with sid: TR_more: it is one of more than 1024 tracks"
    )
    assert waiting.take("TR_more") is None
    waiting.take("TR_0")
    assert waiting.take("TR_more") is None
    waiting.come("TR_more")
    assert len(waiting.failures) == 1, "there is room again"


def test_clearing_forgets_everything() -> None:
    waiting = Waiting()
    waiting.come("TR_v")
    waiting.clear()
    assert (waiting.take("TR_v"), waiting.clock.running) == (None, {})


# ---- in a room ----

BOB = participant("bob")
Joined = tuple[rtc.Room, Recorder, Connection]


@pytest.fixture
async def joined(server: SignalServer, peers: FakePeers) -> AsyncIterator[Joined]:
    """A room with bob in it."""
    server.join.other_participants.append(BOB)
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    yield room, recorder, await server.connection()
    await room.disconnect()


async def send_unannounced(connection: Connection, who: str = "PA_bob") -> None:
    await connection.send(offer=server_offer(("video", who, "TR_v", 9), offer_id=2))
    await connection.expect("answer", count=2)


def waits(room: rtc.Room) -> list[str]:
    assert room._session is not None
    return list(room._session.media._unannounced._held)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unannounced, "WAIT_S", 0.0)
    monkeypatch.setattr(reconnect, "random_unit", lambda: 0.0)


async def test_users_are_told_and_the_track_still_comes(impatient: None, joined: Joined) -> None:
    room, recorder, connection = joined
    await send_unannounced(connection)
    told = await recorder.until("track_subscription_failed")
    assert told[1:] == ("bob", "TR_v", OVERDUE.replace("5 s", "0 s"))
    assert "track_subscribed" not in recorder.names()
    await connection.update(participant("bob", tracks=[track("TR_v", models.TrackType.VIDEO)]))
    await recorder.until("track_subscribed")
    assert recorder.names()[-3:] == ["track_subscription_failed", "track_published", "track_subscribed"]
    assert waits(room) == []


@pytest.mark.parametrize("who", ["PA_nobody", "PA_me", ""])
async def test_media_of_nobody_is_logged_only(
    impatient: None, joined: Joined, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, recorder, connection = joined
    await send_unannounced(connection, who)
    await connection.send(room_update=proto.RoomUpdate(room=models.Room(sid="RM_room", metadata="later")))
    await recorder.until("room_metadata_changed")
    assert (
        f"track of participant {who or '(none)'}: could not find published track with sid: TR_v"
        in caplog.text
    )
    assert "track_subscription_failed" not in recorder.names()


async def test_a_resume_goes_on_waiting(joined: Joined, server: SignalServer) -> None:
    room, recorder, connection = joined
    await send_unannounced(connection)
    server.resume = [
        proto.SignalResponse(reconnect=proto.ReconnectResponse()),
        proto.SignalResponse(update=proto.ParticipantUpdate(participants=[server.join.participant, BOB])),
        proto.SignalResponse(offer=server_offer(("video", "PA_bob", "TR_v", 9), offer_id=3, ice_ufrag="new")),
    ]
    assert connection.request.transport is not None
    connection.request.transport.abort()
    await recorder.until("reconnected")
    assert waits(room) == ["TR_v"]
    await (await server.connection()).update(
        participant("bob", version=1, tracks=[track("TR_v", models.TrackType.VIDEO)])
    )
    await recorder.until("track_subscribed")
    assert "track_subscription_failed" not in recorder.names()


async def test_a_restart_forgets_what_came_before_it(joined: Joined, server: SignalServer) -> None:
    """The server may use the same SID again: then the media comes over the new connection only."""
    room, recorder, connection = joined
    await send_unannounced(connection)
    assert waits(room) == ["TR_v"]
    server.join.other_participants[0].tracks.append(track("TR_v", models.TrackType.VIDEO))
    server.join.participant.sid = "PA_me2"
    await connection.send(leave=proto.LeaveRequest(action=proto.LeaveRequest.Action.RECONNECT))
    await recorder.until("reconnected")
    assert "track_published" in recorder.names()
    assert "track_subscribed" not in recorder.names()
    assert waits(room) == []


async def test_leaving_forgets_and_tells_nothing(joined: Joined) -> None:
    room, recorder, connection = joined
    await send_unannounced(connection)
    session = room._session
    assert session is not None
    await room.disconnect()
    assert session.media._unannounced._held == {}
    assert "track_subscription_failed" not in recorder.names()
