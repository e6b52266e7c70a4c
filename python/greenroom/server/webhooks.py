"""Webhooks: what happens in rooms, posted to URLs with a signed hash of the body, in order for each room.

Retries and limits are livekit-server's: up to five tries, nothing older than half a minute, 200 events a queue.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from google.protobuf import json_format
from livekit.protocol import models, webhook

from . import ids, tokens
from .config import WebhookConfig
from .room_listener import RoomListener

if TYPE_CHECKING:
    from .participant import Participant
    from .publications import Publication
    from .room import Room

_logger = logging.getLogger("greenroom.server")

QUEUE_LENGTH = 200
MAX_AGE_S = 30.0
TRIES = 5
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
TRY_LIMIT_S = 10.0
_ALWAYS_AGAIN = 429
_NEVER_AGAIN = 501
_SERVER_ERROR = 500


@dataclass(frozen=True)
class _Queued:
    event: str
    body: bytes
    queued_at_s: float


class Webhooks(RoomListener):
    """Delivers the events of one server. A full queue drops the newest event; drops and failures are counted."""

    def __init__(self, config: WebhookConfig, secret: str, counters: Counter[str]) -> None:
        self._config = config
        self._secret = secret
        self._counters = counters
        self._queues: dict[tuple[str, str], deque[_Queued]] = {}
        """By URL and room name, those that a task is emptying."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None

    # ---- what happens in rooms ----

    def room_started(self, room: Room) -> None:
        self._notify("room_started", room=room.info())

    def room_finished(self, room: Room) -> None:
        self._notify("room_finished", room=room.info())

    def participant_active(self, participant: Participant) -> None:
        # As on livekit-server: joined is who can be heard, not who was greeted.
        self._notify("participant_joined", room=participant.room.info(), participant=participant.info())

    def participant_left(self, participant: Participant) -> None:
        name = "participant_left" if participant.was_active else "participant_connection_aborted"
        self._notify(name, room=participant.room.info(), participant=participant.info())

    def track_published(self, publication: Publication) -> None:
        self._notify_track("track_published", publication)

    def track_unpublished(self, publication: Publication) -> None:
        self._notify_track("track_unpublished", publication)

    def _notify_track(self, name: str, publication: Publication) -> None:
        publisher = publication.publisher
        self._notify(
            name,
            room=models.Room(sid=publisher.room.sid, name=publisher.room.name),
            participant=models.ParticipantInfo(sid=publisher.sid, identity=publisher.identity),
            track=publication.info,
        )

    def _notify(
        self,
        name: str,
        *,
        room: models.Room,
        participant: models.ParticipantInfo | None = None,
        track: models.TrackInfo | None = None,
    ) -> None:
        if not self._config.wants(name):
            return
        event = webhook.WebhookEvent(
            event=name,
            room=room,
            participant=participant,
            track=track,
            id=ids.event(),
            created_at=int(time.time()),
        )
        body = json.dumps(json_format.MessageToDict(event), separators=(",", ":")).encode()
        for url in self._config.urls:
            self._queue(url, room.name, _Queued(name, body, time.monotonic()))

    # ---- delivery ----

    def _queue(self, url: str, room: str, queued: _Queued) -> None:
        queue = self._queues.get((url, room))
        if queue is not None:
            if len(queue) >= QUEUE_LENGTH:
                self._drop(queued, url, "too many wait")
            else:
                queue.append(queued)
            return
        self._queues[(url, room)] = deque([queued])
        task = asyncio.create_task(self._empty(url, room), name="greenroom webhooks")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _drop(self, queued: _Queued, url: str, why: str) -> None:
        self._counters["webhooks_dropped"] += 1
        _logger.warning("webhook %s to %s dropped: %s", queued.event, url, why)

    async def _empty(self, url: str, room: str) -> None:
        queue = self._queues[(url, room)]
        try:
            while queue:
                queued = queue[0]
                if time.monotonic() - queued.queued_at_s > MAX_AGE_S:
                    self._drop(queued, url, f"older than {MAX_AGE_S:g} s")
                else:
                    await self._deliver(url, queued)
                queue.popleft()
        finally:
            del self._queues[(url, room)]

    async def _deliver(self, url: str, queued: _Queued) -> None:
        wait_s, outcome = FIRST_WAIT_S, ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            outcome, again = await self._post(url, queued.body)
            if not outcome:
                self._counters["webhooks_sent"] += 1
                return
            if not again:
                break
        self._counters["webhooks_failed"] += 1
        _logger.warning("webhook %s to %s failed: %s", queued.event, url, outcome)

    async def _post(self, url: str, body: bytes) -> tuple[str, bool]:
        """What went wrong (empty: nothing), and whether it is worth another try."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TRY_LIMIT_S))
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers = {
            "Authorization": tokens.sign_body(self._config.api_key, self._secret, digest),
            # A type of its own, so that nobody parses the body before its signature is checked.
            "Content-Type": "application/webhook+json",
        }
        try:
            async with self._http.post(url, data=body, headers=headers) as response:
                status = response.status
        except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as error:
            return f"{type(error).__name__}: {error}", True
        if status == _ALWAYS_AGAIN or (status >= _SERVER_ERROR and status != _NEVER_AGAIN):
            return f"status {status}", True
        if status >= 400:
            return f"status {status}", False
        return "", False

    async def close(self, limit_s: float) -> None:
        """Deliver what waits, for at most `limit_s`."""
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=limit_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._http is not None:
            await self._http.close()
            self._http = None
