"""A subscriber of ours whose link becomes narrow, and wide again: the picture becomes smaller and does not stand still."""

from __future__ import annotations

import pytest
from room_tools import Rooms, noise, wait_for_picture, watch
from udp_relay import server_behind_relay

from livekit import rtc

HIGH, LOW = (640, 360), (320, 180)


@pytest.mark.parametrize("single", [True, False])
async def test_the_picture_fits_the_link(nothing_left: None, single: bool) -> None:
    async with server_behind_relay() as (server, relay):
        rooms = Rooms(server)
        alice, _ = await rooms.join("alice")
        _, events = await rooms.join("bob", rtc.RoomOptions(single_peer_connection=single))
        async with noise(alice, HIGH):
            stream = rtc.VideoStream((await events.wait("track_subscribed"))[0])
            for _ in range(60):
                await wait_for_picture(stream, size=HIGH)
            relay.down_bps = 300_000
            await wait_for_picture(stream, size=LOW, limit_s=20)
            _, longest_pause_s = await watch(stream, 4)
            assert longest_pause_s < 1
            relay.down_bps = 0
            await wait_for_picture(stream, size=HIGH, limit_s=20)
            await stream.aclose()
        await rooms.leave()
