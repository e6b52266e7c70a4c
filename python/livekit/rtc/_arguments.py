"""Checks of what users pass: an error names the argument, what was given and what it must be."""

from __future__ import annotations

import inspect
from typing import TypeVar

_T = TypeVar("_T")


def text(what: str, value: object) -> str:
    """A string, or TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is {value!r}: it must be a string")
    return value


def payload(what: str, value: object) -> bytes:
    """The bytes of anything that has them, or of a string in UTF-8; TypeError for others. A number has none: `bytes`
    would make so many zeros of it."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    try:
        return bytes(memoryview(value))  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} is {value!r}: it must be bytes or a string") from None


def instance(what: str, value: object, kind: type[_T]) -> _T:
    """One of that class, or TypeError."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"{what} is {value!r}: it must be {article} {kind.__name__}")
    return value


def is_coroutine_function(callback: object) -> bool:
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(
        getattr(callback, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    )


def plain_function(what: str, callback: object) -> None:
    """TypeError for what can't be called, ValueError for what would only make a coroutine when it is."""
    if not callable(callback):
        raise TypeError(f"{what} must be callable, not {callback!r}")
    if is_coroutine_function(callback):
        raise ValueError(
            f"{what} is a coroutine function, which can't run in event order; "
            "register a plain function that calls asyncio.create_task"
        )
