from __future__ import annotations

import asyncio
import logging

import pytest

from greenroom import _engine
from greenroom.signalling.event_port import LoopEventPort


@pytest.mark.parametrize("end", ["batch", "close"])
async def test_what_the_engine_says_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    said = [[(logging.ERROR, "endpoint failed: 100 %")], []]
    monkeypatch.setattr(_engine, "take_log", lambda: said.pop(0))
    port = LoopEventPort(asyncio.get_running_loop())
    if end == "batch":
        port._on_readable()
    port.release()
    assert ("greenroom", logging.ERROR, "engine: endpoint failed: 100 %") in caplog.record_tuples
