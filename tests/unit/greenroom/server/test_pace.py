"""The token bucket of signal connections."""

from __future__ import annotations

import pytest

from greenroom.server.pace import Pace


def test_a_burst_then_a_steady_rate() -> None:
    pace = Pace(rate_per_s=10.0, burst=3)
    assert [pace.delay_s(0.0) for _ in range(5)] == pytest.approx([0.0, 0.0, 0.0, 0.1, 0.2])
    assert pace.delay_s(0.3) == 0.0
    assert pace.delay_s(100.0) == 0.0
    assert [pace.delay_s(100.0) for _ in range(3)] == pytest.approx([0.0, 0.0, 0.1])
