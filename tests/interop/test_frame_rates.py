"""Frames a second as a subscriber asks for them, of a publisher whose video has temporal layers: the official SDK's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from room_tools import LIMIT_S, Rooms, within

from livekit import rtc

from .peers import official_sdk_python
from .servers import RoomServer

_PROGRAM = Path(__file__).parent / "room_program.py"


@pytest.fixture(params=["livekit", "embedded"])
def server(request: pytest.FixtureRequest) -> RoomServer:
    server: RoomServer = request.getfixturevalue(request.param)
    return server


async def _until_rate(stream: rtc.VideoStream, lowest: float, highest: float) -> None:
    """Return when ten pictures in a row came at such a rate."""
    loop, rates = asyncio.get_running_loop(), []

    async def watch() -> None:
        while True:
            began_s = loop.time()
            for _ in range(10):
                await anext(stream)
            rates.append(round(10 / (loop.time() - began_s), 1))
            if lowest <= rates[-1] <= highest:
                return

    try:
        await asyncio.wait_for(watch(), LIMIT_S)
    except asyncio.TimeoutError:
        raise AssertionError(f"never {lowest} to {highest} pictures a second, but {rates}") from None


async def test_a_lower_frame_rate_is_asked_for_and_the_whole_one_again(
    server: RoomServer, nothing_left: None
) -> None:
    rooms = Rooms(server)
    _, events = await rooms.join("viewer")
    arguments = ("publish", server.url, rooms.token("official"), "VP8", "one", "simulcast")
    process = await asyncio.create_subprocess_exec(
        official_sdk_python(), _PROGRAM, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        track, publication, _ = await events.wait(
            "track_subscribed", lambda track, *_: track.kind == rtc.TrackKind.KIND_VIDEO
        )
        stream = rtc.VideoStream(track, capacity=1)
        for fps, lowest, highest in ((0, 14, 60), (7, 2, 10), (0, 14, 60)):
            publication.set_video_fps(fps)
            await _until_rate(stream, lowest, highest)
        await stream.aclose()
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await within(process.wait())
        await rooms.leave()
