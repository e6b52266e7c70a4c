"""Publishing: announced, negotiated, sending; refused in time; muted and ended from both sides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from client_fakes import TIMEOUT_S, FakeAudioSource, FakePeers, FakeVideoSource, SignalServer
from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom.client.errors import PublishTrackError, UnpublishTrackError
from greenroom.signalling.sdp import parse
from livekit import rtc

_PublishOptions = rtc.TrackPublishOptions


def microphone(channels: int = 1) -> rtc.LocalAudioTrack:
    return rtc.LocalAudioTrack.create_audio_track("mic", FakeAudioSource(channels))


def camera(width: int = 1280, height: int = 720) -> rtc.LocalVideoTrack:
    return rtc.LocalVideoTrack.create_video_track("cam", FakeVideoSource(width, height))


@pytest.fixture
async def room(server: SignalServer, peers: FakePeers) -> Any:
    room = rtc.Room()
    await room.connect(server.url, "token", rtc.RoomOptions(dynacast=True))
    yield room
    await room.disconnect()


async def test_audio_is_announced_then_offered_under_the_same_cid(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    published: list[Any] = []
    room.on("local_track_published", lambda publication, track: published.append((publication, track)))
    track = microphone()
    publication = await room.local_participant.publish_track(
        track, _PublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    )
    connection = await server.connection()
    request = await connection.expect("add_track")
    assert (request.type, request.source, request.disable_red, request.disable_dtx) == (0, 2, True, False)
    section = parse((await connection.expect("offer", count=2)).sdp).media[1]
    assert section.msid is not None
    assert section.msid.track_id == request.cid
    sender = next(call for call in peers.publisher.calls if call[0] == "add_audio_sender")[1]
    assert sender[0] == section.mid
    assert sender[-1]["ssrc"] == section.sources[0].ssrc
    assert sender[-1]["dtx"] is False, "the answer has no usedtx"
    assert published == [(publication, track)]
    assert track.sid == publication.sid == "TR_1"
    assert room.local_participant.track_publications == {"TR_1": publication}


@pytest.mark.parametrize("channels", [1, 2])
async def test_a_source_of_two_channels_is_announced_and_sent_in_stereo(
    room: rtc.Room, server: SignalServer, peers: FakePeers, channels: int
) -> None:
    """The answer here says nothing of it."""
    await room.local_participant.publish_track(microphone(channels))
    request = await (await server.connection()).expect("add_track")
    assert request.stereo is (channels == 2)
    sender = next(call for call in peers.publisher.calls if call[0] == "add_audio_sender")[1]
    assert sender[-1]["stereo"] is (channels == 2)


async def test_camera_goes_out_in_three_layers_with_rids(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    await room.local_participant.publish_track(
        camera(), _PublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
    )
    connection = await server.connection()
    request = await connection.expect("add_track")
    assert [(layer.quality, layer.width, layer.height) for layer in request.layers] == [
        (0, 320, 180),
        (1, 640, 360),
        (2, 1280, 720),
    ]
    assert (request.simulcast_codecs[0].codec, request.simulcast_codecs[0].cid) == ("vp8", request.cid)
    section = parse((await connection.expect("offer", count=2)).sdp).media[1]
    assert section.simulcast_send == ["q", "h", "f"]
    assert section.sources == []
    sender = next(call for call in peers.publisher.calls if call[0] == "add_video_sender")[1]
    assert [layer.rid for layer in sender[-1]["layers"]] == ["q", "h", "f"]
    update = proto.SubscribedQualityUpdate(track_sid="TR_1")
    codec = update.subscribed_codecs.add(codec="vp8")
    codec.qualities.add(quality=models.VideoQuality.LOW, enabled=True)
    codec.qualities.add(quality=models.VideoQuality.HIGH, enabled=False)
    await connection.send(subscribed_quality_update=update)
    await connection.send(mute=proto.MuteTrackRequest(sid="TR_1", muted=True))
    await connection.expect("mute")
    assert [c[1] for c in peers.publisher.calls if c[0] == "set_layer_active"] == [
        ("1", "q", True),
        ("1", "f", False),
    ]


async def test_h264_of_one_layer_is_bound_by_ssrc_and_rtx(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    options = _PublishOptions(video_codec=rtc.VideoCodec.H264, simulcast=False)
    await room.local_participant.publish_track(camera(320, 240), options)
    connection = await server.connection()
    section = parse((await connection.expect("offer", count=2)).sdp).media[1]
    assert section.payload_types[0].codec == "h264"
    assert section.rids == []
    assert [layer.rtx_ssrc is not None for layer in section.receive_layers()] == [True]
    assert (await connection.expect("add_track")).layers[0].quality == models.VideoQuality.HIGH


@pytest.mark.parametrize("qualities", [[], [models.VideoQuality.LOW]])
async def test_the_only_layer_goes_on_while_any_quality_is_watched(
    room: rtc.Room, server: SignalServer, peers: FakePeers, qualities: list[models.VideoQuality]
) -> None:
    options = _PublishOptions(simulcast=False)
    await room.local_participant.publish_track(camera(320, 240), options)
    connection = await server.connection()
    update = proto.SubscribedQualityUpdate(track_sid="TR_1")
    codec = update.subscribed_codecs.add(codec="vp8")
    for quality in (models.VideoQuality.LOW, models.VideoQuality.HIGH):
        codec.qualities.add(quality=quality, enabled=quality in qualities)
    await connection.send(subscribed_quality_update=update)
    await connection.send(mute=proto.MuteTrackRequest(sid="TR_1", muted=True))
    await connection.expect("mute")
    active = [c[1] for c in peers.publisher.calls if c[0] == "set_layer_active"]
    assert active == [("1", "", bool(qualities))]


async def test_publications_made_at_once_each_get_their_section(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    publications = await asyncio.gather(
        *(
            room.local_participant.publish_track(t)
            for t in (microphone(), camera(), microphone(), camera(160, 90))
        )
    )
    assert len({p.sid for p in publications}) == 4
    senders = [
        call[1][0] for call in peers.publisher.calls if call[0] in ("add_audio_sender", "add_video_sender")
    ]
    assert sorted(senders) == ["1", "2", "3", "4"]


async def test_a_forbidden_track_fails_at_once(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    server.acknowledges_tracks = False
    publishing = asyncio.ensure_future(room.local_participant.publish_track(microphone()))
    connection = await server.connection()
    request = await connection.expect("add_track")
    await connection.send(
        request_response=proto.RequestResponse(reason=proto.RequestResponse.NOT_ALLOWED, add_track=request)
    )
    with pytest.raises(PublishTrackError, match="NOT_ALLOWED") as error:
        await asyncio.wait_for(publishing, TIMEOUT_S)
    assert error.value.reason == "NOT_ALLOWED"


async def test_what_cannot_be_published_says_why(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    participant = room.local_participant
    with pytest.raises(PublishTrackError, match="'av1' can't be sent; use VP8 or H264"):
        await participant.publish_track(camera(), _PublishOptions(video_codec=rtc.VideoCodec.AV1))
    track = microphone()
    await participant.publish_track(track)
    with pytest.raises(PublishTrackError, match="published already as TR_1"):
        await participant.publish_track(track)
    with pytest.raises(UnpublishTrackError, match="published are: TR_1"):
        await participant.unpublish_track("TR_other")


async def test_cancelling_a_publish_takes_the_section_back(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    server.acknowledges_tracks = False
    track = microphone()
    publishing = asyncio.ensure_future(room.local_participant.publish_track(track))
    await (await server.connection()).expect("add_track")
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    server.acknowledges_tracks = True
    assert (await room.local_participant.publish_track(track)).sid == "TR_1"


async def test_a_publish_that_was_announced_as_the_session_ended_fails(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    session = room._session
    assert session is not None
    session.publisher.negotiate()  # an answer that never comes

    def end_then_announce(future: asyncio.Future[Any]) -> None:
        session.publisher.close()
        future.set_result(models.TrackInfo(sid="TR_1"))

    publishing = asyncio.ensure_future(room.local_participant.publish_track(microphone()))
    await asyncio.sleep(0)
    end_then_announce(next(iter(session.publications._announced.values())))
    with pytest.raises(PublishTrackError, match="the session ended"):
        await asyncio.wait_for(publishing, TIMEOUT_S)


async def test_unpublish_ends_the_section_and_the_track_can_be_published_again(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    ended: list[Any] = []
    room.on("local_track_unpublished", ended.append)
    track = microphone()
    publication = await room.local_participant.publish_track(track)
    await room.local_participant.unpublish_track(publication.sid)
    connection = await server.connection()
    section = parse((await connection.expect("offer", count=3)).sdp).media[1]
    assert (section.msid, section.sources) == (None, [])
    assert ("remove_sender", ("1",)) in peers.publisher.calls
    assert (ended, publication.track, track.sid) == ([publication], None, "TR_unknown")
    assert room.local_participant.track_publications == {}
    assert (await room.local_participant.publish_track(track)).sid == "TR_2"


async def test_a_section_is_used_again_by_the_next_track_of_its_codec(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    connection = await server.connection()
    local = room.local_participant
    first = await local.publish_track(camera())
    await local.publish_track(microphone())
    for number in range(50):
        await local.unpublish_track(first.sid)
        await connection.expect("offer", count=4 + 2 * number)
        first = await local.publish_track(camera())
        offer = parse((await connection.expect("offer", count=5 + 2 * number)).sdp)
        assert [(s.mid, s.msid is None) for s in offer.media] == [("0", True), ("1", False), ("2", False)]
    h264 = _PublishOptions(video_codec=rtc.VideoCodec.H264)
    await local.unpublish_track(first.sid)
    await local.publish_track(camera(), h264)
    assert len(parse((await connection.expect("offer", count=105)).sdp).media) == 4, "another codec"


async def test_layers_are_numbered_when_they_are_announced(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    await room.local_participant.publish_track(camera())
    request = await (await server.connection()).expect("add_track")
    assert [(layer.rid, layer.spatial_layer) for layer in request.layers] == [("q", 0), ("h", 1), ("f", 2)]


async def test_mute_reaches_engine_server_and_handlers(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    seen: list[Any] = []
    room.on("track_muted", lambda who, publication: seen.append((who.identity, publication.muted)))
    room.on("track_unmuted", lambda who, publication: seen.append((who.identity, publication.muted)))
    track = microphone()
    await room.local_participant.publish_track(track)
    connection = await server.connection()
    track.mute()
    track.mute()
    assert ((await connection.expect("mute")).muted, track.muted) == (True, True)
    track.unmute()
    assert (await connection.expect("mute", count=2)).muted is False
    assert [c[1] for c in peers.publisher.calls if c[0] == "set_sender_muted"] == [("1", True), ("1", False)]
    assert seen == [("me", True), ("me", False)]


async def test_a_track_muted_before_publishing_is_announced_muted(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    track = microphone()
    track.mute()
    publication = await room.local_participant.publish_track(track)
    assert (await (await server.connection()).expect("add_track")).muted
    assert publication.muted
    assert ("set_sender_muted", ("1", True)) in peers.publisher.calls


async def test_the_server_ends_and_mutes_tracks(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    events: asyncio.Queue[str] = asyncio.Queue()
    for name in ("track_muted", "local_track_unpublished"):
        room.on(name, lambda *_, name=name: events.put_nowait(name))  # type: ignore[misc, arg-type]
    track = microphone()
    publication = await room.local_participant.publish_track(track)
    connection = await server.connection()
    await connection.send(mute=proto.MuteTrackRequest(sid=publication.sid, muted=True))
    assert await asyncio.wait_for(events.get(), TIMEOUT_S) == "track_muted"
    assert track.muted
    await connection.send(track_unpublished=proto.TrackUnpublishedResponse(track_sid=publication.sid))
    assert await asyncio.wait_for(events.get(), TIMEOUT_S) == "local_track_unpublished"


async def test_the_first_subscriber_is_waited_for_and_told(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    subscribed: list[Any] = []
    room.on("local_track_subscribed", subscribed.append)
    track = microphone()
    publication = await room.local_participant.publish_track(track)
    waiting = asyncio.ensure_future(publication.wait_for_subscription())
    connection = await server.connection()
    for _ in range(2):
        await connection.send(track_subscribed=proto.TrackSubscribed(track_sid=publication.sid))
    await asyncio.wait_for(waiting, TIMEOUT_S)
    await asyncio.wait_for(publication.wait_for_subscription(), TIMEOUT_S)
    assert subscribed == [track]


async def test_waiting_for_a_subscriber_ends_with_the_session(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    publication = await room.local_participant.publish_track(microphone())
    waiting = asyncio.ensure_future(publication.wait_for_subscription())
    await asyncio.sleep(0)
    await room.disconnect()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(waiting, TIMEOUT_S)
    with pytest.raises(PublishTrackError, match="not connected any more"):
        await room.local_participant.publish_track(microphone())


async def test_own_metadata_changes_one_at_a_time(
    room: rtc.Room, server: SignalServer, peers: FakePeers
) -> None:
    connection = await server.connection()
    first = asyncio.ensure_future(room.local_participant.set_name("n"))
    second = asyncio.ensure_future(room.local_participant.set_attributes({"k": "v"}))
    request = await connection.expect("update_metadata")
    assert (request.name, request.request_id) == ("n", 1)
    await connection.send(request_response=proto.RequestResponse(request_id=1))
    await asyncio.wait_for(first, TIMEOUT_S)
    request = await connection.expect("update_metadata", count=2)
    assert (dict(request.attributes), request.request_id) == ({"k": "v"}, 2)
    await connection.send(
        request_response=proto.RequestResponse(
            request_id=2, reason=proto.RequestResponse.NOT_ALLOWED, message="no"
        )
    )
    with pytest.raises(Exception, match="canUpdateOwnMetadata"):
        await asyncio.wait_for(second, TIMEOUT_S)
