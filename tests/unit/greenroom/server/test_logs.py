"""Log lines, for people and for machines."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from server_fakes import Harness

from greenroom.server import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    logger = logging.getLogger("greenroom")
    level = logger.level
    handler = logs.configure("info", as_json=True, stream=stream)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


async def test_every_event_is_an_object_with_its_names(stream: io.StringIO) -> None:
    async with Harness() as harness:
        anna = await harness.join("anna\n", "hall")
        anna.activate()
        sid = await anna.publish("mic")
        await anna.send(leave={})
        await anna.closed()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    about = [line for line in lines if line.get("room") == "hall"]
    assert [line["msg"] for line in about] == [
        "room hall started",
        "room hall: anna\n joined",
        "room hall: anna\n is connected",
        f"room hall: anna\n published microphone {sid}",
        f"room hall: anna\n unpublished microphone {sid}",
        "room hall: anna\n left: CLIENT_INITIATED",
        "room hall closed",
    ]
    assert about[1]["participant_sid"] == anna.sid
    assert about[3]["track"] == sid
    assert all(line["level"] == "info" and line["ts"].endswith("Z") for line in lines)


def test_errors_carry_their_traceback(stream: io.StringIO) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("greenroom.server").exception("it failed")
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["level"], line["msg"]) == ("error", "it failed")
    assert "ValueError: why" in line["error"]


def test_names_from_outside_can_not_forge_lines() -> None:
    stream = io.StringIO()
    handler = logs.configure("info", as_json=False, stream=stream)
    try:
        logging.getLogger("greenroom.server").info("%s joined", "anna\n12:00:00 ERROR fake")
    finally:
        logging.getLogger("greenroom").removeHandler(handler)
    assert len(stream.getvalue().splitlines()) == 1
