"""The time, and waiting with a limit in a way that never swallows a cancellation (`asyncio.wait_for` can, before
Python 3.12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")


class Timer(Protocol):
    def cancel(self) -> None: ...


StartTimer = Callable[[float, Callable[[], None]], Timer]
"""Runs the function after so many seconds, unless cancelled."""


def start_timer(delay_s: float, function: Callable[[], None]) -> Timer:
    """On the running loop."""
    return asyncio.get_running_loop().call_later(delay_s, function)


def loop_time() -> float:
    """Seconds on the running loop's clock, which need not be the machine's: in a simulation it is virtual."""
    return asyncio.get_running_loop().time()


async def wait_future(future: asyncio.Future[_T], timeout_s: float) -> _T:
    """The future's result. asyncio.TimeoutError when it is not done in time; the future itself is left
    alone."""
    done, _ = await asyncio.wait([future], timeout=max(0.0, timeout_s))
    if not done:
        raise asyncio.TimeoutError
    return future.result()


async def run_within(work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
    """The result of `work`. When time is up or the caller is cancelled, `work` is cancelled and has
    ended before this raises."""
    task = asyncio.ensure_future(work)
    try:
        return await wait_future(task, timeout_s)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()


async def gather(work: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """All results, in order. When one fails or the caller is cancelled, all have ended before this raises."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        return [task.result() for task in tasks if task.done()]
    finally:
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        for task in tasks:
            if not task.cancelled():
                task.exception()
