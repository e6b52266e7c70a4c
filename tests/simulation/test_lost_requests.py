"""What was said into a signal connection that was dead already is said again after the resume."""

from __future__ import annotations

import asyncio

import greenroom.testing
from livekit import rtc


@greenroom.testing.simulated(seed=1)
async def test_a_mute_that_was_lost_with_its_connection_arrives_after_the_resume(
    simulation: greenroom.testing.Simulation,
) -> None:
    async with simulation.server() as server:
        room, laptop = rtc.Room(), simulation.host("laptop")
        reconnected = asyncio.Event()
        room.on("reconnected", reconnected.set)
        with laptop:
            await room.connect(server.url, server.token("lobby", "anna"))
        track = rtc.LocalVideoTrack.create_video_track("cam", rtc.VideoSource(64, 64))
        publication = await room.local_participant.publish_track(track)
        laptop.set_link("up", blackhole=True)
        track.mute()
        await asyncio.sleep(1)
        laptop.cut_streams()
        laptop.heal()
        await reconnected.wait()
        await asyncio.sleep(1)
        participant = server.server.rooms.get("lobby").participant("anna")  # type: ignore[union-attr]
        assert participant is not None
        assert participant.publications[publication.sid].info.muted
        await room.disconnect()
