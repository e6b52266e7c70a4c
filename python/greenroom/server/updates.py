"""Participant updates of a room: what concerns published tracks goes out at once, the rest in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

if TYPE_CHECKING:
    from .participant import Participant
    from .room import Room

REPLACES_WITHOUT_NOTICE = 11
"""Clients of a newer protocol understand a new SID under a known identity as leave and join."""


class ParticipantUpdates:
    """Folds changes together by identity; the newest state of each is sent."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, models.ParticipantInfo] = {}
        """By identity: what the next batch tells."""
        self._counts = (0, 0)
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, participant: Participant, *, at_once: bool) -> None:
        """A participant is told of its own change at once; the others too when it publishes, else in a
        batch.
        """
        info = participant.info()
        if participant.hidden:
            self.send([info], [participant])
        elif at_once or participant.is_publisher:
            self._send_now(info)
        else:
            self.send([info], [participant])
            self._wait(info)

    def left(self, participant: Participant, *, at_once: bool) -> None:
        """A participant is gone."""
        if at_once:
            self._send_now(participant.info())
        else:
            self._wait(participant.info())

    def announce(self, participant: Participant) -> None:
        """What the others are still to be told of it goes out now: something else of it is about to reach them."""
        info = self._waiting.get(participant.identity)
        if info is not None:
            self._send_now(info)

    def replaced(self, participant: Participant) -> None:
        """A new session of the same identity takes over: only old clients need to know that this one is
        gone.
        """
        self._waiting.pop(participant.identity, None)
        old_clients = [p for p in self._room.started_participants() if p.protocol <= REPLACES_WITHOUT_NOTICE]
        self.send([participant.info()], old_clients)

    def _send_now(self, info: models.ParticipantInfo) -> None:
        self._waiting.pop(info.identity, None)
        self.send([info], self._room.started_participants())
        self._schedule()

    def _wait(self, info: models.ParticipantInfo) -> None:
        self._waiting[info.identity] = info
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and not self._room.closed:
            self._timer = self._loop.call_later(self._room.config.update_interval_s, self._send_batch)

    def _send_batch(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, {}
        self.send(list(waiting.values()), self._room.started_participants())
        counts = self._room.count()
        if counts != self._counts:
            self._counts = counts
            self._room.send_room_update()

    def send(self, infos: list[models.ParticipantInfo], receivers: list[Participant]) -> None:
        """Send these states now, in as many messages as their size needs."""
        if not receivers:
            return
        for chunk in _chunks(infos, self._room.config.limits.update_bytes):
            update = messages.SignalResponse(update=messages.ParticipantUpdate(participants=chunk))
            encoded = update.SerializeToString()
            for receiver in receivers:
                receiver.send_encoded(encoded)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _chunks(infos: list[models.ParticipantInfo], limit_bytes: int) -> Iterator[list[models.ParticipantInfo]]:
    chunk: list[models.ParticipantInfo] = []
    size = 0
    for info in infos:
        info_size = info.ByteSize()
        if chunk and size + info_size > limit_bytes:
            yield chunk
            chunk, size = [], 0
        chunk.append(info)
        size += info_size
    if chunk:
        yield chunk
