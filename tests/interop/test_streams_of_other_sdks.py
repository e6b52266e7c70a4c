"""Texts and files in streams between LiveKit's SDKs for Node, Go and Python and ours, both ways, on the embedded server."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from room_tools import within

from livekit import rtc

from .mirrors import mirror, sdks
from .servers import RoomServer

LONG = "Grüße, 世界! 🎤 " * 4_000
CONTENT = random.Random(7).randbytes(200_000)
ATTRIBUTES = {"language": "日本語", "empty": ""}

pytestmark = pytest.mark.timeout(1600)  # the first run may have to build the peer


class Answers:
    """Streams that came back, as (info, content, sender)."""

    def __init__(self, room: rtc.Room) -> None:
        self._all: asyncio.Queue[tuple[Any, Any, str]] = asyncio.Queue()
        self._reading: set[asyncio.Task[None]] = set()
        room.register_text_stream_handler("answer", self._began)
        room.register_byte_stream_handler("answer", self._began)

    def _began(self, reader: Any, sender: str) -> None:
        async def read() -> None:
            self._all.put_nowait((reader.info, [part async for part in reader], sender))

        self._reading.add(asyncio.ensure_future(read()))

    async def next(self) -> tuple[Any, Any, str]:
        return await within(self._all.get())


@sdks
async def test_texts_and_files_go_both_ways(embedded: RoomServer, sdk: str, tmp_path: Path) -> None:
    name = f"streams-{sdk}"
    room = rtc.Room()
    answers = Answers(room)
    async with mirror(embedded, sdk, name, tmp_path / "peer.log") as peer:
        await room.connect(embedded.url, embedded.token("tester", name))
        local = room.local_participant
        for text in ("", "hé", LONG):
            await local.send_text(text, topic="ask", attributes=ATTRIBUTES)
            info, parts, sender = await answers.next()
            assert ("".join(parts), sender) == (f"re: {text}", sdk)
            assert (info.attributes, info.mime_type) == (ATTRIBUTES, "text/plain")
        writer = await local.stream_text(topic="ask")
        for part in ("ä", LONG, "ü"):
            await writer.write(part)
        await writer.aclose()
        assert "".join((await answers.next())[1]) == f"re: ä{LONG}ü"

        for content, mime_type in ((CONTENT, "image/x-test"), (CONTENT[:1], "application/octet-stream")):
            size = len(content)
            outgoing = await local.stream_bytes(
                "näme.bin", topic="ask", total_size=size, mime_type=mime_type, attributes=ATTRIBUTES
            )
            await outgoing.write(content[:100])
            await outgoing.write(content[100:])
            await outgoing.aclose()
            info, parts, sender = await answers.next()
            assert (b"".join(parts), sender) == (content, sdk)
            assert len(parts) > 1 or size == 1
            assert (info.name, info.mime_type, info.size) == ("re: näme.bin", mime_type, size)
            # What it saw of ours.
            assert info.attributes == {**ATTRIBUTES, "seen": f"näme.bin {mime_type} {size}"}

        await local.publish_data(b"", topic="bye")
        await peer.leaves()
    await room.disconnect()
