"""How well one track gets through, from 100 down to 30: a table of facts a window, smoothed from window to window.

As livekit-server 1.13.4 does (pkg/sfu/connectionquality): loss by codec, layers that are missing, and no packets at all.
It knows terms for round trip, jitter and bitrate too, but uses none of them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

BEST_SCORE, WORST_SCORE = 100.0, 30.0
"""The worst that is remembered: below, it would take too long to recover."""
DRY_SCORE, LOST_SCORE = 40.0, 20.0
"""No packets in a whole window; and no sign of life of the sender either."""
_LAYER_WEIGHT = 35.0
"""Of each spatial layer that is missing: about one class of quality."""
_RISE, _FALL = 0.4, 0.8
"""How much of a new score counts: bad news is told sooner than good."""
_LOSS_WEIGHTS = {"opus": 8.0 / 1.5, "red": 4.0 / 1.5}
"""Of one percent of lost packets; Opus is sent with forward error correction."""
_VIDEO_LOSS_WEIGHT = 10.0
_RATE_STEP_PPS, _RATE_STEPS = 2.0, 250
_RATES_NEEDED = 10
"""Windows until it is known how many packets a second are usual."""


@dataclass(frozen=True)
class Window:
    """What was seen of a track since it was last looked at."""

    duration_s: float
    packets: int
    packets_lost: float = 0.0
    layers_missing: int = 0
    """Spatial layers that should come and do not."""
    is_sender_silent: bool = False
    """Nothing came over the sender's connection, not even signs of life."""


def smoothed(score: float, previous: float) -> float:
    part = _FALL if score < previous else _RISE
    return max(WORST_SCORE, part * score + (1 - part) * previous)


class TrackScore:
    """Of one track one way. `rest` while it is muted or nobody wants it, `pause` while it is held back."""

    def __init__(self, codec: str) -> None:
        self._loss_weight = _LOSS_WEIGHTS.get(codec, _VIDEO_LOSS_WEIGHT)
        self._rates: Counter[int] = Counter()
        self.value = BEST_SCORE

    def rest(self) -> None:
        """Nothing is expected: all is well, unless it was lost before."""
        if self.value != LOST_SCORE:
            self.value = BEST_SCORE

    def pause(self) -> None:
        """Held back for lack of bandwidth."""
        self.value = WORST_SCORE

    def update(self, window: Window) -> None:
        weight = self._adjusted_weight(window)
        if window.packets <= 0:
            self.value = LOST_SCORE if window.is_sender_silent else DRY_SCORE
            return
        sent = window.packets + window.packets_lost
        by_loss = BEST_SCORE - weight * 100 * max(0.0, window.packets_lost) / sent
        by_layers = BEST_SCORE - _LAYER_WEIGHT * window.layers_missing
        self.value = smoothed(max(0.0, min(by_loss, by_layers)), self.value)

    def _adjusted_weight(self, window: Window) -> float:
        """Loss counts less where fewer packets come than usual: in silence, or of a screen where nothing moves."""
        if window.duration_s <= 0:
            return self._loss_weight
        rate_pps = window.packets / window.duration_s
        self._rates[min(round(rate_pps / _RATE_STEP_PPS), _RATE_STEPS)] += 1
        usual, _ = self._rates.most_common(1)[0]
        if self._rates.total() <= _RATES_NEEDED or usual == 0:
            return self._loss_weight
        return self._loss_weight * math.sqrt(min(1.0, rate_pps / (usual * _RATE_STEP_PPS)))
