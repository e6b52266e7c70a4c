"""Requests that the server answers: changes of own metadata, name and attributes, and of own tracks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from livekit.protocol import rtc as proto

from .errors import REQUEST_ERRORS, RequestError, RequestTimeoutError
from .waiting import wait_future

if TYPE_CHECKING:
    from .session import Session

REQUEST_TIMEOUT_S = 5.0


class Requests:
    """One change at a time, in the order asked: two setters can't undo one another."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._turn = asyncio.Lock()
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._unanswered: dict[int, proto.UpdateParticipantMetadata] = {}
        self._track_changes: dict[tuple[str, str], asyncio.Future[None]] = {}
        """By kind of request and track SID."""

    async def update_own(
        self, *, metadata: str = "", name: str = "", attributes: dict[str, str] | None = None
    ) -> None:
        """Change what is given and wait for the server's word. RequestError when it refuses or stays
        silent."""
        async with self._turn:
            try:
                await self._session.reconnector.settled()
            except ConnectionError as error:
                raise RequestError(
                    "own metadata can't be changed: the room is not connected", "not_connected"
                ) from error
            self._last_id += 1
            request_id = self._last_id
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[request_id] = future
            self._unanswered[request_id] = request = proto.UpdateParticipantMetadata(
                metadata=metadata, name=name, attributes=attributes or {}, request_id=request_id
            )
            self._session.send("update_metadata", request)
            try:
                await wait_future(future, REQUEST_TIMEOUT_S)
            except asyncio.TimeoutError as error:
                raise _timed_out() from error
            finally:
                self._waiting.pop(request_id, None)
                self._unanswered.pop(request_id, None)

    async def update_track(self, kind: str, message: Any, done: Callable[[], bool]) -> None:
        """Send a change of an own track and wait until it is `done`. RequestError when the server refuses it.

        Such requests have no number: the server echoes what it refuses, and shows in an update what it did.
        """
        if done():
            return
        session = self._session
        try:
            await session.reconnector.settled()
        except ConnectionError as error:
            raise RequestError(
                "a track can't be changed: the room is not connected", "not_connected"
            ) from error
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def look() -> None:
            if done() and not future.done():
                future.set_result(None)

        key = (kind, message.track_sid)
        self._track_changes[key] = future
        session.state.local.watchers.append(look)
        session.send(kind, message)
        try:
            await wait_future(future, REQUEST_TIMEOUT_S)
        except asyncio.TimeoutError as error:
            raise _timed_out() from error
        finally:
            session.state.local.watchers.remove(look)
            if self._track_changes.get(key) is future:
                del self._track_changes[key]

    def track_change_refused(self, kind: str, track_sid: str, reason: str, text: str) -> None:
        """The server echoed a change of an own track."""
        future = self._track_changes.get((kind, track_sid))
        if future is not None and not future.done():
            future.set_exception(_refused(reason, text))

    def answered(self, request_id: int, reason: str, text: str) -> None:
        """The server's `request_response`. Nothing for an unknown number."""
        future = self._waiting.get(request_id)
        if future is None or future.done():
            return
        if reason == "OK":
            future.set_result(None)
        elif reason != "QUEUED":
            advice = "; grant canUpdateOwnMetadata in the token" if reason == "NOT_ALLOWED" else ""
            future.set_exception(_refused(reason, text + advice))

    def ask_again(self) -> None:
        """After a resume: what has no answer yet may have been lost with the connection."""
        for request in self._unanswered.values():
            self._session.send("update_metadata", request)

    def fail(self, message: str, reason: str) -> None:
        """The session that was asked is gone."""
        for future in (*self._waiting.values(), *self._track_changes.values()):
            if not future.done():
                future.set_exception(RequestError(message, reason))
                future.exception()

    def close(self) -> None:
        self.fail("the session ended before the change was made", "session_ended")


def _refused(reason: str, text: str) -> RequestError:
    kind = REQUEST_ERRORS.get(reason, RequestError)
    return kind(f"the server refused the change ({reason}): {text}", reason)


def _timed_out() -> RequestTimeoutError:
    return RequestTimeoutError(
        f"the server did not answer the change within {REQUEST_TIMEOUT_S:g} s", "timeout"
    )
