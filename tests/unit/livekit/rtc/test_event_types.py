"""mypy knows what the handlers of each event get, and what waiting for it returns."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from livekit.rtc.room_events import EVENT_CLASSES

api = pytest.importorskip("mypy.api")
_ROOT = Path(__file__).resolve().parents[4]
_HEAD = """
from typing import Any
from livekit import rtc
from livekit.rtc.participant import Participant, RemoteParticipant, ConnectionQuality
from livekit.rtc._proto.participant_pb2 import DisconnectReason, ParticipantPermission
from livekit.rtc._proto.e2ee_pb2 import EncryptionState
from livekit.rtc._proto.room_pb2 import ConnectionState
from livekit.rtc.track import LocalTrack, RemoteTrack
from livekit.rtc.track_publication import LocalTrackPublication, RemoteTrackPublication, TrackPublication
from livekit.rtc.room import DataPacket, SipDTMF
from livekit.rtc.data_track import RemoteDataTrack
from livekit.rtc.transcription import TranscriptionSegment
class Wrong: ...
room = rtc.Room()
"""


def _types(event: str) -> list[str]:
    return [str(field.type) for field in dataclasses.fields(EVENT_CLASSES[event])]  # type: ignore[index]


def _program() -> tuple[str, set[int], set[int]]:
    """The text, the lines that must be right, and those that must be wrong."""
    lines = _HEAD.splitlines()
    right, wrong = set(), set()

    def say(line: str, into: set[int]) -> None:
        lines.append(line)
        into.add(len(lines))

    for event in EVENT_CLASSES:
        types = _types(event)
        arguments = ", ".join(f"a{i}: {t}" for i, t in enumerate(types))
        handler, result = f"on_{event}", f"wait_{event}"
        lines.append(f"def {handler}({arguments}) -> None: ...")
        say(f'room.on("{event}", {handler})', right)
        say(f'room.once("{event}", {handler})', right)
        lines.append("def nothing() -> None: ...")
        say(f'room.on("{event}", nothing)', right)
        lines.append(f'@room.on("{event}")')
        say(f"def decorated_{event}({arguments}) -> None: ...", right)
        returned = "None" if not types else types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"
        lines.append(f"async def {result}() -> {returned}:")
        say(f'    return await room.wait_for("{event}", timeout=1.0)', right)
        longer = ", ".join([*filter(None, [arguments]), "z: Wrong"])
        lines.append(f"def too_long_{event}({longer}) -> None: ...")
        say(f'room.on("{event}", too_long_{event})', wrong)
        say(f'room.once("{event}", too_long_{event})', wrong)
        if types and "Any" not in types:
            lines.append(f"def bad_{event}(a: Wrong) -> None: ...")
            say(f'room.on("{event}", bad_{event})', wrong)
            lines.append(f"async def bad_wait_{event}() -> Wrong:")
            say(f'    return await room.wait_for("{event}")', wrong)
            names = ", ".join(f"a{i}" for i in range(len(types)))
            say(f'room.on("{event}", lambda {names}: a0.no_such_member)', wrong)
    say('room.on("no_such_event", nothing)', wrong)
    return "\n".join(lines) + "\n", right, wrong


@pytest.mark.timeout(300)  # mypy reads the whole package when it has no cache
def test_right_handlers_pass_and_wrong_ones_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, right, wrong = _program()
    program = tmp_path / "handlers.py"
    program.write_text(
        text.replace("def nothing() -> None: ...", "def nothing() -> None: ...  # type: ignore[no-redef]")
    )
    monkeypatch.chdir(_ROOT)
    output, errors, _ = api.run(["--config-file", "pyproject.toml", "--no-error-summary", str(program)])
    assert not errors
    # From its cache mypy tells the errors under the path of an earlier run.
    failed = {int(n) for n in re.findall(r"^\S*/handlers\.py:(\d+): error", output, re.MULTILINE)}
    assert not right & failed, output
    assert wrong <= failed, f"accepted: {[text.splitlines()[n - 1] for n in sorted(wrong - failed)]}"
