"""A scripted signalling server, recorded engine peers, and rooms that leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from client_fakes import FakePeers, SignalServer

from greenroom import _engine


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> FakePeers:
    fakes = FakePeers()
    monkeypatch.setattr(_engine, "Peer", fakes)
    return fakes


@pytest.fixture
async def server() -> AsyncIterator[SignalServer]:
    async with SignalServer() as server:
        yield server


@pytest.fixture(autouse=True)
async def no_task_left() -> AsyncIterator[None]:
    """Whatever a test does, no task of ours may outlive its room."""
    before = asyncio.all_tasks()
    yield
    left = [t for t in asyncio.all_tasks() - before if "greenroom/client" in str(t.get_coro())]
    assert not left
