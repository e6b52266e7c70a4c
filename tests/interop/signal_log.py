"""What an embedded server of this process hears and says on its signal connections, in the log of a test that fails."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from unittest import mock

from livekit.protocol import rtc as messages

from greenroom.server import http
from greenroom.server.participant import Participant

_logger = logging.getLogger("greenroom.server")
_handle = http.handle
_send, _send_encoded = Participant.send, Participant.send_encoded
_path_changed, _connection_up = Participant.path_changed, Participant.connection_up
_QUIET = frozenset({"ping", "ping_req", "pong", "pong_resp", "speakers_changed", "connection_quality"})


def _tell(
    participant: Participant, arrow: str, message: messages.SignalRequest | messages.SignalResponse
) -> None:
    kind = message.WhichOneof("message")
    if kind in _QUIET:
        return
    what = getattr(message, kind or "", "")
    brief = " ".join(line for line in str(what).split("\n") if "sdp" not in line)[:300]
    _logger.debug("%s %s %s %s: %s", participant.identity, participant.sid, arrow, kind, brief)


def _handled(participant: Participant, request: messages.SignalRequest) -> None:
    _tell(participant, "says", request)
    _handle(participant, request)


def _sent(participant: Participant, response: messages.SignalResponse) -> None:
    _tell(participant, "is told" if participant.session is not None else "can't be told", response)
    _send(participant, response)


def _sent_encoded(participant: Participant, response: bytes) -> None:
    _tell(participant, "is told", messages.SignalResponse.FromString(response))
    _send_encoded(participant, response)


def _path(participant: Participant, connection: object, state: str) -> None:
    half = "publisher" if connection is participant.publisher.connection else "subscriber"
    _logger.debug("%s %s: the path of its %s is %s", participant.identity, participant.sid, half, state)
    _path_changed(participant, connection, state)  # type: ignore[arg-type]


def _up(participant: Participant, connection: object) -> None:
    half = "publisher" if connection is participant.publisher.connection else "subscriber"
    _logger.debug("%s %s: its %s is connected", participant.identity, participant.sid, half)
    _connection_up(participant, connection)  # type: ignore[arg-type]


@contextlib.contextmanager
def signalling_logged() -> Iterator[None]:
    """Within the block, at debug level."""
    with (
        mock.patch.object(http, "handle", _handled),
        mock.patch.object(Participant, "send", _sent),
        mock.patch.object(Participant, "send_encoded", _sent_encoded),
        mock.patch.object(Participant, "path_changed", _path),
        mock.patch.object(Participant, "connection_up", _up),
    ):
        yield
