"""Running a command's coroutine so that Ctrl-C ends it cleanly and quickly."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_interrupted(coroutine: Coroutine[Any, Any, int | None]) -> NoReturn:
    """Run to the end, or cancel at SIGINT or SIGTERM and wait for the clean-up; exits the process.

    The exit code is what the coroutine returns (None: 0); an interruption is a normal end, 0. A second signal
    ends the process at once, with 130.
    """
    raise typer.Exit(asyncio.run(_run(coroutine)))


async def _run(coroutine: Coroutine[Any, Any, int | None]) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(coroutine)
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            sys.exit(130)
        interrupted = True
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            return await task or 0
        return 0 if interrupted else 1
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
