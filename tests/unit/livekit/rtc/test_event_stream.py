"""Awaiting one event of a room, and iterating over all."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from greenroom.client.errors import SessionEndedError
from livekit.rtc import room_events
from livekit.rtc.event_stream import RoomEmitter

LIMIT_S = 5


class Emitter(RoomEmitter):
    ended = False

    @property
    def _has_ended(self) -> bool:
        return self.ended


async def started(coroutine: Any) -> asyncio.Task[Any]:
    """A task that has run up to its first wait."""
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize(
    ("event", "args", "result"),
    [
        ("connected", (), None),
        ("data_received", ("packet",), "packet"),
        ("room_metadata_changed", ("old", "new"), ("old", "new")),
    ],
)
async def test_waiting_returns_what_the_event_carries(event: Any, args: tuple[Any, ...], result: Any) -> None:
    room = Emitter()
    waiting = await started(room.wait_for(event))
    room.emit("reconnecting")
    room.emit(event, *args)
    assert await asyncio.wait_for(waiting, LIMIT_S) == result
    assert room._waiters == []


async def test_waiting_takes_the_first_that_matches() -> None:
    room = Emitter()
    waiting = await started(room.wait_for("room_metadata_changed", lambda old, new: new == "b"))
    room.emit("room_metadata_changed", "", "a")
    room.emit("room_metadata_changed", "a", "b")
    room.emit("room_metadata_changed", "b", "b")
    assert await asyncio.wait_for(waiting, LIMIT_S) == ("a", "b")


async def test_a_time_out_names_the_event() -> None:
    room = Emitter()
    with pytest.raises(TimeoutError, match=r"'moved' came within 0\.01 s"):
        await room.wait_for("moved", timeout=0.01)
    assert room._waiters == []


@pytest.mark.parametrize("timeout", [None, LIMIT_S])
async def test_the_end_of_the_room_ends_waiting(timeout: float | None) -> None:
    room = Emitter()
    waiting = await started(room.wait_for("moved", timeout=timeout))
    ending = await started(room.wait_for("disconnected", timeout=timeout))
    room.emit("disconnected", 5)
    with pytest.raises(SessionEndedError, match=r"moved.*ROOM_DELETED"):
        await asyncio.wait_for(waiting, LIMIT_S)
    assert await asyncio.wait_for(ending, LIMIT_S) == 5


async def test_waiting_in_a_room_that_has_ended_is_refused() -> None:
    room = Emitter()
    room.ended = True
    with pytest.raises(SessionEndedError, match="moved"):
        await room.wait_for("moved")


async def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(ValueError, match="no event 'track_publisched'"):
        await Emitter().wait_for("track_publisched")  # type: ignore[call-overload]


async def test_a_time_in_place_of_the_predicate_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the predicate is 5: .* timeout="):
        await Emitter().wait_for("moved", 5)  # type: ignore[arg-type]


async def test_a_predicate_that_would_have_to_be_awaited_is_refused() -> None:
    async def predicate() -> bool:
        raise AssertionError("nobody would await it")

    with pytest.raises(ValueError, match="coroutine function"):
        await Emitter().wait_for("moved", predicate)


async def test_a_failing_predicate_fails_the_waiter_alone() -> None:
    room = Emitter()
    heard: list[str] = []
    room.on("moved", lambda: heard.append("moved"))
    failing = await started(room.wait_for("moved", lambda: 1 // 0))
    patient = await started(room.wait_for("moved"))
    room.emit("moved")
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(failing, LIMIT_S)
    await asyncio.wait_for(patient, LIMIT_S)
    assert heard == ["moved"]


@pytest.mark.parametrize("timeout", [None, LIMIT_S])
async def test_cancelling_leaves_nothing(timeout: float | None) -> None:
    room = Emitter()
    waiting = await started(room.wait_for("moved", timeout=timeout))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert room._waiters == []
    room.emit("disconnected", 1)


async def test_a_stream_yields_every_event_and_ends_with_the_room() -> None:
    room = Emitter()
    stream = room.events()
    room.emit("connected")
    room.emit("participant_metadata_changed", "who", "old", "new")
    room.emit("disconnected", 1)
    room.emit("connected")
    events = [event async for event in stream]
    assert events == [
        room_events.Connected(),
        room_events.ParticipantMetadataChanged("who", "old", "new"),  # type: ignore[arg-type]
        room_events.Disconnected(1),  # type: ignore[arg-type]
    ]
    assert events[1].name == "participant_metadata_changed"
    assert events[1].arguments == ("who", "old", "new")


async def test_a_waiting_iteration_wakes_up() -> None:
    room = Emitter()
    stream = room.events()
    waiting = await started(stream.__anext__())
    room.emit("moved")
    assert await asyncio.wait_for(waiting, LIMIT_S) == room_events.Moved()
    waiting = await started(stream.__anext__())
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, LIMIT_S)


async def test_a_full_stream_drops_its_oldest_counts_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Emitter()
    stream = room.events(max_queued=2)
    with caplog.at_level(logging.WARNING, "livekit"):
        for reason in range(5):
            room.emit("track_subscription_failed", "who", str(reason), "error")
    assert stream.dropped_events == 3
    assert len(caplog.records) == 1
    await_two = [await stream.__anext__(), await stream.__anext__()]
    assert [event.arguments[1] for event in await_two] == ["3", "4"]


async def test_a_stream_nobody_refers_to_is_forgotten() -> None:
    room = Emitter()
    room.emit("connected")
    stream = room.events()
    assert len(room._streams) == 1
    del stream
    gc.collect()
    assert len(room._streams) == 0


async def test_a_room_that_has_ended_gives_no_events() -> None:
    room = Emitter()
    room.ended = True
    assert [event async for event in room.events()] == []


def test_every_event_has_its_class() -> None:
    from typing import get_args

    assert set(get_args(room_events.EventTypes)) == set(room_events.EVENT_CLASSES)
