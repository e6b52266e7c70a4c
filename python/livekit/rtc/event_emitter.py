"""Handlers by event name: registration, and delivery that no handler can stop."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._arguments import plain_function
from .log import logger

T_contra = TypeVar("T_contra", contravariant=True)


SLOW_HANDLER_S = 0.05
"""A handler that takes longer holds up everything on its event loop, and is logged."""


class EventEmitter(Generic[T_contra]):
    """Calls the handlers of an event in the order they were registered.

    A handler may take fewer arguments than the event has; it gets the first ones. A handler that raises
    is logged
    with the event's name and the next one runs. One that takes more than 50 ms is logged once, by its name.
    """

    def __init__(self) -> None:
        self._events: dict[T_contra, list[_Handler]] = {}

    def emit(self, event: T_contra, *args: Any) -> None:
        """Run the handlers of `event` now, one after another."""
        handlers = self._events.get(event)
        if not handlers:
            return
        for handler in list(handlers):
            if handler.once:
                self._remove(event, handler)
            try:
                handler.call(args)
            except Exception:
                logger.exception("a handler of the event %r failed: %r", event, handler.callback)

    def on(self, event: T_contra, callback: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """Call `callback` at each `event`; without one, decorate a function. Returns the callback.

        ValueError for a coroutine function: handlers run in order and can't be awaited. Start a task
        inside a plain
        function instead.
        """
        return self._register(event, callback, once=False)

    def once(self, event: T_contra, callback: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """Like `on`, for the next `event` only."""
        return self._register(event, callback, once=True)

    def off(self, event: T_contra, callback: Callable[..., Any]) -> None:
        """Forget a handler registered by `on` or `once`. Nothing when there is no such handler."""
        for handler in self._events.get(event, []):
            if handler.callback == callback:
                self._remove(event, handler)
                return

    def _register(
        self, event: T_contra, callback: Callable[..., Any] | None, *, once: bool
    ) -> Callable[..., Any]:
        if callback is None:
            return lambda function: self._register(event, function, once=once)
        self._events.setdefault(event, []).append(_Handler(event, callback, once))
        return callback

    def _remove(self, event: T_contra, handler: _Handler) -> None:
        handlers = self._events.get(event, [])
        if handler in handlers:
            handlers.remove(handler)
        if not handlers:
            self._events.pop(event, None)


class _Handler:
    def __init__(self, event: object, callback: Callable[..., Any], once: bool) -> None:
        plain_function(f"the handler of the event {event!r}", callback)
        self.callback = callback
        self.once = once
        self._event = event
        self._was_slow = False
        self._accepted = _accepted_arguments(callback)

    def call(self, args: tuple[Any, ...]) -> None:
        began_s = time.perf_counter()
        try:
            self.callback(*(args if self._accepted is None else args[: self._accepted]))
        finally:
            took_s = time.perf_counter() - began_s
            if took_s > SLOW_HANDLER_S and not self._was_slow:
                self._was_slow = True
                logger.warning(
                    "the handler %s of the event %r took %d ms and held up its event loop meanwhile; "
                    "let it start a task or a thread for work that takes long",
                    _name_of(self.callback),
                    self._event,
                    took_s * 1000,
                )


def _name_of(callback: Callable[..., Any]) -> str:
    function = getattr(callback, "func", callback)  # of a functools.partial
    name = getattr(function, "__qualname__", None)
    return repr(callback) if name is None else f"{function.__module__}.{name}"


def _accepted_arguments(callback: Callable[..., Any]) -> int | None:
    """How many positional arguments a callable takes; None for any number."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
