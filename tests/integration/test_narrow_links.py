"""A subscriber of ours whose link becomes narrow, and wide again: the picture becomes smaller and does not stand still."""

from __future__ import annotations

import asyncio

import pytest
from room_tools import Rooms, running, show_noise, wait_for_picture, within
from udp_relay import RELAY_ADDRESS, UdpRelay

import greenroom
from livekit import rtc
from livekit.rtc.room import proto_room

HIGH, LOW = (640, 360), (320, 180)


@pytest.mark.parametrize("single", [True, False])
async def test_the_picture_fits_the_link(nothing_left: None, single: bool) -> None:
    server = greenroom.Server(advertised_addresses=(RELAY_ADDRESS,), tcp_port=None)
    async with server, UdpRelay(server.udp_port) as relay:
        rooms = Rooms(server)
        alice, _ = await rooms.join("alice")
        # Told its addresses, the server would find the way around the relay.
        configuration = rtc.RtcConfiguration(ice_transport_type=proto_room.IceTransportType.TRANSPORT_NOHOST)
        options = rtc.RoomOptions(single_peer_connection=single, rtc_config=configuration)
        _, events = await rooms.join("bob", options)
        source = rtc.VideoSource(*HIGH)
        async with running(show_noise(source, *HIGH)):
            local = rtc.LocalVideoTrack.create_video_track("noise", source)
            publishing = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=True)
            await within(alice.local_participant.publish_track(local, publishing))
            stream = rtc.VideoStream((await events.wait("track_subscribed"))[0])
            for _ in range(60):
                await wait_for_picture(stream, size=HIGH)
            relay.down_bps = 300_000
            await wait_for_picture(stream, size=LOW, limit_s=20)
            assert await longest_pause_s(stream, frames=60) < 1
            relay.down_bps = 0
            await wait_for_picture(stream, size=HIGH, limit_s=20)
            await stream.aclose()
        await source.aclose()
        await rooms.leave()


async def longest_pause_s(stream: rtc.VideoStream, *, frames: int) -> float:
    loop = asyncio.get_running_loop()
    last, longest = loop.time(), 0.0
    for _ in range(frames):
        await within(stream.__anext__())
        longest, last = max(longest, loop.time() - last), loop.time()
    return longest
