"""A participant that leaves in the middle of something is gone at once for the others."""

from __future__ import annotations

import asyncio
import contextlib

import greenroom
from livekit import rtc

ROUNDS = 8


async def test_leaving_while_unpublishing_is_seen_by_the_others() -> None:
    async with greenroom.Server() as server:
        witness = rtc.Room()
        left: asyncio.Queue[str] = asyncio.Queue()
        announced: asyncio.Queue[str] = asyncio.Queue()
        witness.on("participant_disconnected", lambda participant: left.put_nowait(participant.identity))
        witness.on("track_published", lambda publication, _: announced.put_nowait(publication.sid))
        await witness.connect(server.url, server.token(room="r", identity="witness"))
        for number in range(ROUNDS):
            leaver = rtc.Room()
            await leaver.connect(server.url, server.token(room="r", identity=f"leaver-{number}"))
            source = rtc.AudioSource(48_000, 1)
            publications = [
                await leaver.local_participant.publish_track(
                    rtc.LocalAudioTrack.create_audio_track(name, source)
                )
                for name in ("one", "two")
            ]
            assert {await announced.get(), await announced.get()} == {p.sid for p in publications}
            # Each makes the server write to this client, which has closed its side by then.
            ending = [
                asyncio.ensure_future(leaver.local_participant.unpublish_track(p.sid)) for p in publications
            ]
            await asyncio.sleep(0)
            await leaver.disconnect()
            for task in ending:
                with contextlib.suppress(Exception):
                    await task
            await source.aclose()
            assert await asyncio.wait_for(left.get(), 5) == f"leaver-{number}"
        await witness.disconnect()
