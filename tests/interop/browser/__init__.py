"""livekit-client in Chromium, as a participant that tests drive."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..peers import chromium_binary, livekit_client_modules

_DRIVER = Path(__file__).parent / "driver.mjs"
_START_LIMIT_S = 60


class Browser:
    """One page. `call` runs a function of page.js and returns what it returned."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._last_id = 0

    def call(self, name: str, *args: Any) -> Any:
        self._last_id += 1
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": self._last_id, "call": name, "args": args}) + "\n")
        self._process.stdin.flush()
        return self._answer(self._last_id)

    def started(self) -> str:
        """The browser's version, once it runs."""
        return str(self._answer(0))

    def _answer(self, number: int) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            if answer["id"] == number:
                if "error" in answer:
                    raise AssertionError(f"in the browser: {answer['error']}")
                return answer["result"]
        raise AssertionError(f"the browser ended ({self._process.poll()})")


@contextlib.contextmanager
def browser(log: Path) -> Iterator[Browser]:
    """Chromium with page.html; its console goes to `log`."""
    command = ["node", str(_DRIVER), str(chromium_binary()), str(livekit_client_modules())]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True
        )
        # A browser that hangs must not hang the tests.
        watchdog = threading.Timer(_START_LIMIT_S, process.kill)
        watchdog.start()
        try:
            page = Browser(process)
            page.started()
            watchdog.cancel()
            yield page
        except AssertionError as error:
            raise AssertionError(f"{error}\nconsole:\n{log.read_text()[-4000:]}") from error
        finally:
            watchdog.cancel()
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
