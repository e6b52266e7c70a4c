"""Sound as it is heard: tones, sides, mutes, speakers and what statistics tell of it."""

from __future__ import annotations

import numpy as np
import pytest
from room_tools import Ear, Rooms, microphone, running, within

from livekit import rtc


@pytest.mark.parametrize(
    ("rate", "channels", "stream_rate"),
    [(8000, 1, 48_000), (16_000, 1, 16_000), (44_100, 1, 24_000), (48_000, 1, 44_100), (48_000, 2, 48_000)],
)
async def test_the_tone_arrives(rooms: Rooms, rate: int, channels: int, stream_rate: int) -> None:
    talker, _ = await rooms.join("talker")
    _, events = await rooms.join("listener")
    async with microphone(talker, 700, rate, channels):
        track = (await events.wait("track_subscribed"))[0]
        stream = rtc.AudioStream(track, sample_rate=stream_rate, num_channels=channels)
        await Ear(stream, stream_rate, channels).wait_for_tone(700)
        await stream.aclose()


async def test_muting_sound_is_silence_and_unmuting_brings_it_back(rooms: Rooms) -> None:
    talker, _ = await rooms.join("talker")
    listener, events = await rooms.join("listener")
    async with microphone(talker) as (publication, track):
        heard = rtc.AudioStream((await events.wait("track_subscribed"))[0])
        ear = Ear(heard)
        for count in (1, 2):
            await ear.wait_for_tone(1000)
            track.mute()
            assert publication.muted
            participant, theirs = await events.wait("track_muted", count=count)
            assert (participant.identity, theirs.sid, theirs.muted) == ("talker", publication.sid, True)
            await ear.wait_for_silence()
            track.unmute()
            await events.wait("track_unmuted", count=count)
        await ear.wait_for_tone(1000)
        await heard.aclose()
    assert listener.isconnected()


async def test_a_track_published_muted_is_muted_for_everyone(rooms: Rooms) -> None:
    talker, _ = await rooms.join("talker")
    _, events = await rooms.join("listener")
    source = rtc.AudioSource(48_000, 1)
    track = rtc.LocalAudioTrack.create_audio_track("quiet", source)
    track.mute()
    published = await within(talker.local_participant.publish_track(track))
    publication, _who = await events.wait("track_published")
    await events.until(lambda: publication.muted, "muted publication")
    assert published.muted
    track.unmute()
    await events.wait("track_unmuted")
    await source.aclose()


async def test_speakers_are_told(rooms: Rooms) -> None:
    talker, own = await rooms.join("talker")
    listener, events = await rooms.join("listener")
    async with microphone(talker) as (_, track):
        speakers = (
            await events.wait("active_speakers_changed", lambda who: [p.identity for p in who] == ["talker"])
        )[0]
        assert speakers[0] is listener.remote_participants["talker"]
        assert speakers[0].is_speaking
        assert 0.1 < speakers[0].audio_level <= 1
        await own.wait("active_speakers_changed", lambda who: [p.identity for p in who] == ["talker"])
        assert talker.local_participant.is_speaking
        track.mute()
        await events.until(
            lambda: not speakers[0].is_speaking and speakers[0].audio_level == 0, "the end of the speech"
        )
        assert events.of("active_speakers_changed")[-1] == ([],)


async def test_muting_quickly_ends_where_it_should(rooms: Rooms) -> None:
    talker, _ = await rooms.join("talker")
    _, events = await rooms.join("listener")
    async with microphone(talker) as (_, track):
        theirs = (await events.wait("track_subscribed"))[1]
        stream = rtc.AudioStream(theirs.track)
        ear = Ear(stream)
        await ear.wait_for_tone(1000)
        for _ in range(5):
            track.mute()
            track.unmute()
        await ear.wait_for_tone(1000)
        for _ in range(5):
            track.mute()
            track.unmute()
        track.mute()
        await within(talker.local_participant.publish_data(b"muted"))
        await ear.wait_for_silence()
        await events.until(lambda: theirs.muted, "muted")
        await stream.aclose()


async def test_stereo_keeps_its_sides(rooms: Rooms) -> None:
    talker, _ = await rooms.join("talker")
    _, events = await rooms.join("listener")
    source = rtc.AudioSource(48_000, 2, 100)

    async def two_tones() -> None:
        position = 0
        while True:
            at = (np.arange(480) + position) * (2 * np.pi / 48_000)
            sides = np.stack([np.sin(at * 500), np.sin(at * 1300)], axis=1) * 10_000
            await source.capture_frame(rtc.AudioFrame(sides.astype(np.int16).tobytes(), 48_000, 2, 480))
            position += 480

    async with running(two_tones()):
        await within(
            talker.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("wide", source))
        )
        stream = rtc.AudioStream((await events.wait("track_subscribed"))[0], num_channels=2)
        ear = Ear(stream, channels=2)
        await ear.wait_for_tones(500, 1300)
        await stream.aclose()
    await source.aclose()


@pytest.mark.parametrize("single", [True, False], ids=["one-connection", "two-connections"])
async def test_statistics_of_what_is_sent_and_received(rooms: Rooms, single: bool) -> None:
    sender, _ = await rooms.join("sender")
    viewer, events = await rooms.join("viewer", rtc.RoomOptions(single_peer_connection=single))
    async with microphone(sender) as (_, track):
        theirs = (await events.wait("track_subscribed"))[0]
        stream = rtc.AudioStream(theirs)
        await Ear(stream).wait_for_tone(1000)
        while not any(s.outbound_rtp.sent.packets_sent > 0 for s in await track.get_stats()):
            await within(stream.__anext__())  # packets are counted once a second
        received = await theirs.get_stats()
        assert any(s.inbound_rtp.inbound.total_samples_received > 0 for s in received)
        whole = await viewer.get_rtc_stats()
        # The reference tells of an only connection as the publisher's.
        received, other = (
            (whole.publisher_stats, whole.subscriber_stats)
            if single
            else (whole.subscriber_stats, whole.publisher_stats)
        )
        assert any(s.HasField("inbound_rtp") for s in received)
        assert bool(other) is not single
        await stream.aclose()
