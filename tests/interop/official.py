"""The official SDK in a process of its own, which tells a JSON line of all that happens and does what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from .peers import official_sdk_python

_HERE = Path(__file__).parent
_LIMIT_S = 40.0
_LEAVE_LIMIT_S = 10.0
_Event = tuple[str, list[Any]]


class Program:
    """A running one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def next(self) -> dict[str, Any]:
        """What it tells next."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _LIMIT_S)
        assert line, "it ended"
        told: dict[str, Any] = json.loads(line)
        return told

    async def order(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        await self._process.stdin.drain()


@contextlib.asynccontextmanager
async def official_program(name: str, url: str, token: str) -> AsyncIterator[Program]:
    """The program of that file, which leaves when its standard input closes."""
    process = await asyncio.create_subprocess_exec(
        official_sdk_python(), _HERE / name, url, token,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Program(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _LEAVE_LIMIT_S)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()


class OfficialClient:
    """A participant that tells every event it gets."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.order = program.order
        self.events: list[_Event] = []

    async def until(self, matches: Callable[[_Event], bool], what: str) -> _Event:
        """Read what it tells until something matches; the past included."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if matches(event):
                    return event
            seen = len(self.events)
            try:
                told = await self._program.next()
            except (AssertionError, asyncio.TimeoutError) as error:
                raise AssertionError(f"{what} never came ({error!r}); it told {self.events}") from None
            self.events.append((told["event"], told["args"]))

    async def wait(self, name: str, *args: Any) -> _Event:
        """Until this event came, with these arguments when some are given."""
        return await self.until(
            lambda event: event[0] == name and (not args or event[1] == list(args)), f"{name}{args}"
        )

    async def changed(self, name: str, who: str, old: str, new: str) -> None:
        """Until it changed from one to the other. The SDK reads what it was before too late on a busy machine, and tells the
        new value as the old one, too."""
        _, (_, told_old, _) = await self.until(
            lambda event: event[0] == name and (event[1][0], event[1][2]) == (who, new), f"{name} to {new!r}"
        )
        assert told_old in (old, new), f"{name} from {told_old!r} instead of {old!r}"

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


@contextlib.asynccontextmanager
async def official_client(url: str, token: str) -> AsyncIterator[OfficialClient]:
    """A participant that has joined and publishes a tone."""
    async with official_program("events_program.py", url, token) as program:
        client = OfficialClient(program)
        await client.wait("ready")
        yield client
