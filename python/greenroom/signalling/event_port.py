"""The engine's event port on an asyncio loop: one reader, one table from handle to callback."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from greenroom import _engine

_logger = logging.getLogger("greenroom")

EventCallback = Callable[[int, Any], None]
"""Called with (kind, payload) on the loop's thread; must not block."""

_BATCH = 1024


def _pass_on_log() -> None:
    """What the engine's threads had to say since the last batch of events; they can't take the GIL to say it."""
    for level, message in _engine.take_log():
        _logger.log(level, "engine: %s", message)


class LoopEventPort:
    """All engine objects of one loop report here; an event costs one look-up, however many objects there are.

    Get it by `LoopEventPort.of(loop)`. `register` the object's handle right after making the object and
    `unregister` it when the object is closed. The port frees its descriptor when its last handle is gone, so ask
    `of` anew for each object instead of keeping the port.
    """

    _ports: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopEventPort]] = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, port: _engine.EventPort | None = None) -> None:
        self._loop = weakref.ref(loop)
        self._callbacks: dict[int, EventCallback] = {}
        self._closed = False
        self.port = port or _engine.EventPort()
        """Pass this to the engine's constructors."""
        loop.add_reader(self.port.fileno(), self._on_readable)

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> LoopEventPort:
        """The port of `loop`, made when first asked for. Call it on the loop's own thread.

        A loop with an attribute `engine_event_port` brings its own: a simulation's, one for each of its hosts.
        """
        own: Callable[[], LoopEventPort] | None = getattr(loop, "engine_event_port", None)
        if own is not None:
            return own()
        port = cls._ports.get(loop)
        if port is None:
            port = cls._ports[loop] = cls(loop)
        return port

    @property
    def closed(self) -> bool:
        """Its last handle is gone: ask `of` for another."""
        return self._closed

    def register(self, handle: int, callback: EventCallback) -> None:
        self._callbacks[handle] = callback

    def unregister(self, handle: int) -> None:
        """Later events of this handle are dropped. Harmless twice."""
        if self._callbacks.pop(handle, None) is not None:
            self.release()

    def release(self) -> None:
        """Free the descriptor if nothing is registered: for when the object could not be made after all."""
        if not self._callbacks and not self._closed:
            self._close()

    def _close(self) -> None:
        self._closed = True
        loop = self._loop()
        if loop is not None:
            if self._ports.get(loop) is self:
                del self._ports[loop]
            if not loop.is_closed():
                loop.remove_reader(self.port.fileno())
        self.port.close()
        _pass_on_log()

    def _on_readable(self) -> None:
        for handle, kind, payload in self.port.drain(_BATCH):
            callback = self._callbacks.get(handle)
            if callback is None:
                continue
            try:
                callback(kind, payload)
            except Exception:
                _logger.exception("an engine event handler failed (handle %d, kind %d)", handle, kind)
        _pass_on_log()
