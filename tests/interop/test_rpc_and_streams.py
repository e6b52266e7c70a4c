"""Calls and data streams between our SDK and the official one, both ways, through both servers."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest

from .call_program import BLOB, LONG_TEXT
from .servers import RoomServer
from .two_programs import run_both

_PROGRAM = Path(__file__).parent / "call_program.py"
_CELLS = [
    ("livekit", "greenroom", "greenroom"),
    ("livekit", "greenroom", "official"),
    ("livekit", "official", "greenroom"),
    ("embedded", "greenroom", "official"),
    ("embedded", "official", "greenroom"),
    ("embedded", "official", "official"),
]


@pytest.fixture(scope="module", params=_CELLS, ids=lambda cell: "-".join(cell))
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the caller of one cell got back."""
    server_name, caller_sdk, server_sdk = request.param
    server: RoomServer = request.getfixturevalue(server_name)
    room = f"calls-{uuid.uuid4().hex[:8]}"
    answering, calling = f"serve-{server_sdk}", f"call-{caller_sdk}"
    result, _ = run_both(
        _PROGRAM,
        (server_sdk, "serve", server.url, server.token(answering, room, agent=True)),
        (caller_sdk, "call", server.url, server.token(calling, room, agent=True)),
        limit_s=50,
    )
    return {**result, "caller": calling, "server": answering}


@pytest.mark.timeout(900)
def test_calls_are_answered(told: dict[str, Any]) -> None:
    calls = told["calls"]
    assert (calls["empty"], calls["long"], calls["many"]) == ("", True, True)
    assert calls["context"] == [told["caller"], "context", 5.0]


@pytest.mark.timeout(900)
def test_calls_that_fail_say_how(told: dict[str, Any]) -> None:
    calls = told["calls"]
    assert calls["own_error"] == [101, "no", "because"]
    assert calls["broken"] == [1500, "Application error in method handler", ""]
    assert calls["unknown"] == [1400, "Method not supported at destination", ""]
    assert calls["slow"] == [1502, "Response timeout", ""]
    assert calls["nobody"] == [1501, "Connection timeout", ""]


@pytest.mark.timeout(900)
def test_texts_arrive_whole(told: dict[str, Any]) -> None:
    streams = told["streams"]
    for name, text in {
        "no_text": "",
        "short_text": "hé",
        "long_text": LONG_TEXT,
        "written_text": f"first {LONG_TEXT} last",
    }.items():
        seen = streams[name]
        assert seen["sha256"] == hashlib.sha256(text.encode()).hexdigest(), name
        assert (seen["error"], seen["sender"], seen["mime_type"]) == ("", told["caller"], "text/plain")
    assert streams["long_text"]["size"] == len(LONG_TEXT.encode())
    assert streams["short_text"]["attributes"] == {"name": "short_text"}
    assert streams["written_text"]["attributes"] == {"x": "1", "y": "2"}
    assert streams["written_text"]["id"] == "my-id"


@pytest.mark.timeout(900)
def test_broken_streams_raise(told: dict[str, Any]) -> None:
    streams = told["streams"]
    assert streams["aborted_text"]["error"] == "stream closed abnormally: gave up"
    assert streams["short_bytes"]["error"] == "stream data is incomplete"


@pytest.mark.timeout(900)
def test_bytes_and_files_arrive_whole(told: dict[str, Any]) -> None:
    streams = told["streams"]
    for name, content, file_name, mime_type in (
        ("written_bytes", BLOB, "blob.bin", "application/octet-stream"),
        ("small_bytes", BLOB[:100], "small.bin", "application/octet-stream"),
        ("text.txt", LONG_TEXT.encode(), "text.txt", "text/plain"),
        ("random.dat", BLOB, "random.dat", None),
    ):
        seen = streams[name]
        assert seen["sha256"] == hashlib.sha256(content).hexdigest(), name
        assert (seen["error"], seen["size"], seen["name"]) == ("", len(content), file_name)
        assert mime_type in (None, seen["mime_type"])


@pytest.mark.timeout(900)
def test_packets_arrive_as_they_were_sent(told: dict[str, Any]) -> None:
    packets = told["packets"]
    assert packets["reliable"] == ["t", "hé", True, told["caller"]]
    assert packets["lossy"] == ["", "lossy", False, told["caller"]]
    assert packets["dtmf"] == [11, "#", told["caller"]]
    segments, participant, without_publication = packets["transcription"]
    assert segments == [["s1", "hel", 1, 2, "de", False], ["s1", "hello", 1, 3, "de", True]]
    assert (participant, without_publication) == (told["caller"], True)


@pytest.mark.timeout(900)
def test_data_tracks_carry_frames_both_ways(told: dict[str, Any]) -> None:
    tracks = told["data_tracks"]
    server = told["server"]
    large = [len(BLOB), hashlib.sha256(BLOB).hexdigest(), None]
    assert tracks["remote"] == ["frames", False, server]
    assert sorted(tracks["got"], key=str) == sorted(
        [large, [5, hashlib.sha256(b"small").hexdigest(), 2**40]], key=str
    )
    assert tracks["sid"] == "DTR_"
    assert tracks["twice"][0] == "PublishDataTrackError"
    assert tracks["twice"][1].startswith("Track name already taken")
    assert tracks["small"] == ["mine", 5, hashlib.sha256(b"hello").hexdigest(), 7]
    assert tracks["large"] == ["mine", *large]
    assert tracks["ended"] == ["mine", "ended"]
    assert tracks["late"] == "Failed to publish frame: track unpublished"


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("leaving", "staying"), [("official", "greenroom"), ("greenroom", "official")])
@pytest.mark.parametrize("server_name", ["livekit", "embedded"])
def test_who_leaves_fails_its_call_and_its_stream(
    request: pytest.FixtureRequest, server_name: str, leaving: str, staying: str
) -> None:
    server: RoomServer = request.getfixturevalue(server_name)
    room = f"leaving-{uuid.uuid4().hex[:8]}"
    result, _ = run_both(
        Path(__file__).parent / "leaving_program.py",
        (leaving, "leave", server.url, server.token("leaving", room)),
        (staying, "stay", server.url, server.token("staying", room)),
        limit_s=50,
    )
    assert result["call"] == [1503, "Recipient disconnected"]
    text, error = result["text"]
    assert text == "half a te"
    assert error == (
        "stream closed abnormally: Participant leaving unexpectedly disconnected in the middle of sending data"
    )
