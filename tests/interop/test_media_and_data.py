"""Sound, picture and data between every pair of SDKs through both servers, judged by what arrives."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from .room_program import QUARTERS_RGB, RELIABLE_MESSAGES, TONE_AMPLITUDE, TONE_HZ
from .servers import RoomServer
from .two_programs import run_both

_PROGRAM = Path(__file__).parent / "room_program.py"
_PAIRS = [
    ("livekit", "greenroom", "greenroom"),
    ("livekit", "greenroom", "official"),
    ("livekit", "official", "greenroom"),
    ("embedded", "greenroom", "greenroom"),
    ("embedded", "greenroom", "official"),
    ("embedded", "official", "greenroom"),
    ("embedded", "official", "official"),
]
_CELLS = [
    *((*pair, codec, "one") for pair in _PAIRS for codec in ("VP8", "H264")),
    ("embedded_tcp", "official", "official", "VP8", "one"),
    # As older clients do, and as those do whose server has nothing else.
    ("livekit", "greenroom", "greenroom", "VP8", "two"),
    ("livekit", "official", "greenroom", "H264", "two"),
    ("embedded", "greenroom", "official", "H264", "two"),
    ("embedded", "official", "greenroom", "VP8", "two"),
    ("embedded", "official", "official", "VP8", "two"),
]


@pytest.fixture(scope="module", params=_CELLS, ids=lambda cell: "-".join(cell))
def measured(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the subscriber of one cell received."""
    server_name, publisher_sdk, subscriber_sdk, *how = request.param
    server: RoomServer = request.getfixturevalue(server_name)
    room, publisher = f"interop-{uuid.uuid4().hex[:8]}", f"publish-{publisher_sdk}"
    result, publisher_left_well = run_both(
        _PROGRAM,
        (publisher_sdk, "publish", server.url, server.token(publisher, room), *how),
        (subscriber_sdk, "subscribe", server.url, server.token(f"subscribe-{subscriber_sdk}", room), *how),
        limit_s=45,
    )
    return {**result, "publisher_left_well": publisher_left_well, "publisher_identity": publisher}


@pytest.mark.timeout(900)
def test_the_tone_arrives_at_its_pitch_and_level(measured: dict[str, Any]) -> None:
    audio = measured["audio"]
    assert audio["frequency_hz"] == pytest.approx(TONE_HZ, abs=5)
    assert audio["rms"] == pytest.approx(TONE_AMPLITUDE / 2**0.5, rel=0.25)
    assert audio["purity"] > 0.9, "the energy is in the tone, not in gaps or noise"


@pytest.mark.timeout(900)
def test_the_picture_arrives_in_its_colours(measured: dict[str, Any]) -> None:
    video = measured["video"]
    assert video["width"] / video["height"] == pytest.approx(640 / 360, rel=0.02)
    for seen, sent in zip(video["quarters_rgb"], QUARTERS_RGB, strict=True):
        assert seen == pytest.approx(sent, abs=16)


@pytest.mark.timeout(900)
def test_data_arrives_whole_and_in_order(measured: dict[str, Any]) -> None:
    data = measured["data"]
    assert data["received"] == RELIABLE_MESSAGES
    assert data["numbered_in_order"]
    assert (data["lossy_kind"], data["reliable_kind"]) == (0, 1)
    assert data["senders"] == [measured["publisher_identity"]]


@pytest.mark.timeout(900)
def test_the_publisher_leaves_cleanly(measured: dict[str, Any]) -> None:
    assert measured["publisher_left_well"]
