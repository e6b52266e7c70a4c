"""Greenroom: LiveKit rooms for Python, the `livekit.rtc` SDK and an embedded room server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import Server

__all__ = ["Server"]


def __getattr__(name: str) -> Any:
    # The server brings aiohttp and the engine along, which a client that only imports this package does
    # not need.
    if name == "Server":
        from .server import Server

        return Server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
