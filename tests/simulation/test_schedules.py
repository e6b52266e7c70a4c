"""Three hundred random programs of rooms end consistent, whatever the network did to them."""

from __future__ import annotations

import gc
import logging
import os
import threading
import weakref

import pytest
import schedules
from descriptors import open_descriptors

from livekit import rtc

SEEDS = 300
SEEDS_PER_TEST = 20


@pytest.fixture
def quiet() -> None:
    """Lost connections are what this is about: a million lines about them help nobody."""
    loggers = [logging.getLogger(name) for name in ("livekit", "greenroom", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
def test_every_schedule_ends_consistent(first: int) -> None:
    schedules.run(first)  # what a process makes once is made
    gc.collect()
    descriptors, threads = open_descriptors(), threading.active_count()
    rooms: weakref.WeakSet[rtc.Room] = weakref.WeakSet()
    for seed in range(first, first + SEEDS_PER_TEST):
        try:
            schedules.run(seed, on_room=rooms.add)
        except BaseException:
            print(f"again, with its story: python tests/simulation/schedules.py {seed}")
            raise
    gc.collect()
    assert len(open_descriptors()) <= len(descriptors), "descriptors are left"
    assert threading.active_count() <= threads
    assert not rooms, f"{len(rooms)} rooms are kept alive"


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("quiet")
def test_memory_does_not_grow_with_what_has_been() -> None:
    for _ in range(50):  # until every bounded cache is full
        schedules.run(0)
    gc.collect()
    before = _resident_bytes()
    for _ in range(30):
        schedules.run(0)
    gc.collect()
    assert _resident_bytes() - before < 1024 * 1024
