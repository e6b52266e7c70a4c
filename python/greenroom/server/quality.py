"""Connection quality of a room's participants, from the packets that their tracks lose.

One participant is measured at a time, so that a large room is as little work at once as a small one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from livekit.protocol import models

if TYPE_CHECKING:
    from .participant import Participant
    from .publications import Publication
    from .room import Room

BEST_SCORE, WORST_SCORE = 100.0, 30.0
"""The worst that is remembered: below, it would take too long to recover."""
_RISE, _FALL = 0.4, 0.8
"""How much of a new score counts: bad news is told sooner than good."""
_LOSS_WEIGHTS = {"opus": 8.0 / 1.5, "red": 4.0 / 1.5}
"""Of one percent of lost packets; Opus is sent with forward error correction."""
_VIDEO_LOSS_WEIGHT = 10.0
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


def smoothed(score: float, previous: float) -> float:
    part = _FALL if score < previous else _RISE
    return max(WORST_SCORE, part * score + (1 - part) * previous)


class Qualities:
    """The scores of one room's participants, and who has to be told."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._scores: dict[str, float] = {}
        self._turns: deque[Participant] = deque()
        self._counts: dict[str, tuple[int, int]] = {}
        """Packets received and lost of each track, when it was last measured."""

    def score(self, participant_sid: str) -> float:
        return self._scores.get(participant_sid, BEST_SCORE)

    def left(self, participant: Participant) -> None:
        self._scores.pop(participant.sid, None)

    def ended(self, publication: Publication) -> None:
        self._counts.pop(publication.sid, None)

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
        worst = min([BEST_SCORE, *self._published(participant), *_received(participant)])
        after = self._scores[participant.sid] = smoothed(worst, before)
        if quality_of(after) == quality_of(before):
            return
        for other in present:
            if other is participant or participant.sid in other.subscriptions.publisher_sids():
                other.rate(participant.sid)

    def _published(self, participant: Participant) -> list[float]:
        scores = []
        for publication in participant.publications.values():
            if publication.up_track is None or publication.info.muted:
                continue
            layers = publication.up_track.stats()["layers"]
            counts = (sum(x["packets"] for x in layers), sum(x["packets_lost"] for x in layers))
            packets, lost = self._counts.get(publication.sid, counts)
            self._counts[publication.sid] = counts
            packets, lost = counts[0] - packets, max(0, counts[1] - lost)
            if packets > 0:
                scores.append(_score(lost / (packets + lost), publication.codec))
        return scores


def _received(participant: Participant) -> list[float]:
    bound = participant.subscriptions.down_tracks()
    return [_score(track.stats()["fraction_lost"], publication.codec) for publication, track in bound]


def _score(fraction_lost: float, codec: str) -> float:
    weight = _LOSS_WEIGHTS.get(codec, _VIDEO_LOSS_WEIGHT)
    return max(0.0, BEST_SCORE - 100 * fraction_lost * weight)
