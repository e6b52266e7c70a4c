"""Events of a room other than by handlers: awaiting one, and iterating over all."""

from __future__ import annotations

import asyncio
import weakref
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from greenroom.client.errors import SessionEndedError
from greenroom.client.reconnect import reason_name
from greenroom.client.waiting import wait_future

from ._arguments import is_coroutine_function
from .event_emitter import EventEmitter
from .log import logger
from .room_events import EVENT_CLASSES, EventTypes, RoomEvent

if TYPE_CHECKING:
    from ._event_handlers import Register
    from ._event_waiting import WaitFor

MAX_QUEUED_EVENTS = 1000
_Predicate = Callable[..., object]


class EventStream:
    """An async iterator of `RoomEvent`s, from its making until the room is disconnected; that is its last one.

    At most `max_queued` events wait to be read: then the oldest is dropped, counted in `dropped_events`, and the first
    drop is logged. It takes no events any more once it is closed, or no longer referenced.
    """

    def __init__(self, max_queued: int = MAX_QUEUED_EVENTS) -> None:
        if max_queued < 1:
            raise ValueError(f"max_queued is {max_queued}: at least one event must fit")
        self._max_queued = max_queued
        self._queued: deque[RoomEvent] = deque()
        self._ended = False
        self._wake = asyncio.Event()
        self.dropped_events = 0

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> RoomEvent:
        while not self._queued:
            if self._ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._queued.popleft()

    async def aclose(self) -> None:
        """Drop what is queued and end; a waiting iteration ends. Harmless twice."""
        self._queued.clear()
        self._end()

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _push(self, event: RoomEvent) -> None:
        if self._ended:
            return
        if len(self._queued) >= self._max_queued:
            self._queued.popleft()
            if self.dropped_events == 0:
                logger.warning(
                    "%d events of a room wait to be read: the oldest are dropped; read Room.events() faster",
                    self._max_queued,
                )
            self.dropped_events += 1
        self._queued.append(event)
        self._wake.set()

    def _end(self) -> None:
        self._ended = True
        self._wake.set()

    def __repr__(self) -> str:
        return (
            f"rtc.EventStream(queued={len(self._queued)}, dropped_events={self.dropped_events}, "
            f"ended={self._ended})"
        )


class _Waiter:
    """One call of `wait_for`."""

    def __init__(self, event: str, predicate: _Predicate | None) -> None:
        self.event = event
        self.future: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()
        self._predicate = predicate

    def take(self, event: str, args: tuple[Any, ...]) -> None:
        if self.future.done() or event != self.event:
            return
        try:
            matches = self._predicate is None or self._predicate(*args)
        except Exception as error:
            self.future.set_exception(error)
        else:
            if matches:
                self.future.set_result(args)

    def room_ended(self, reason: int) -> None:
        if not self.future.done():
            self.future.set_exception(_ended_error(self.event, f" ({reason_name(reason)})"))
            self.future.exception()  # its waiter may be cancelled in the same moment


class RoomEmitter(EventEmitter[EventTypes]):
    """The events of a room: handlers, `wait_for` and `events`."""

    def __init__(self) -> None:
        super().__init__()
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._waiters: list[_Waiter] = []

    @property
    @abstractmethod
    def _has_ended(self) -> bool:
        """It was joined, and is not any more."""

    if TYPE_CHECKING:
        on: Register  # type: ignore[assignment]
        once: Register  # type: ignore[assignment]
        wait_for: WaitFor
    else:

        def on(self, event, callback=None):
            """Call `callback` at each `event`, or decorate a plain function; returns it. `room_events` lists the
            events with their arguments.

            Handlers run in registration order, all of them before the next event, after the state has changed.
            """
            return super().on(event, callback)

        async def wait_for(self, event, predicate=None, timeout=None):
            """The next `event` whose arguments satisfy `predicate`: its argument, a tuple of several, None without.

            `timeout` is in seconds; None waits on. It may be called before `connect`. Raises TimeoutError, and
            SessionEndedError (a ConnectionError) when the room is disconnected before; what `predicate` raises passes
            through. Cancelling leaves nothing behind.
            """
            args = await self._wait_for(event, predicate, timeout)
            return args if len(args) > 1 else args[0] if args else None

    async def _wait_for(
        self, event: EventTypes, predicate: _Predicate | None, timeout: float | None
    ) -> tuple[Any, ...]:
        if event not in EVENT_CLASSES:
            raise ValueError(f"there is no event {event!r}; there are {', '.join(EVENT_CLASSES)}")
        if predicate is not None and not callable(predicate):
            raise TypeError(
                f"the predicate is {predicate!r}: it must be a function; a time is given as timeout="
            )
        if is_coroutine_function(predicate):
            raise ValueError(
                "the predicate is a coroutine function, which would match everything; use a plain one"
            )
        if self._has_ended:
            raise _ended_error(event)
        waiter = _Waiter(event, predicate)
        self._waiters.append(waiter)
        try:
            if timeout is None:
                return await waiter.future
            return await wait_future(waiter.future, timeout)
        except asyncio.TimeoutError as error:
            if waiter.future.done():  # the predicate's own
                raise
            raise TimeoutError(f"no event {event!r} came within {timeout:g} s") from error
        finally:
            self._waiters.remove(waiter)

    def events(self, max_queued: int = MAX_QUEUED_EVENTS) -> EventStream:
        """Every event from now on, as typed objects of `room_events`: `async for event in room.events()`.

        Ends with the room; make it before `connect` to miss nothing. A room that has ended gives none.
        """
        stream = EventStream(max_queued)
        if self._has_ended:
            stream._end()
        else:
            self._streams.add(stream)
        return stream

    def emit(self, event: EventTypes, *args: Any) -> None:
        """Run the handlers of `event`, then tell those who wait for it or iterate over all."""
        super().emit(event, *args)
        for waiter in list(self._waiters):
            waiter.take(event, args)
        kind = EVENT_CLASSES.get(event)
        if kind is not None and self._streams:
            happened = kind(*args)
            for stream in list(self._streams):
                stream._push(happened)
        if event == "disconnected":
            self._tell_end(*args)

    def _tell_end(self, reason: int = 0) -> None:
        for waiter in list(self._waiters):
            waiter.room_ended(reason)
        for stream in list(self._streams):
            stream._end()
        self._streams.clear()


def _ended_error(event: str, why: str = "") -> SessionEndedError:
    return SessionEndedError(f"the event {event!r} can't come: the room was disconnected{why}")
