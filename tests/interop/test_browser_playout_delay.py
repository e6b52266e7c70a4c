"""Rooms with a playout delay: Chromium holds video back for as long as the room asks, on both servers."""

from __future__ import annotations

from typing import Any

import pytest

from livekit import api

from .browser.rooms import SINGLE, TWO, BrowserRooms, OpenPage, card
from .servers import API_KEY, API_SECRET

DELAY_MS = 600


@pytest.mark.parametrize("mode", [TWO, SINGLE], ids=["two", "single"])
@pytest.mark.parametrize("name", ["livekit", "embedded"])
async def test_a_browser_holds_video_back(
    name: str, mode: dict[str, Any], open_page: OpenPage, request: pytest.FixtureRequest
) -> None:
    for delay_ms in (0, DELAY_MS):
        rooms = BrowserRooms(request.getfixturevalue(name), open_page)
        async with api.LiveKitAPI(rooms.server.url, API_KEY, API_SECRET) as client:
            room = api.CreateRoomRequest(
                name=rooms.name, min_playout_delay=delay_ms, max_playout_delay=delay_ms and 2000
            )
            await client.room.create_room(room)
        alice, _ = await rooms.join("alice")
        page = await rooms.browse("browser", **mode)
        async with card(alice):
            await page.call("see", "alice", "camera", {"frames": 40})
            received = await page.call("receives", "alice", "camera", 2000)
        buffered_ms = received["buffered_s"] * 1000
        if delay_ms:
            assert DELAY_MS * 0.8 < buffered_ms < 2000
        else:
            assert buffered_ms < DELAY_MS * 0.5
        await rooms.leave()
