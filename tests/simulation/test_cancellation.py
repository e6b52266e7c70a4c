"""`connect`, `disconnect` and `publish_track` cancelled at every await: nothing leaks, and the room works again."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from greenroom.testing import Simulation
from greenroom.testing.server import SimulatedServer
from livekit import rtc

_STEP_S = 0.0025
"""Half of the way to the network: each message on its way is met once."""

Operation = Callable[[rtc.Room, SimulatedServer], Coroutine[Any, Any, Any]]


@types.coroutine
def _stepped(
    work: Coroutine[Any, Any, Any], number: int, on_suspended: Callable[[], None]
) -> Generator[Any, Any, Any]:
    """`work`, with a call when it suspends for the `number`-th time (from 1)."""
    error: BaseException | None = None
    suspensions = 0
    while True:
        try:
            waited_for = work.send(None) if error is None else work.throw(error)
        except StopIteration as end:
            return end.value
        suspensions += 1
        if suspensions == number:
            on_suspended()
        error = None
        try:
            yield waited_for
        except BaseException as thrown:
            error = thrown


async def _cancelled_at_suspension(work: Coroutine[Any, Any, Any], number: int) -> bool:
    """Run `work` and cancel it as it suspends for the `number`-th time. False: it ended before."""
    loop = asyncio.get_running_loop()

    async def stepped() -> None:
        await _stepped(work, number, lambda: loop.call_soon(task.cancel))

    task = asyncio.ensure_future(stepped())
    await asyncio.wait([task])
    if task.cancelled():
        return True
    task.result()
    return False


async def _cancelled_at_time(work: Coroutine[Any, Any, Any], number: int) -> bool:
    """Run `work` and cancel it after so many steps of time. False: it ended before."""
    task = asyncio.ensure_future(work)
    await asyncio.wait([task], timeout=number * _STEP_S)
    if task.done():
        task.result()
        return False
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def _works(room: rtc.Room, server: SimulatedServer) -> None:
    """The room can be joined, publish and leave."""
    if not room.isconnected():
        await room.connect(server.url, server.token("room", "anna"))
    source = rtc.VideoSource(64, 64)
    track = rtc.LocalVideoTrack.create_video_track("works", source)
    publication = await room.local_participant.publish_track(track)
    participant = server.server.rooms.get("room").participant("anna")  # type: ignore[union-attr]
    assert participant is not None
    assert publication.sid in participant.publications
    await room.local_participant.publish_data(b"works")
    await source.aclose()
    await room.disconnect()
    assert not room.isconnected()


async def _nothing_left(simulation: Simulation, tasks: set[asyncio.Task[Any]]) -> None:
    left: dict[str, int] = {}
    for _ in range(40):
        counts = simulation.counts()
        left = {name: counts[name] for name in ("endpoints", "sockets", "streams", "tick_callbacks")}
        left_tasks = asyncio.all_tasks() - tasks
        if left == {"endpoints": 1, "sockets": 1, "streams": 0, "tick_callbacks": 0} and not left_tasks:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"left: {left}, {left_tasks}")


async def _connect(room: rtc.Room, server: SimulatedServer) -> None:
    await room.connect(server.url, server.token("room", "anna"))


async def _disconnect(room: rtc.Room, server: SimulatedServer) -> None:
    await room.disconnect()


async def _publish(room: rtc.Room, server: SimulatedServer) -> None:
    track = rtc.LocalVideoTrack.create_video_track("cancelled", rtc.VideoSource(64, 64))
    await room.local_participant.publish_track(track)


@pytest.mark.parametrize("cancelled", [_cancelled_at_suspension, _cancelled_at_time])
@pytest.mark.parametrize("operation", [_connect, _disconnect, _publish])
def test_a_cancelled_operation_leaves_nothing_and_the_room_works_again(
    operation: Operation, cancelled: Callable[[Coroutine[Any, Any, Any], int], Coroutine[Any, Any, bool]]
) -> None:
    async def main(simulation: Simulation) -> int:
        async with simulation.server() as server:
            tasks = asyncio.all_tasks()
            number = 0
            while True:
                number += 1
                room = rtc.Room()
                if operation is not _connect:
                    await room.connect(server.url, server.token("room", "anna"))
                if not await cancelled(operation(room, server), number):
                    await room.disconnect()
                    return number
                await _works(room, server)
                await _nothing_left(simulation, tasks)

    met = Simulation(seed=1).run(main)
    assert met > (1 if operation is _publish else 3), "it never suspended"
    print(f"{operation.__name__}: {met} places")
