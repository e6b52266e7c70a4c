"""The load generator, small, on the embedded server: everything arrives, and what it prints makes sense."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from benches.load.generator import GeneratorError, build, run
from benches.load.scenarios import Scenario
from tests.interop.servers import RoomServer, embedded_server

# It may have to be built first.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def generator() -> Path:
    return build()


@pytest.fixture(scope="module")
def server() -> Iterator[RoomServer]:
    with embedded_server() as server:
        yield replace(server, pid=os.getpid())


@pytest.mark.parametrize(
    ("scenario", "streams"),
    [
        (Scenario("audio", 2, 3), 6),
        (Scenario("video", 1, 3), 3),
        # Each sees nine tiles; three speak, and don't hear themselves.
        (Scenario("gallery", 0, 11), 11 * 9 + 11 * 3 - 3),
    ],
)
def test_a_small_load_arrives_whole(
    generator: Path, server: RoomServer, scenario: Scenario, streams: int
) -> None:
    figures = run(generator, server, scenario, 1.0, room=scenario.name)
    assert figures["streams"] == streams
    assert figures["received_percent_of_expected"] > 90
    assert figures["loss_percent"] == 0
    assert 0 < figures["delay_ms_p50"] <= figures["delay_ms_p99"]
    # Counted in ticks of 10 ms: so small a load may take none.
    assert figures["cpu_us_per_packet"] >= 0
    assert figures["generator_stall_ms"] > 0
    assert figures["joins_per_s"] > 0


def test_a_load_that_is_refused_says_why(generator: Path, server: RoomServer) -> None:
    refused = replace(server, api_secret="another-secret-of-thirty-two-characters")
    with pytest.raises(GeneratorError, match="401"):
        run(generator, refused, Scenario("audio", 1, 1), 1.0)
