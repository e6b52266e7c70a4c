"""Runs one reconnection episode at a time, as a task: pauses, attempts, and the events that users see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from livekit.protocol import models

from greenroom import _engine

from .errors import ConnectError, MediaPathError, PublishDataError, SessionEndedError, TokenError
from .reconnect import Episode, Mode, Reaction, Trigger
from .restart import leave_remotes, restart
from .resume import resume

if TYPE_CHECKING:
    from .session import Session
    from .signal_connection import SignalConnection

_logger = logging.getLogger("livekit")

SILENCE_LIMIT_S = 3.0
"""How long a media connection may be without consent before ICE is restarted."""
_PROCEDURES: dict[Mode, Callable[[Session], Awaitable[None]]] = {Mode.RESUME: resume, Mode.RESTART: restart}
_MEDIA_FAILURES = (MediaPathError, PublishDataError)
_FAILURES = (
    *(ConnectError, ConnectionError, OSError, asyncio.TimeoutError, _engine.EngineError),
    *_MEDIA_FAILURES,
)
"""What can be expected of an attempt; anything else is logged as the bug that it is, and is a failed attempt, too."""


class Reconnector:
    """`trigger` starts an episode, or tells the one that runs. `settled` waits for its end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._episode: Episode | None = None
        self._task: asyncio.Task[None] | None = None
        self._settled: asyncio.Future[None] | None = None
        self._hurry = asyncio.Event()
        self._abort: asyncio.Future[str] | None = None
        """Set while an attempt runs: its result says why the attempt has failed."""
        self._silence_timers: dict[str, asyncio.TimerHandle] = {}
        self._announced = False

    @property
    def active(self) -> bool:
        """From the loss until `reconnected`, or the end."""
        return self._episode is not None

    def trigger(self, trigger: Trigger, why: str) -> None:
        """Something went wrong, or the server asks."""
        if self._session.closed:
            return
        if self._episode is None:
            _logger.warning("%s (%s): reconnecting", trigger.value, why)
            self._start(trigger)
            return
        reaction = self._episode.trigger(trigger)
        if reaction is Reaction.HURRY:
            self._hurry.set()
        elif reaction is Reaction.ABORT and self._abort is not None and not self._abort.done():
            self._abort.set_result(f"{trigger.value}: {why}")

    def media_state(self, which: str, ice_state: str) -> None:
        """A media connection's ICE state: silence is looked at for a while before it counts."""
        timer = self._silence_timers.pop(which, None)
        if timer is not None:
            timer.cancel()
        if ice_state == "disconnected" and not self.active:
            self._silence_timers[which] = asyncio.get_running_loop().call_later(
                SILENCE_LIMIT_S, self.trigger, Trigger.MEDIA_SILENT, which
            )

    async def settled(self) -> None:
        """Return when no episode runs. SessionEndedError when the session has ended."""
        while self._settled is not None and not self._session.closed:
            await asyncio.shield(self._settled)
        if self._session.closed:
            raise SessionEndedError("the session has ended")

    def stop(self) -> None:
        """No further attempt, and nobody waits any more. The task may still have to clean up: `stopped`."""
        for timer in self._silence_timers.values():
            timer.cancel()
        self._silence_timers.clear()
        self._episode = None
        if self._task is not None:
            self._task.cancel()
        self._release()

    async def stopped(self) -> None:
        """Return when the task of a stopped episode has ended."""
        task = self._task
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait([task])

    # ---- one episode ----

    def _start(self, trigger: Trigger) -> None:
        self._episode = Episode(trigger)
        self._announced = False
        self._hurry.clear()
        if self._settled is None:
            self._settled = asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._run(self._episode))

    async def _run(self, episode: Episode) -> None:
        session = self._session
        while (attempt := episode.next_attempt()) is not None:
            await self._pause(attempt.delay_s)
            if session.closed:
                return
            mode = episode.begin()
            if mode is Mode.RESUME and not session.can_resume:
                mode = Mode.RESTART
            if episode.on_purpose:
                await session.sender.flush()
            stale = session.detach_signal()
            if mode is Mode.RESTART:
                leave_remotes(session)
            self._announce()
            try:
                await self._close(stale, say_goodbye=mode is Mode.RESTART)
                await self._try(mode)
            except TokenError as error:
                _logger.error("reconnecting was refused: %s", error)
                session.give_up(models.DisconnectReason.JOIN_FAILURE)
                return
            except Exception as error:
                _logger.warning(
                    "reconnecting, attempt %d (%s) failed: %s",
                    attempt.number, mode.value, str(error) or type(error).__name__,
                    exc_info=not isinstance(error, _FAILURES),
                )  # fmt: skip
                await session.addresses.use_next(session.token)
                is_media = isinstance(error, _MEDIA_FAILURES)
                episode.failed(models.DisconnectReason.MEDIA_FAILURE if is_media else None)
            else:
                if not session.closed:
                    self._succeeded(mode)
                return
        session.give_up(episode.reason)

    async def _close(self, signal: SignalConnection | None, *, say_goodbye: bool) -> None:
        if signal is None:
            return
        # Shielded: a descriptor must not outlive the room because disconnect came at this moment.
        closing = asyncio.ensure_future(signal.close(self._session.farewell() if say_goodbye else None))
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.wait([closing])
            raise

    async def _pause(self, delay_s: float) -> None:
        self._hurry.clear()
        if delay_s <= 0:
            return
        woken = asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait([woken], timeout=delay_s)
        finally:
            woken.cancel()

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._session.tell_state(2)
            self._session.emit("reconnecting")

    async def _try(self, mode: Mode) -> None:
        """One attempt, which ends early when news say that it has failed."""
        self._abort = abort = asyncio.get_running_loop().create_future()
        work = asyncio.ensure_future(_PROCEDURES[mode](self._session))
        try:
            await asyncio.wait([work, abort], return_when=asyncio.FIRST_COMPLETED)
            if abort.done():
                raise ConnectionError(abort.result())
            work.result()
        finally:
            self._abort = None
            abort.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait([work])
            if not work.cancelled():
                work.exception()

    def _succeeded(self, mode: Mode) -> None:
        _logger.info("reconnected by a %s", mode.value)
        self._episode = None
        self._task = None
        self._session.outbox.flush()
        self._session.tell_state(1)
        self._session.emit("reconnected")
        # Handlers have run, and may have lost the session anew.
        if not self.active:
            self._release()

    def _release(self) -> None:
        settled, self._settled = self._settled, None
        if settled is not None and not settled.done():
            settled.set_result(None)
