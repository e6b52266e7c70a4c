"""Strict order of events: one at a time, however deep a handler calls back into the room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

MAX_HELD = 100_000
"""Arrivals kept while a session connects; more than any join brings."""


class EventQueue:
    """`emit` hands events to `deliver` in order; an event caused by a handler waits until all handlers
    have run."""

    def __init__(self, deliver: Callable[..., None]) -> None:
        self._deliver = deliver
        self._pending: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._delivering = False

    def emit(self, event: str, *args: Any) -> None:
        self._pending.append((event, args))
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._pending:
                name, arguments = self._pending.popleft()
                self._deliver(name, *arguments)
        finally:
            self._delivering = False


class Gate:
    """While closed, arrivals are kept as they came; opening lets them through in order. What comes later
    follows."""

    def __init__(self) -> None:
        self._held: deque[tuple[Callable[..., None], tuple[Any, ...]]] | None = deque()

    @property
    def open(self) -> bool:
        return self._held is None

    def pass_through(self, function: Callable[..., None], *args: Any) -> None:
        """Call now, or when the gate opens. RuntimeError when too much is held."""
        if self._held is None:
            function(*args)
        elif len(self._held) >= MAX_HELD:
            raise RuntimeError(f"{MAX_HELD} arrivals are held while connecting; the rest is refused")
        else:
            self._held.append((function, args))

    def release(self, on_error: Callable[[Exception], None]) -> None:
        """Open for good. A held call that fails is reported and does not stop the others."""
        while self._held:
            function, args = self._held.popleft()
            try:
                function(*args)
            except Exception as error:
                on_error(error)
        self._held = None
