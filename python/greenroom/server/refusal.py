"""Why a request is turned away before it becomes a session."""

from __future__ import annotations


class Refusal(Exception):
    """An HTTP status and the plain-text body that clients show to their users."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class ProtocolViolation(Exception):
    """A client sent what can't be acted upon (an unusable description, say): it has to start a new
    session.
    """
