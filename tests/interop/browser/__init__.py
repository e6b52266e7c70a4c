"""livekit-client in Chromium, as participants that tests drive: one page each."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from ..peers import chromium_binary, livekit_client_modules
from .devices import write_camera, write_microphone

_DRIVER = Path(__file__).parent / "driver.mjs"
_START_LIMIT_S = 60
_CALL_LIMIT_S = 60
_Answer = concurrent.futures.Future[Any]


class Page:
    """One participant. `call` runs a function of the page's scripts and gives what it returned."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self.name = name

    async def call(self, function: str, *args: Any) -> Any:
        return await self._browser.order(self.name, function, *args)

    async def offline(self, is_offline: bool) -> None:
        """Take the page's network away, or give it back: requests fail and sockets with them; media goes on."""
        await self._browser.order(self.name, "offline", is_offline)


class Browser:
    """A running Chromium. Usable from any loop."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self._names = (f"page {number}" for number in itertools.count(1))
        self._ids = itertools.count(1)
        self.started: _Answer = concurrent.futures.Future()
        """The browser's version, once it runs."""
        self._waiting: dict[int, _Answer] = {0: self.started}
        self._reader = threading.Thread(target=self._read, name="browser", daemon=True)
        self._reader.start()

    @contextlib.asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A page of its own context, until the block ends."""
        name = next(self._names)
        await self.order(name, "open")
        try:
            yield Page(self, name)
        finally:
            await self.order(name, "close")

    async def order(self, page: str, call: str, *args: Any) -> Any:
        number, answer = next(self._ids), _Answer()
        self._waiting[number] = answer
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "page": page, "call": call, "args": args}) + "\n")
        self._process.stdin.flush()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(answer), _CALL_LIMIT_S)
        except (_BrowserError, asyncio.TimeoutError) as error:
            said = self._log.read_text()[-6000:]
            raise AssertionError(f"{call}{args} in {page}: {error!r}\nconsole:\n{said}") from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            waiting = self._waiting.pop(answer["id"])
            if waiting.cancelled():
                continue
            if "error" in answer:
                waiting.set_exception(_BrowserError(answer["error"]))
            else:
                waiting.set_result(answer["result"])
        for waiting in self._waiting.values():
            waiting.set_exception(_BrowserError("the browser ended"))


class _BrowserError(Exception):
    """What a page's function threw."""


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Chromium; its pages' consoles go to a file in `folder`, where its camera's and microphone's files lie too."""
    camera, microphone, log = folder / "camera.y4m", folder / "microphone.wav", folder / "console.log"
    write_camera(camera)
    write_microphone(microphone)
    parts = (chromium_binary(), livekit_client_modules(), camera, microphone)
    with log.open("w") as output:
        process = subprocess.Popen(
            ["node", str(_DRIVER), *map(str, parts)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True,
        )  # fmt: skip
        try:
            running = Browser(process, log)
            running.started.result(_START_LIMIT_S)
            yield running
        finally:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
