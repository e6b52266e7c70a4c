"""Running a command's coroutine so that Ctrl-C ends it cleanly and quickly."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_interrupted(
    coroutine: Coroutine[Any, Any, int | None], *, code_when_interrupted: int = 0
) -> NoReturn:
    """Run to the end, or cancel at SIGINT or SIGTERM and wait for the clean-up; exits the process.

    The exit code is what the coroutine returns (None: 0). A second signal ends the process at once, as it would
    end a program that does not handle it.
    """
    raise typer.Exit(asyncio.run(_run(coroutine, code_when_interrupted)))


async def _run(coroutine: Coroutine[Any, Any, int | None], code_when_interrupted: int) -> int:
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
    with contextlib.suppress(asyncio.CancelledError):
        return await task or 0
    return code_when_interrupted if interrupted else 1
