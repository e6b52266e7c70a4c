"""What a token's grants allow and hide."""

from __future__ import annotations

import pytest
from room_tools import Ear, Rooms, microphone, within

from livekit import rtc
from livekit.rtc.participant import PublishDataError, PublishTrackError

CAMERA = rtc.TrackSource.SOURCE_CAMERA


async def test_publishing_without_permission_says_so(rooms: Rooms) -> None:
    room, _ = await rooms.join("mute", can_publish=False)
    source = rtc.AudioSource(48_000, 1)
    track = rtc.LocalAudioTrack.create_audio_track("no", source)
    with pytest.raises(PublishTrackError, match="canPublish"):
        await within(room.local_participant.publish_track(track))
    assert room.local_participant.track_publications == {}
    assert not room.local_participant.permissions.can_publish
    assert room.isconnected()
    await source.aclose()


async def test_only_granted_sources_may_be_published(rooms: Rooms) -> None:
    room, _ = await rooms.join("voice", can_publish_sources=["microphone"])
    picture = rtc.VideoSource(320, 240)
    with pytest.raises(PublishTrackError, match="source"):
        await within(
            room.local_participant.publish_track(
                rtc.LocalVideoTrack.create_video_track("no", picture), rtc.TrackPublishOptions(source=CAMERA)
            )
        )
    await picture.aclose()
    _, events = await rooms.join("listener")
    async with microphone(room):
        stream = rtc.AudioStream((await events.wait("track_subscribed"))[0])
        await Ear(stream).wait_for_tone(1000)
        await stream.aclose()


async def test_without_can_subscribe_nothing_arrives(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, allowed = await rooms.join("allowed")
    _, refused = await rooms.join("refused", can_subscribe=False)
    async with microphone(sender):
        await allowed.wait("track_subscribed")
        await within(sender.local_participant.publish_data(b"after"))
        await allowed.wait("data_received")
        assert refused.of("track_subscribed") == []


async def test_data_of_someone_not_allowed_to_send_reaches_nobody(rooms: Rooms) -> None:
    refused, _ = await rooms.join("refused", can_publish_data=False)
    allowed, _ = await rooms.join("allowed")
    _, events = await rooms.join("receiver")
    with pytest.raises(PublishDataError, match="canPublishData"):
        await within(refused.local_participant.publish_data(b"no"))
    await within(allowed.local_participant.publish_data(b"yes"))
    await events.wait("data_received")
    assert [args[0].data for args in events.of("data_received")] == [b"yes"]


async def test_a_hidden_participant_is_seen_by_nobody_and_sees_all(rooms: Rooms) -> None:
    sender, events = await rooms.join("sender")
    hidden, hidden_events = await rooms.join("hidden", hidden=True)
    await rooms.join("visible")
    await events.wait("participant_connected")
    assert [args[0].identity for args in events.of("participant_connected")] == ["visible"]
    assert set(hidden.remote_participants) == {"sender", "visible"} or await hidden_events.wait(
        "participant_connected"
    )
    async with microphone(sender):
        stream = rtc.AudioStream((await hidden_events.wait("track_subscribed"))[0])
        await Ear(stream).wait_for_tone(1000)
        await stream.aclose()
    assert set(sender.remote_participants) == {"visible"}
