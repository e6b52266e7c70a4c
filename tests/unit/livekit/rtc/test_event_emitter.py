"""Handlers: registration, order, errors."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from livekit.rtc import EventEmitter


def test_handlers_run_in_order_with_as_many_arguments_as_they_take() -> None:
    emitter: EventEmitter[str] = EventEmitter()
    got: list[Any] = []
    emitter.on("e", lambda: got.append(()))
    emitter.on("e", lambda a: got.append((a,)))

    @emitter.on("e")
    def decorated(a: int, b: int, c: int = 9) -> None:
        got.append((a, b, c))

    emitter.on("e", lambda *args: got.append(args))
    emitter.emit("e", 1, 2)
    assert got == [(), (1,), (1, 2, 9), (1, 2)]


def test_once_off_and_registration_from_inside() -> None:
    emitter: EventEmitter[str] = EventEmitter()
    got: list[str] = []

    def again() -> None:
        got.append("again")

    emitter.once("e", lambda: got.append("once"))
    assert emitter.on("e", again) is again
    emitter.on("e", lambda: emitter.off("e", again))
    emitter.emit("e")
    emitter.emit("e")
    emitter.off("e", again)
    emitter.off("other", again)
    assert got == ["once", "again"]


def test_a_failing_handler_is_logged_with_the_event_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    emitter: EventEmitter[str] = EventEmitter()
    got: list[int] = []
    emitter.on("broken_event", lambda: 1 / 0)
    emitter.on("broken_event", lambda: got.append(1))
    with caplog.at_level(logging.ERROR, logger="livekit"):
        emitter.emit("broken_event")
    assert got == [1]
    assert "'broken_event'" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_coroutine_functions_are_refused() -> None:
    class Callable:
        async def __call__(self) -> None: ...

    async def coroutine() -> None: ...

    emitter: EventEmitter[str] = EventEmitter()
    for register in (emitter.on, emitter.once):
        with pytest.raises(ValueError, match=r"asyncio\.create_task"):
            register("e", coroutine)
        with pytest.raises(ValueError, match="'e'"):
            register("e", Callable())
        with pytest.raises(ValueError, match="coroutine function"):
            register("e")(coroutine)


def test_a_slow_handler_is_named_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr("livekit.rtc.event_emitter.time.perf_counter", lambda: now_s)
    emitter = EventEmitter[str]()

    def takes_long() -> None:
        nonlocal now_s
        now_s += 0.06

    def is_quick() -> None:
        nonlocal now_s
        now_s += 0.04

    emitter.on("event", takes_long)
    emitter.on("event", is_quick)
    with caplog.at_level(logging.WARNING, "livekit"):
        emitter.emit("event")
        emitter.emit("event")
    (record,) = caplog.records
    assert "takes_long" in record.message
    assert "60 ms" in record.message
