"""What must hold in a room on any server: imported by a test module that has a `server` fixture."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from room_tools import (
    BLUE,
    GREEN,
    RED,
    Ear,
    Events,
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
from livekit.rtc.participant import PublishDataError, PublishTrackError, UnpublishTrackError

MICROPHONE, CAMERA = rtc.TrackSource.SOURCE_MICROPHONE, rtc.TrackSource.SOURCE_CAMERA


@pytest.fixture
async def rooms(server: Any, nothing_left: None) -> AsyncIterator[Rooms]:
    rooms = Rooms(server)
    yield rooms
    await rooms.leave()


# ---- events ----


async def test_events_of_a_visit_come_in_order(rooms: Rooms) -> None:
    watcher, events = await rooms.join("watcher")
    visitor, visited = await rooms.join("visitor")
    async with microphone(visitor) as (publication, track):
        await events.wait("track_subscribed")
        track.mute()
        await events.wait("track_muted")
        track.unmute()
        await events.wait("track_unmuted")
        await visitor.local_participant.unpublish_track(publication.sid)
        await events.wait("track_unpublished")
    await visitor.disconnect()
    await events.wait("participant_disconnected")
    core = (
        "connection_state_changed", "connected", "participant_connected", "participant_disconnected",
        "track_published", "track_subscribed", "track_muted", "track_unmuted", "track_unsubscribed",
        "track_unpublished", "disconnected",
    )  # fmt: skip
    assert events.names(*core) == [
        "connection_state_changed", "connected", "participant_connected", "track_published",
        "track_subscribed", "track_muted", "track_unmuted", "track_unsubscribed", "track_unpublished",
        "participant_disconnected",
    ]  # fmt: skip
    local = (
        "local_track_published",
        "local_track_subscribed",
        "local_track_unpublished",
        "track_muted",
        "track_unmuted",
    )
    assert [name for name in visited.names(*local) if name != "local_track_subscribed"] == [
        "local_track_published", "track_muted", "track_unmuted", "local_track_unpublished",
    ]  # fmt: skip
    assert watcher.remote_participants == {}
    assert visited.names("connection_state_changed", "disconnected")[-2:] == [
        "connection_state_changed",
        "disconnected",
    ]


async def test_state_is_changed_before_the_handler_runs(rooms: Rooms) -> None:
    watcher, events = await rooms.join("watcher")
    seen: dict[str, Any] = {}

    def subscribed(
        track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        known = watcher.remote_participants[who.identity].track_publications[publication.sid]
        seen["subscribed"] = (known.track is track, known.subscribed, track.sid == publication.sid)

    def unsubscribed(track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, who: object) -> None:
        seen["unsubscribed"] = (
            publication.track,
            publication.subscribed,
            isinstance(track, rtc.RemoteAudioTrack),
        )

    def muted(_who: rtc.Participant, publication: rtc.TrackPublication) -> None:
        seen["muted"] = (publication.muted, publication.track.muted)

    def unpublished(publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        seen["unpublished"] = publication.sid in who.track_publications

    def left(who: rtc.RemoteParticipant) -> None:
        seen["left"] = (who.identity in watcher.remote_participants, watcher.isconnected())

    for name, handler in {
        "track_subscribed": subscribed, "track_unsubscribed": unsubscribed, "track_muted": muted,
        "track_unpublished": unpublished, "participant_disconnected": left,
    }.items():  # fmt: skip
        watcher.on(name, handler)  # type: ignore[arg-type]
    visitor, _ = await rooms.join("visitor")
    async with microphone(visitor) as (publication, track):
        await events.wait("track_subscribed")
        track.mute()
        await events.wait("track_muted")
        await visitor.local_participant.unpublish_track(publication.sid)
        await events.wait("track_unpublished")
    await visitor.disconnect()
    await events.wait("participant_disconnected")
    assert seen == {
        "subscribed": (True, True, True),
        "muted": (True, True),
        "unsubscribed": (None, False, True),
        "unpublished": False,
        "left": (False, True),
    }


async def test_what_exists_at_join_is_there_when_connect_returns(rooms: Rooms) -> None:
    first, _ = await rooms.join("first")
    _, witness = await rooms.join("witness")
    async with microphone(first) as (audio, _), camera(first) as (video, _):
        await witness.wait("track_subscribed", count=2)
        second = rtc.Room()
        events = Events(second)
        await second.connect(rooms.server.url, rooms.token("second"))
        try:
            there = second.remote_participants["first"]
            assert set(there.track_publications) == {audio.sid, video.sid}
            assert there.track_publications[video.sid].source == CAMERA
            assert there.track_publications[video.sid].mime_type.lower() == "video/vp8"
            assert events.names("participant_connected", "track_published", "track_subscribed") == []
            assert second.isconnected()
            assert second.connection_state == rtc.ConnectionState.CONN_CONNECTED
            assert await within(second.sid) == await within(first.sid)
            assert second.name == rooms.name
            await events.wait("track_subscribed", count=2)
            assert "participant_connected" not in events.names()
            assert "track_published" not in events.names()
        finally:
            await second.disconnect()


async def test_disconnected_comes_once_with_the_reason(rooms: Rooms) -> None:
    room, events = await rooms.join("one")
    await asyncio.gather(room.disconnect(), room.disconnect())
    await room.disconnect()
    assert events.of("disconnected") == [(rtc.DisconnectReason.CLIENT_INITIATED,)]
    assert events.of("connection_state_changed")[-1] == (rtc.ConnectionState.CONN_DISCONNECTED,)
    assert not room.isconnected()


async def test_a_room_can_be_joined_again(rooms: Rooms) -> None:
    room, events = await rooms.join("again")
    await room.disconnect()
    await within(room.connect(rooms.server.url, rooms.token("again")))
    await events.wait("connected", count=2)
    other, other_events = await rooms.join("other")
    await within(room.local_participant.publish_data(b"back"))
    await other_events.wait("data_received", lambda packet: packet.data == b"back")
    await room.disconnect()
    assert len(events.of("disconnected")) == 2
    assert other.isconnected()


async def test_the_same_identity_again_puts_the_first_out(rooms: Rooms) -> None:
    watcher, watched = await rooms.join("watcher")
    first, events = await rooms.join("twin")
    sid = first.local_participant.sid
    await watched.wait("participant_connected")
    second, _ = await rooms.join("twin")
    assert await events.wait("disconnected") == (rtc.DisconnectReason.DUPLICATE_IDENTITY,)
    assert not first.isconnected()
    await watched.wait("participant_connected", count=2)
    assert watched.names("participant_connected", "participant_disconnected") == [
        "participant_connected", "participant_disconnected", "participant_connected",
    ]  # fmt: skip
    assert watcher.remote_participants["twin"].sid == second.local_participant.sid != sid
    assert len(events.of("disconnected")) == 1


async def test_a_failing_handler_is_logged_and_stops_nothing(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    room, _ = await rooms.join("one")

    def fails(_who: object) -> None:
        raise RuntimeError("broken handler")

    later: list[str] = []
    room.on("participant_connected", fails)
    room.on("participant_connected", lambda who: later.append(who.identity))
    with caplog.at_level(logging.ERROR):
        _, two_events = await rooms.join("two")
        await rooms.join("three")
        await two_events.wait("participant_connected")
        await within(room.local_participant.publish_data(b"alive"))
        await two_events.wait("data_received")
    # livekit-server may tell of both at once, in any order.
    assert sorted(later) == ["three", "two"]
    assert "participant_connected" in caplog.text
    assert "broken handler" in caplog.text


async def test_a_coroutine_handler_is_refused(rooms: Rooms) -> None:
    room, _ = await rooms.join("one")

    async def handler() -> None: ...

    with pytest.raises(ValueError, match="coroutine"):
        room.on("connected", handler)
    with pytest.raises(ValueError, match="coroutine"):
        room.on("connected")(handler)


# ---- audio ----


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


# ---- video ----


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_the_picture_arrives(rooms: Rooms, codec: str) -> None:
    _, events = await rooms.join("viewer")
    sender, _ = await rooms.join("sender")
    async with camera(sender, BLUE, (480, 270), codec):
        track, publication, _who = await events.wait("track_subscribed")
        assert publication.mime_type.lower() == f"video/{codec.lower()}"
        assert (publication.width, publication.height) == (480, 270)
        stream = rtc.VideoStream(track)
        await wait_for_picture(stream, BLUE, (480, 270))
        await stream.aclose()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_muting_a_picture_stops_it_and_unmuting_resumes_it(rooms: Rooms, codec: str) -> None:
    _, events = await rooms.join("viewer")
    sender, _ = await rooms.join("sender")
    async with camera(sender, GREEN, codec=codec) as (_, track):
        stream = rtc.VideoStream((await events.wait("track_subscribed"))[0])
        await wait_for_picture(stream, GREEN, (320, 240))
        for count in (1, 2):
            track.mute()
            await events.wait("track_muted", count=count)
            track.unmute()
            await events.wait("track_unmuted", count=count)
            await wait_for_picture(stream, GREEN, (320, 240))
        await stream.aclose()


async def test_a_late_joiner_gets_the_picture(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    early, early_events = await rooms.join("early")
    async with camera(sender, RED):
        first = rtc.VideoStream((await early_events.wait("track_subscribed"))[0])
        await wait_for_picture(first, RED)
        for number in range(3):
            _, events = await rooms.join(f"late-{number}")
            stream = rtc.VideoStream((await events.wait("track_subscribed"))[0])
            await wait_for_picture(stream, RED, limit_s=6)
            await stream.aclose()
        await first.aclose()
    assert early.isconnected()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_layers_of_simulcast_can_be_chosen(rooms: Rooms, codec: str) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer")
    async with camera(sender, RED, (1280, 720), codec, simulcast=True):
        track, publication, _who = await events.wait("track_subscribed")
        assert publication.simulcasted
        stream = rtc.VideoStream(track)
        await wait_for_picture(stream, RED, (1280, 720))
        for quality, size in (
            (rtc.VideoQuality.VIDEO_QUALITY_LOW, (320, 180)),
            (rtc.VideoQuality.VIDEO_QUALITY_HIGH, (1280, 720)),
        ):
            publication.set_video_quality(quality)
            await wait_for_picture(stream, RED, size)
        await stream.aclose()


# ---- publishing and subscribing ----


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


async def test_unsubscribing_ends_the_stream_and_subscribing_starts_a_new_one(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer")
    async with camera(sender, RED):
        for count in (1, 2, 3):
            track, publication, _who = await events.wait("track_subscribed", count=count)
            stream = rtc.VideoStream(track)
            await wait_for_picture(stream, RED)
            publication.set_subscribed(False)
            await events.wait("track_unsubscribed", count=count)
            assert publication.track is None
            async for _event in stream:
                pass
            await stream.aclose()
            publication.set_subscribed(True)
        await events.wait("track_subscribed", count=4)
    assert "track_unpublished" not in events.names()[: events.names().index("track_subscribed")]


async def test_without_auto_subscribe_nothing_comes_until_asked_for(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer", rtc.RoomOptions(auto_subscribe=False))
    async with camera(sender, RED) as (video, _), microphone(sender) as (audio, _):
        await events.wait("track_published", count=2)
        wanted = (await events.wait("track_published", lambda p, w: p.sid == video.sid))[0]
        assert not wanted.subscribed
        assert wanted.track is None
        wanted.set_subscribed(True)
        track, publication, _who = await events.wait("track_subscribed")
        assert publication is wanted
        stream = rtc.VideoStream(track)
        await wait_for_picture(stream, RED)
        await stream.aclose()
        assert [args[1].sid for args in events.of("track_subscribed")] == [video.sid]
        assert audio.sid != video.sid


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


async def test_a_stream_follows_a_participant(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    stream = rtc.AudioStream.from_participant(
        participant=viewer.remote_participants["sender"], track_source=MICROPHONE
    )
    ear = Ear(stream)
    for count, hz in enumerate((600, 1100), 1):
        async with microphone(sender, hz) as (publication, _):
            await ear.wait_for_tone(hz)
            await sender.local_participant.unpublish_track(publication.sid)
            await events.wait("track_unpublished", count=count)
    await sender.disconnect()

    async def drain() -> None:
        async for _event in stream:
            pass

    await within(drain())
    await stream.aclose()


@pytest.mark.parametrize("has_track", [False, True])
async def test_a_stream_that_follows_a_participant_ends_with_the_room(rooms: Rooms, has_track: bool) -> None:
    sender, _ = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    stream = rtc.VideoStream.from_participant(
        participant=viewer.remote_participants["sender"], track_source=CAMERA
    )

    async def drain() -> None:
        async for _event in stream:
            pass

    reading = asyncio.ensure_future(drain())
    await asyncio.sleep(0)
    if has_track:
        async with camera(sender):
            await events.wait("track_subscribed")
            await viewer.disconnect()
    else:
        await viewer.disconnect()
    await within(reading)
    await stream.aclose()


# ---- data ----


async def test_data_keeps_order_topic_kind_and_sender(rooms: Rooms) -> None:
    sender, own = await rooms.join("sender")
    receiver, events = await rooms.join("receiver")
    for number in range(200):
        await within(sender.local_participant.publish_data(f"{number}", topic="numbers"))
    await events.wait("data_received", count=200)
    packets = [args[0] for args in events.of("data_received")]
    assert [p.data for p in packets] == [f"{n}".encode() for n in range(200)]
    assert {p.topic for p in packets} == {"numbers"}
    assert {p.kind for p in packets} == {rtc.DataPacketKind.KIND_RELIABLE}
    assert {p.participant for p in packets} == {receiver.remote_participants["sender"]}
    assert own.of("data_received") == []


async def test_lossy_data_and_an_empty_payload(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("receiver")

    async def repeat() -> None:
        while True:
            await sender.local_participant.publish_data(b"", reliable=False)
            await asyncio.sleep(0.02)

    task = asyncio.ensure_future(repeat())
    packet = (await events.wait("data_received"))[0]
    task.cancel()
    await asyncio.wait([task])
    assert (packet.data, packet.kind) == (b"", rtc.DataPacketKind.KIND_LOSSY)


async def test_the_latest_lossy_packets_win_and_the_others_are_counted(rooms: Rooms) -> None:
    sender, own = await rooms.join("sender")
    _, events = await rooms.join("receiver")
    await own.wait("participant_active")
    local = sender.local_participant
    for number in range(400):
        await local.publish_data(number.to_bytes(2, "big") + bytes(50_000), reliable=False)
    dropped = local.dropped_lossy_packets
    assert dropped > 0

    async def repeat() -> None:
        while True:
            await asyncio.sleep(0.02)
            await local.publish_data(b"last", reliable=False)

    async with running(repeat()):
        await events.wait("data_received", lambda packet: packet.data == b"last")
    packets = [packet.data for (packet,) in events.of("data_received")]
    numbers = [int.from_bytes(data[:2], "big") for data in packets if data != b"last"]
    assert numbers == sorted(numbers)
    assert len(numbers) <= 400 - dropped
    assert numbers[-1] > 300


async def test_data_reaches_only_its_destinations(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, one = await rooms.join("one")
    _, two = await rooms.join("two")
    _, three = await rooms.join("three")
    publish = sender.local_participant.publish_data
    await within(publish(b"for two and three", destination_identities=["two", "three", "nobody"]))
    await within(publish(b"for all"))
    for events, expected in ((one, [b"for all"]), (two, [b"for two and three", b"for all"]), (three, None)):
        await events.wait("data_received", lambda p: p.data == b"for all")
        if expected is not None:
            assert [args[0].data for args in events.of("data_received")] == expected
    assert len(three.of("data_received")) == 2


async def test_the_largest_packet_passes_and_a_larger_one_is_refused(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("receiver")
    with pytest.raises(PublishDataError, match="70"):
        await within(sender.local_participant.publish_data(bytes(70_000)))
    largest = bytes(range(256)) * 234  # 59,904 bytes
    await within(sender.local_participant.publish_data(largest))
    assert (await events.wait("data_received"))[0].data == largest


async def test_data_flows_both_ways_at_once(rooms: Rooms) -> None:
    a, a_events = await rooms.join("a")
    b, b_events = await rooms.join("b")

    async def send(room: rtc.Room, mark: bytes) -> None:
        for number in range(50):
            await room.local_participant.publish_data(mark + b"%d" % number * 200)

    await within(asyncio.gather(send(a, b"a"), send(b, b"b")))
    await a_events.wait("data_received", count=50)
    await b_events.wait("data_received", count=50)
    assert [args[0].data for args in b_events.of("data_received")] == [
        b"a" + b"%d" % n * 200 for n in range(50)
    ]


async def test_what_was_sent_before_leaving_arrives(rooms: Rooms) -> None:
    sizes = {"small": 10, "large": 20_000}
    senders = {name: (await rooms.join(name))[0] for name in sizes}
    _, events = await rooms.join("receiver")
    for visit, (name, size) in enumerate(sizes.items(), 1):
        for number in range(20):
            await within(senders[name].local_participant.publish_data(bytes([number]) * size))
        await senders[name].disconnect()
        await events.wait("participant_disconnected", count=visit)
    received = [args[0].data for args in events.of("data_received")]
    assert [data[0] for data in received] == [*range(20), *range(20)]
    assert [len(data) for data in received] == [10] * 20 + [20_000] * 20


# ---- permissions ----


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


# ---- corners ----


async def test_changing_ones_mind_quickly_ends_where_it_should(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer")
    async with camera(sender, GREEN):
        publication = (await events.wait("track_subscribed"))[1]
        for wanted in (False, True, False, True, False, True):
            publication.set_subscribed(wanted)
            await asyncio.sleep(0)
        await events.until(lambda: publication.track is not None, "a track")
        # A subscription that is still being undone must not be what the picture is judged on.
        publication.set_subscribed(False)
        await events.until(lambda: publication.track is None, "no track")
        publication.set_subscribed(True)
        await events.until(lambda: publication.track is not None, "a track")
        stream = rtc.VideoStream(publication.track)
        await wait_for_picture(stream, GREEN)
        await stream.aclose()


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


async def test_pictures_may_change_their_size(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("viewer")
    source = rtc.VideoSource(320, 240)
    options = rtc.TrackPublishOptions(source=CAMERA, simulcast=False)
    await within(
        sender.local_participant.publish_track(
            rtc.LocalVideoTrack.create_video_track("card", source), options
        )
    )
    stream = None
    for size, colour in (((320, 240), RED), ((240, 320), BLUE), ((401, 301), GREEN), ((160, 90), RED)):
        async with running(show(source, *size, colour)):
            if stream is None:
                stream = rtc.VideoStream((await events.wait("track_subscribed"))[0])
            frame = await wait_for_picture(stream, colour)
            assert frame.width / frame.height == pytest.approx(size[0] / size[1], rel=0.03)
    assert stream is not None
    await stream.aclose()
    await source.aclose()


async def test_handlers_may_use_the_room(rooms: Rooms) -> None:
    sender, own = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    tasks = []

    def refuse(publication: rtc.RemoteTrackPublication, _who: object) -> None:
        publication.set_subscribed(publication.kind == rtc.TrackKind.KIND_VIDEO)

    def answer(packet: rtc.DataPacket) -> None:
        tasks.append(asyncio.ensure_future(viewer.local_participant.publish_data(b"pong " + packet.data)))
        if packet.data == b"3":
            tasks.append(asyncio.ensure_future(viewer.disconnect()))

    viewer.on("track_published", refuse)
    viewer.on("data_received", answer)
    async with microphone(sender), camera(sender, RED):
        await events.wait("track_subscribed", lambda t, p, w: t.kind == rtc.TrackKind.KIND_VIDEO)
        for number in (b"1", b"2", b"3"):
            await within(sender.local_participant.publish_data(number))
        await events.wait("disconnected")
    await within(asyncio.gather(*tasks))
    await own.wait("data_received", count=3)
    assert [args[0].data for args in own.of("data_received")] == [b"pong 1", b"pong 2", b"pong 3"]
    assert len(events.of("disconnected")) == 1


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


async def test_leaving_with_everything_running_leaves_nothing(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    viewer, events = await rooms.join("viewer")
    async with microphone(sender), camera(sender):
        await events.wait("track_subscribed", count=2)
        streams = [
            rtc.AudioStream(t) if t.kind == rtc.TrackKind.KIND_AUDIO else rtc.VideoStream(t)
            for t, _p, _w in events.of("track_subscribed")
        ]

        async def read(stream: Any) -> int:
            return len([event async for event in stream])

        readers = [asyncio.ensure_future(read(stream)) for stream in streams]
        await asyncio.gather(viewer.disconnect(), sender.disconnect())
        await within(asyncio.gather(*readers))
        for stream in streams:
            await stream.aclose()


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


async def test_a_hidden_participants_data_has_no_sender_that_is_unknown(rooms: Rooms) -> None:
    receiver, events = await rooms.join("receiver")
    hidden, _ = await rooms.join("hidden", hidden=True)
    await within(hidden.local_participant.publish_data(b"from nowhere"))
    packet = (await events.wait("data_received"))[0]
    assert packet.data == b"from nowhere"
    assert packet.participant is None
    assert receiver.remote_participants == {}
