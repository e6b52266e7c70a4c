"""A track in a codec that our SDK can't receive: the application is told, and never given a track without pictures."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from room_tools import Rooms, camera, within

from livekit import rtc

from .peers import official_sdk_python
from .servers import RoomServer

_PROGRAM = Path(__file__).parent / "room_program.py"


@pytest.fixture(params=["livekit", "embedded"])
def server(request: pytest.FixtureRequest) -> RoomServer:
    server: RoomServer = request.getfixturevalue(request.param)
    return server


@pytest.mark.parametrize("single", [True, False], ids=["one", "two"])
async def test_a_codec_that_is_not_ours_is_told_as_a_failure(
    server: RoomServer, nothing_left: None, single: bool
) -> None:
    rooms = Rooms(server)
    room, events = await rooms.join("us", rtc.RoomOptions(single_peer_connection=single))
    command = (
        official_sdk_python(),
        _PROGRAM,
        "publish",
        rooms.server.url,
        rooms.token("official"),
        "VP9",
        "one",
    )
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        who, sid, error = await events.wait("track_subscription_failed")
        publication = who.track_publications[sid]
        assert (who.identity, publication.mime_type.lower(), error) == (
            "official",
            "video/vp9",
            "SE_CODEC_UNSUPPORTED",
        )
        assert not publication.subscribed
        await events.wait("track_subscribed", lambda track, *_: track.kind == rtc.TrackKind.KIND_AUDIO)
        other, _ = await rooms.join("other")
        async with camera(other):  # whatever was under way for the other picture has come before this one
            await events.wait("track_subscribed", lambda track, *_: track.kind == rtc.TrackKind.KIND_VIDEO)
            assert [who.identity for _, p, who in events.of("track_subscribed") if p.sid == sid] == []
        assert room.isconnected()
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await within(process.wait())
        await rooms.leave()
