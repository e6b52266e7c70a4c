from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from .browser import Browser, browser
from .browser.rooms import OpenPage
from .servers import RoomServer, embedded_server, livekit_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.fspath).parents:
            item.add_marker(pytest.mark.interop)
            # The first test that needs a peer may have to build or install it.
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomServer]:
    """The real livekit-server."""
    with livekit_server(tmp_path_factory.mktemp("livekit-server") / "output.log") as server:
        yield server


@pytest.fixture(scope="session")
def embedded() -> Iterator[RoomServer]:
    """The embedded server, seen from outside its process boundary: only through its sockets."""
    with embedded_server() as server:
        yield server


@pytest.fixture(scope="session")
def livekit_tcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomServer]:
    """The real livekit-server without media over UDP."""
    log = tmp_path_factory.mktemp("livekit-server-tcp") / "output.log"
    with livekit_server(log, rtc="  force_tcp: true") as server:
        yield server


@pytest.fixture(scope="session")
def embedded_tcp() -> Iterator[RoomServer]:
    """The embedded server with nothing but ICE-TCP, as seen from behind a firewall that stops UDP."""
    with embedded_server(force_tcp=True) as server:
        yield server


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Started once for all cases of a module; each has pages of its own."""
    with browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
async def open_page(chromium: Browser) -> AsyncIterator[OpenPage]:
    """Opens a page, closed at the end of the test."""
    async with contextlib.AsyncExitStack() as pages:
        yield lambda: pages.enter_async_context(chromium.page())
