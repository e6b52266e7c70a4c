"""Running a command's coroutine so that Ctrl-C ends it cleanly and quickly."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import typer

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_interrupted(
    coroutine: Coroutine[Any, Any, int | None],
    *,
    code_when_interrupted: int = 0,
    on_terminate: Callable[[], None] | None = None,
) -> NoReturn:
    """Run to the end, or cancel at SIGINT or SIGTERM and wait for the clean-up; exits the process.

    The exit code is what the coroutine returns (None: 0). A second signal ends the process at once, as it would
    end a program that does not handle it. With `on_terminate`, the first SIGTERM calls that instead, and the next
    cancels.
    """
    raise typer.Exit(asyncio.run(_run(coroutine, code_when_interrupted, on_terminate)))


async def _run(
    coroutine: Coroutine[Any, Any, int | None],
    code_when_interrupted: int,
    on_terminate: Callable[[], None] | None,
) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(coroutine)
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            # The kernel's own action works even while the clean-up holds this thread.
            signal.signal(number, signal.SIG_DFL)
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt)
    if on_terminate is not None:

        def terminate() -> None:
            loop.add_signal_handler(signal.SIGTERM, interrupt)
            on_terminate()

        loop.add_signal_handler(signal.SIGTERM, terminate)
    with contextlib.suppress(asyncio.CancelledError):
        return await task or 0
    return code_when_interrupted if interrupted else 1
