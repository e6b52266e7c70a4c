"""Publishing tracks: one or many, again, given up, and waiting for who subscribes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from room_tools import (
    BLUE,
    GREEN,
    RED,
    Ear,
    Rooms,
    camera,
    is_colour,
    microphone,
    play,
    running,
    show,
    wait_for_picture,
    within,
)

from livekit import rtc
from livekit.rtc.participant import PublishTrackError, UnpublishTrackError


async def test_publishing_and_unpublishing_again_and_again(rooms: Rooms) -> None:
    sender, local = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    colours = [RED, GREEN, BLUE, GREEN]
    for count, colour in enumerate(colours, 1):
        async with camera(sender, colour) as (video, _), microphone(sender, 400 * count) as (audio, _):
            shown = (await events.wait("track_subscribed", lambda t, p, w, sid=video.sid: p.sid == sid))[0]
            played = (await events.wait("track_subscribed", lambda t, p, w, sid=audio.sid: p.sid == sid))[0]
            pictures, sounds = rtc.VideoStream(shown), rtc.AudioStream(played)
            await wait_for_picture(pictures, colour)
            await Ear(sounds).wait_for_tone(400 * count)
            for sid in (video.sid, audio.sid):
                await sender.local_participant.unpublish_track(sid)
            await events.wait("track_unpublished", count=2 * count)
            async for _event in pictures:
                pass  # it ends with its track
            async for _event in sounds:
                pass
            await pictures.aclose()
            await sounds.aclose()
    assert len(events.of("track_unsubscribed")) == len(events.of("track_subscribed")) == 2 * len(colours)
    assert viewer.remote_participants["sender"].track_publications == {}
    assert sender.local_participant.track_publications == {}
    assert len(local.of("local_track_unpublished")) == 2 * len(colours)


async def test_the_same_track_can_be_published_again(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("listener")
    async with microphone(sender, 900) as (publication, track):
        first_sid = publication.sid
        await events.wait("track_subscribed")
        with pytest.raises(PublishTrackError, match="already"):
            await sender.local_participant.publish_track(track)
        await sender.local_participant.unpublish_track(first_sid)
        assert publication.track is None
        with pytest.raises(UnpublishTrackError, match=first_sid):
            await sender.local_participant.unpublish_track(first_sid)
        again = await within(sender.local_participant.publish_track(track))
        assert again.sid != first_sid
        stream = rtc.AudioStream((await events.wait("track_subscribed", count=2))[0])
        await Ear(stream).wait_for_tone(900)
        await stream.aclose()


async def test_wait_for_subscription(rooms: Rooms) -> None:
    talker, events = await rooms.join("talker")
    async with microphone(talker) as (publication, track):
        waiting = asyncio.ensure_future(publication.wait_for_subscription())
        await rooms.join("listener")
        await within(waiting)
        assert await events.wait("local_track_subscribed") == (track,)
        await within(publication.wait_for_subscription())
        await rooms.join("second")
        assert len(events.of("local_track_subscribed")) == 1


async def test_two_publish_to_two(rooms: Rooms) -> None:
    tones, colours = {"a": 500, "b": 900}, {"a": RED, "b": BLUE}
    senders = {name: (await rooms.join(name))[0] for name in tones}
    viewers = [(await rooms.join(name))[1] for name in ("v", "w")]
    async with (
        microphone(senders["a"], tones["a"]), camera(senders["a"], colours["a"]),
        microphone(senders["b"], tones["b"]), camera(senders["b"], colours["b"]),
    ):  # fmt: skip
        for events in (*viewers,):
            await events.wait("track_subscribed", count=4)
            for track, _publication, who in events.of("track_subscribed"):
                if track.kind == rtc.TrackKind.KIND_AUDIO:
                    sound = rtc.AudioStream(track)
                    await Ear(sound).wait_for_tone(tones[who.identity])
                    await sound.aclose()
                else:
                    pictures = rtc.VideoStream(track)
                    frame = await wait_for_picture(pictures, colours[who.identity])
                    assert is_colour(frame, colours[who.identity])
                    await pictures.aclose()


async def test_many_tracks_at_once(rooms: Rooms) -> None:
    sender, own = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    sources = [rtc.AudioSource(48_000, 1, 100) for _ in range(4)]
    pictures = [rtc.VideoSource(160, 120) for _ in range(2)]
    tracks: list[Any] = [rtc.LocalAudioTrack.create_audio_track(f"a{n}", s) for n, s in enumerate(sources)]
    tracks += [rtc.LocalVideoTrack.create_video_track(f"v{n}", s) for n, s in enumerate(pictures)]

    async with contextlib.AsyncExitStack() as stack:
        for number, source in enumerate(sources):
            await stack.enter_async_context(running(play(source, 400 + 200 * number)))
        for source, colour in zip(pictures, (RED, BLUE), strict=True):
            await stack.enter_async_context(running(show(source, 160, 120, colour)))
        published = await within(asyncio.gather(*(sender.local_participant.publish_track(t) for t in tracks)))
        await events.wait("track_subscribed", count=6)
        by_name = {args[1].name: args[0] for args in events.of("track_subscribed")}
        for number in range(4):
            stream = rtc.AudioStream(by_name[f"a{number}"])
            await Ear(stream).wait_for_tone(400 + 200 * number)
            await stream.aclose()
        for number, colour in enumerate((RED, BLUE)):
            shown = rtc.VideoStream(by_name[f"v{number}"])
            await wait_for_picture(shown, colour)
            await shown.aclose()
        await within(asyncio.gather(*(sender.local_participant.unpublish_track(p.sid) for p in published)))
        await events.wait("track_unpublished", count=6)
    assert viewer.remote_participants["sender"].track_publications == {}
    assert len(own.of("local_track_published")) == len(own.of("local_track_unpublished")) == 6
    for source in (*sources, *pictures):
        await source.aclose()


async def test_publishing_can_be_cancelled_and_tried_again(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    source = rtc.AudioSource(48_000, 1, 100)
    track = rtc.LocalAudioTrack.create_audio_track("tone", source)
    async with running(play(source, 800)):
        for turns in (1, 2, 3, 5, 8, 12):
            publishing = asyncio.ensure_future(sender.local_participant.publish_track(track))
            for _ in range(turns):
                await asyncio.sleep(0)
            publishing.cancel()
            await asyncio.wait([publishing])
            assert publishing.cancelled()
            assert sender.local_participant.track_publications == {}
        publication = await within(sender.local_participant.publish_track(track))
        await events.wait("track_subscribed", lambda t, p, w: p.sid == publication.sid)
        subscribed = [args[0] for args in events.of("track_subscribed") if args[1].sid == publication.sid]
        stream = rtc.AudioStream(subscribed[0])
        await Ear(stream).wait_for_tone(800)
        await stream.aclose()
        there = viewer.remote_participants["sender"].track_publications
        await events.until(
            lambda: set(there) == {publication.sid}, "only the publication that was not cancelled"
        )
    await source.aclose()


async def test_waiting_for_a_subscriber_ends_with_the_track_or_the_room(rooms: Rooms) -> None:
    talker, _ = await rooms.join("talker")
    async with microphone(talker) as (publication, track):
        waiting = asyncio.ensure_future(publication.wait_for_subscription())
        await asyncio.sleep(0)
        await talker.local_participant.unpublish_track(publication.sid)
        with pytest.raises(ConnectionError, match="unpublished"):
            await within(waiting)
        again = await within(talker.local_participant.publish_track(track))
        waiting = asyncio.ensure_future(again.wait_for_subscription())
        await asyncio.sleep(0)
        await talker.disconnect()
        with pytest.raises(ConnectionError, match="ended"):
            await within(waiting)
