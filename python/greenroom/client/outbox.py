"""Signal messages on their way out: at once, or in order when a reconnection is over."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from livekit.protocol import rtc as proto

if TYPE_CHECKING:
    from .session import Session
    from .signal_connection import SignalConnection

_logger = logging.getLogger("livekit")

MAX_QUEUED_REQUESTS = 4096
"""Requests made while reconnecting; further ones are dropped with a warning."""
_ALWAYS_SENT = frozenset({"sync_state", "trickle", "offer", "answer", "simulate", "leave"})
"""These belong to one signal connection, and are of no use on a later one."""


class Outbox:
    """What a session says to its server."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._queued: deque[tuple[str, Any]] = deque()
        self._subscription_permission: proto.SubscriptionPermission | None = None

    def send(self, kind: str, message: Any, *, urgent: bool = False) -> None:
        """As `Session.send`."""
        session = self._session
        if session.closed:
            return
        if kind == "subscription_permission":
            self._subscription_permission = message
        if session.reconnector.active and not urgent and kind not in _ALWAYS_SENT:
            if len(self._queued) < MAX_QUEUED_REQUESTS:
                self._queued.append((kind, message))
            else:
                _logger.warning("%d requests wait for reconnecting: %r is dropped", len(self._queued), kind)
        elif session.signal is not None:
            session.signal.send(kind, message)

    def repeat_unconfirmed(self, signal: SignalConnection) -> None:
        """The server may not have got these: they go out again, before all others."""
        self._queued.extendleft(reversed(signal.unconfirmed.take()))

    def repeat_subscription_permission(self, renamed: dict[str, str]) -> None:
        """In a new session nobody is restricted; track SIDs are others."""
        permission = self._subscription_permission
        if permission is None:
            return
        for entry in permission.track_permissions:
            entry.track_sids[:] = [renamed.get(sid, sid) for sid in entry.track_sids]
        self.send("subscription_permission", permission, urgent=True)

    def flush(self) -> None:
        """What was asked for while reconnecting goes out, in order."""
        while self._queued and self._session.signal is not None:
            self._session.signal.send(*self._queued.popleft())

    def clear(self) -> None:
        self._queued.clear()
