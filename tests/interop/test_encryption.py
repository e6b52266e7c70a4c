"""Encrypted sound, picture and data between both SDKs through both servers, judged by what arrives."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from .room_program import QUARTERS_RGB, RELIABLE_MESSAGES, TONE_AMPLITUDE, TONE_HZ
from .servers import RoomServer
from .two_programs import run_both

_PROGRAM = Path(__file__).parent / "encryption_program.py"
_CELLS = [
    ("livekit", "greenroom", "official", "VP8", "shared", "PBKDF2", "encryption"),
    ("livekit", "official", "greenroom", "VP8", "participant", "PBKDF2", "encryption"),
    ("livekit", "greenroom", "official", "H264", "participant", "PBKDF2", "encryption"),
    ("livekit", "official", "greenroom", "H264", "shared", "PBKDF2", "e2ee"),
    ("embedded", "greenroom", "official", "H264", "shared", "HKDF", "e2ee"),
    ("embedded", "official", "greenroom", "H264", "participant", "HKDF", "encryption"),
    ("embedded", "greenroom", "official", "VP8", "participant", "HKDF", "encryption"),
    ("embedded", "official", "greenroom", "VP8", "shared", "HKDF", "encryption"),
]


@pytest.fixture(scope="module", params=_CELLS, ids=lambda cell: "-".join(cell))
def measured(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the subscriber of one cell received."""
    server_name, publisher_sdk, subscriber_sdk, codec, keys, derivation, spelling = request.param
    server: RoomServer = request.getfixturevalue(server_name)
    room = f"encrypted-{uuid.uuid4().hex[:8]}"
    how = json.dumps({"keys": keys, "derivation": derivation, "spelling": spelling})
    result, _ = run_both(
        _PROGRAM,
        (publisher_sdk, "publish", server.url, server.token("publish", room), codec, how),
        (subscriber_sdk, "subscribe", server.url, server.token("subscribe", room), codec, how),
        limit_s=60,
    )
    result["keys"] = keys
    return result


def _is_the_tone(audio: dict[str, Any]) -> bool:
    return bool(
        audio["frequency_hz"] == pytest.approx(TONE_HZ, abs=5)
        and audio["rms"] == pytest.approx(TONE_AMPLITUDE / 2**0.5, rel=0.25)
        and audio["purity"] > 0.9
    )


@pytest.mark.timeout(900)
def test_the_tone_arrives_before_and_after_the_key_changes(measured: dict[str, Any]) -> None:
    assert _is_the_tone(measured["audio"])
    changes = {"shared": ["next"], "participant": ["ratchet", "next"]}[measured["keys"]]
    for change in changes:
        assert _is_the_tone(measured[change]), change


@pytest.mark.timeout(900)
def test_the_picture_arrives_in_its_colours(measured: dict[str, Any]) -> None:
    for seen, sent in zip(measured["video"]["quarters_rgb"], QUARTERS_RGB, strict=True):
        assert seen == pytest.approx(sent, abs=16)


@pytest.mark.timeout(900)
def test_data_arrives_whole_and_in_order(measured: dict[str, Any]) -> None:
    data = measured["data"]
    assert data["received"] == RELIABLE_MESSAGES
    assert data["numbered_in_order"]


@pytest.mark.timeout(900)
def test_frames_of_a_data_track_arrive_before_and_after_the_key_changes(measured: dict[str, Any]) -> None:
    # With either spelling, though `e2ee` leaves packets clear.
    expected = {"uses_e2ee": True, "whole": True}
    assert measured["frames"] == expected
    assert measured["last_frames"] == expected


@pytest.mark.timeout(900)
def test_encryption_is_announced_and_told(measured: dict[str, Any]) -> None:
    assert measured["types"] == [1, 1]
    assert ["publish", 1] in measured["states"]
