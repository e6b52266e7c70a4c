"""Connection quality of a room's participants: the worst of what they publish and receive.

One participant is measured at a time, so that a large room is as little work at once as a small one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from livekit.protocol import models

from .dynacast import NOBODY
from .track_score import BEST_SCORE, TrackScore, Window

if TYPE_CHECKING:
    from .participant import Participant
    from .publications import Publication
    from .room import Room
    from .subscriptions import Subscription

_CLASSES = (
    (80.0, models.ConnectionQuality.EXCELLENT),
    (40.0, models.ConnectionQuality.GOOD),
    (20.0, models.ConnectionQuality.POOR),
)
"""Scores above which a class begins, as in livekit-server."""


def quality_of(score: float) -> models.ConnectionQuality:
    return next((quality for above, quality in _CLASSES if score > above), models.ConnectionQuality.LOST)


def mean_opinion(score: float) -> float:
    """1 to 4.5, as the E-model of ITU-T G.107 has it."""
    if score >= BEST_SCORE:
        return 4.5
    return 1 + 0.035 * score + 7e-6 * score * (score - 60) * (100 - score)


@dataclass
class _Measured:
    """A track one way, as it was last looked at."""

    score: TrackScore
    at_s: float
    packets: list[int] = field(default_factory=list)
    """Of each layer; of a track that is sent, one number."""
    lost: int = 0
    best_layer: int = 0
    """Of those that flow."""


class Qualities:
    """The scores of one room's participants, and who has to be told."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._scores: dict[str, float] = {}
        self._turns: deque[Participant] = deque()
        self._published: dict[str, _Measured] = {}
        """By track SID."""
        self._received: dict[str, dict[str, _Measured]] = {}
        """By the SIDs of subscriber and track."""
        self._heard: dict[str, int] = {}
        """Packets of any kind that had come from each participant."""

    def score(self, participant_sid: str) -> float:
        return self._scores.get(participant_sid, BEST_SCORE)

    def left(self, participant: Participant) -> None:
        for table in (self._scores, self._received, self._heard):
            table.pop(participant.sid, None)

    def ended(self, publication: Publication) -> None:
        self._published.pop(publication.sid, None)

    def measure_next(self) -> None:
        """Measure the participant whose turn it is, and tell those who see it when its class changed."""
        present = self._room.started_participants()
        while self._turns and not self._turns[0].started:
            self._turns.popleft()
        if not self._turns:
            self._turns.extend(present)
        if self._turns:
            self._measure(self._turns.popleft(), present)

    def _measure(self, participant: Participant, present: list[Participant]) -> None:
        before = self.score(participant.sid)
        now_s = self._room.now_s()
        scores = [*self._measure_published(participant, now_s), *self._measure_received(participant, now_s)]
        after = self._scores[participant.sid] = min([BEST_SCORE, *scores])
        self._room.tell("participant_measured", participant)
        if quality_of(after) == quality_of(before):
            return
        for other in present:
            if other is participant or participant.sid in other.subscriptions.publisher_sids():
                other.rate(participant.sid)

    def _measure_published(self, participant: Participant, now_s: float) -> list[float]:
        is_silent = self._is_silent(participant)
        for publication in participant.publications.values():
            if publication.up_track is None:
                continue
            layers = publication.up_track.stats()["layers"]
            packets, lost = [x["packets"] for x in layers], sum(x["packets_lost"] for x in layers)
            last = self._published.get(publication.sid)
            if last is None:
                if sum(packets) > 0:  # it has begun
                    self._published[publication.sid] = _Measured(
                        TrackScore(publication.codec), now_s, packets, lost, len(packets) - 1
                    )
                continue
            came = [now - before for now, before in zip(packets, last.packets, strict=False)]
            flowing = [layer for layer, count in enumerate(came) if count > 0]
            if publication.info.muted or publication.watched_layer == NOBODY:
                last.score.rest()
            else:
                wanted = min(publication.watched_layer, len(packets) - 1)
                missing = max(0, wanted - max(flowing)) if flowing else 0
                lost_now = max(0, lost - last.lost)
                last.score.update(Window(now_s - last.at_s, sum(came), lost_now, missing, is_silent))
            last.at_s, last.packets, last.lost = now_s, packets, lost
            last.best_layer = max(flowing, default=last.best_layer)
        measured = (self._published.get(sid) for sid in participant.publications)
        return [one.score.value for one in measured if one is not None]

    def _is_silent(self, participant: Participant) -> bool:
        """Nothing came since it was last asked, not even checks of the path."""
        connection = participant.publisher.connection
        heard = 0 if connection.closed else connection.packets_received()
        before = self._heard.get(participant.sid)
        self._heard[participant.sid] = heard
        return heard == before

    def _measure_received(self, participant: Participant, now_s: float) -> list[float]:
        before = self._received.get(participant.sid, {})
        after = self._received[participant.sid] = {}
        for subscription in participant.subscriptions.flowing():
            sid = subscription.publication.sid
            last = before.get(sid) or _Measured(TrackScore(subscription.codec), now_s, [0])
            self._measure_down_track(subscription, last, now_s)
            after[sid] = last
        return [one.score.value for one in after.values()]

    def _measure_down_track(self, subscription: Subscription, last: _Measured, now_s: float) -> None:
        assert subscription.down_track is not None
        stats = subscription.down_track.stats()
        sent = stats["packets_sent"] - last.packets[0]
        if subscription.paused:
            last.score.pause()
        elif not subscription.enabled or subscription.publication.info.muted:
            last.score.rest()
        elif sent > 0:  # otherwise there is nothing to judge: it may be the publisher that sends nothing
            published = self._published.get(subscription.publication.sid)
            wanted = min(subscription.max_layer, published.best_layer if published is not None else 0)
            layer = stats["spatial_layer"]
            missing = max(0, wanted - layer) if layer is not None else 0
            lost = sent * stats["fraction_lost"]
            last.score.update(Window(now_s - last.at_s, sent, lost, missing))
        last.at_s, last.packets = now_s, [stats["packets_sent"]]
