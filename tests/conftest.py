"""Fixtures for every suite. `nothing_left` is for tests that use the real engine."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator

import pytest
from descriptors import open_descriptors

pytest.register_assert_rewrite(
    "bulk_cases", "event_cases", "reconnect_cases", "room_cases", "room_tools", "section_cases"
)

_SETTLE_S = 5.0
"""Worker threads free sockets just after `close` has returned."""


async def _warm_up() -> None:
    """Start what lives as long as the process: the engine's workers and the media pool."""
    import greenroom

    async with greenroom.Server():
        pass
    await asyncio.get_running_loop().run_in_executor(None, gc.collect)


def running_threads() -> int:
    """Without those of a loop's executor, which the loop keeps until it closes."""
    return sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())


_warm = False


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """A test may leave no task, thread or descriptor behind. The pools of the process are not counted."""
    global _warm
    if not _warm:
        await _warm_up()
        _warm = True
    tasks, descriptors, threads = asyncio.all_tasks(), open_descriptors(), running_threads()
    yield
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline:
        left_tasks = asyncio.all_tasks() - tasks - {asyncio.current_task()}
        if not left_tasks and len(open_descriptors()) <= len(descriptors) and running_threads() <= threads:
            return
        await asyncio.sleep(0.01)
    assert not left_tasks, f"tasks left: {left_tasks}"
    after = open_descriptors()
    new = [target for number, target in after.items() if descriptors.get(number) != target]
    assert len(after) <= len(descriptors), (
        f"{len(after) - len(descriptors)} descriptors left, of these: {new}"
    )
    assert running_threads() <= threads, f"threads left: {threading.enumerate()}"
