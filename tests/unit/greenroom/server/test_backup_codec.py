"""A track whose publisher named a second codec: who can't take the first gets that, and it is asked for only then."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness, SignalClient, publisher_offer, single_join, subscriber_answer
from test_subscribing import LAYERS, next_track_offer, published, subscribed

LOW, HIGH = models.VideoQuality.LOW, models.VideoQuality.HIGH
CODECS = [messages.SimulcastCodec(codec="h264", cid="cid"), messages.SimulcastCodec(codec="vp8")]
Reason = messages.RequestResponse.Reason


async def camera(harness: Harness) -> tuple[SignalClient, str]:
    """Anna's, in H264 with VP8 behind it."""
    return await published(harness, "video", simulcast_codecs=CODECS, layers=LAYERS)


async def needy(harness: Harness, name: str = "bob", *, single: bool = False) -> SignalClient:
    """Joined, and knows no H264."""
    if single:
        sdp = publisher_offer(("video", "<")).replace("H264/90000", "H265/90000")
        offer = messages.SessionDescription(type="offer", sdp=sdp, id=1)
        client = await harness.join_single(name, request=single_join(publisher_offer=offer))
        client.publisher.connect()
        return client
    client = await harness.join(name)
    client.activate()
    await answer_without_h264(client)
    return client


async def answer_without_h264(client: SignalClient) -> messages.SessionDescription:
    offer = await next_track_offer(client)
    sdp = subscriber_answer(offer.sdp).replace("H264/90000", "H265/90000")
    await client.send(answer=messages.SessionDescription(type="answer", sdp=sdp, id=offer.id))
    await client.settle()
    return offer


def best(update: messages.SubscribedQualityUpdate) -> dict[str, int]:
    """The best quality of each codec that is to be sent."""
    return {
        codec.codec: max((q.quality for q in codec.qualities if q.enabled), default=-1)
        for codec in update.subscribed_codecs
    }


async def send_backup(anna: SignalClient, sid: str, **fields: Any) -> Any:
    """Anna publishes the second codec; what she is answered."""
    codec = messages.SimulcastCodec(codec="vp8", cid="backup", layers=LAYERS)
    request = {"cid": "backup", "sid": sid, "type": models.TrackType.VIDEO, "simulcast_codecs": [codec]}
    await anna.send(add_track=messages.AddTrackRequest(**{**request, **fields}))
    response = await anna.receive()
    while response.WhichOneof("message") not in ("track_published", "request_response"):
        response = await anna.receive()
    return getattr(response, response.WhichOneof("message"))


async def test_nobody_needs_it(harness: Harness) -> None:
    anna, _ = await camera(harness)
    bob, _ = await subscribed(harness)
    (down_track,) = bob.subscriber.down_tracks
    assert down_track.parameters["up_track"] is anna.publisher.up_tracks["1"]
    assert best(await anna.expect("subscribed_quality_update")) == {"h264": HIGH}
    (info,) = harness.server.rooms.all()[0].announced_publications()
    assert [codec.mime_type for codec in info.info.codecs] == ["video/H264", "video/VP8"]


@pytest.mark.parametrize("single", [False, True], ids=["two", "single"])
async def test_it_is_asked_for_and_passed_on(harness: Harness, single: bool) -> None:
    anna, sid = await camera(harness)
    carol, _ = await subscribed(harness, "carol")
    bob = await needy(harness, single=single)
    while best(await anna.expect("subscribed_quality_update")) != {"h264": HIGH, "vp8": HIGH}:
        pass
    await bob.settle()
    assert "subscription_response" not in bob.kinds()

    answer = await send_backup(anna, sid)
    assert (answer.cid, answer.track.sid) == ("backup", sid)
    await anna.offer(("video", "cid"), ("video", "backup"), offer_id=2)
    await anna.expect("answer")

    if single:
        await bob.expect("media_sections_requirement")
        sdp = publisher_offer(("video", "<")).replace("H264/90000", "H265/90000")
        await bob.send(offer=messages.SessionDescription(type="offer", sdp=sdp, id=2))
        await bob.expect("answer")
    else:
        assert dict((await answer_without_h264(bob)).mid_to_track_id) == {"1": sid}
    transport = bob.publisher if single else bob.subscriber
    (down_track,) = transport.down_tracks
    assert down_track.parameters["up_track"] is anna.publisher.up_tracks["2"]
    assert down_track.parameters["payload_types"][0].codec == "vp8"
    assert [track.closed for track in carol.subscriber.down_tracks] == [False]
    (publication,) = harness.server.rooms.all()[0].announced_publications()
    track = publication.info
    assert [(codec.mime_type, codec.mid, codec.cid) for codec in track.codecs] == [
        ("video/H264", "1", "cid"),
        ("video/VP8", "2", "backup"),
    ]
    assert (track.mime_type, track.mid) == ("video/H264", "1")


async def test_its_qualities_follow_who_watches_it() -> None:
    async with Harness(dynacast_pause_delay_s=0.01) as harness:
        anna, sid = await camera(harness)
        bob = await needy(harness)
        await send_backup(anna, sid)
        await anna.offer(("video", "cid"), ("video", "backup"), offer_id=2)
        await answer_without_h264(bob)
        low = messages.UpdateTrackSettings(track_sids=[sid], quality=LOW)
        await bob.send(track_setting=low)
        while best(await anna.expect("subscribed_quality_update")).get("vp8") != LOW:
            pass
        (down_track,) = bob.subscriber.down_tracks
        assert down_track.max_layer is not None
        assert down_track.max_layer[0] == 0
        assert anna.publisher.up_tracks["2"].expected_layers[-1] == 0
        await bob.send(subscription=messages.UpdateSubscription(track_sids=[sid], subscribe=False))
        while best(await anna.expect("subscribed_quality_update")).get("vp8") != -1:
            pass
        assert down_track.closed


async def test_who_wants_nothing_for_now_asks_for_nothing(harness: Harness) -> None:
    anna, sid = await camera(harness)
    bob = await harness.join("bob")
    bob.activate()
    await bob.send(track_setting=messages.UpdateTrackSettings(track_sids=[sid], disabled=True))
    await answer_without_h264(bob)
    await anna.settle()
    assert "subscribed_quality_update" not in anna.kinds()
    await bob.send(track_setting=messages.UpdateTrackSettings(track_sids=[sid], quality=LOW))
    assert best(await anna.expect("subscribed_quality_update")) == {"h264": HIGH, "vp8": LOW}


async def test_it_ends_with_the_track(harness: Harness) -> None:
    anna, sid = await camera(harness)
    bob = await needy(harness)
    await send_backup(anna, sid)
    await anna.offer(("video", "cid"), ("video", "backup"), offer_id=2)
    await answer_without_h264(bob)
    await anna.offer(("video", ""), ("video", ""), offer_id=3)
    await anna.expect("answer")
    (down_track,) = bob.subscriber.down_tracks
    assert down_track.closed
    assert all(track.closed for track in anna.publisher.up_tracks.values())
    assert harness.server.rooms.all()[0].announced_publications() == []


async def test_it_may_end_alone_and_come_again(harness: Harness) -> None:
    anna, sid = await camera(harness)
    bob = await needy(harness)
    await send_backup(anna, sid)
    await anna.offer(("video", "cid"), ("video", "backup"), offer_id=2)
    await answer_without_h264(bob)
    await anna.offer(("video", "cid"), ("video", ""), offer_id=3)
    await anna.expect("answer")
    assert [track.closed for track in bob.subscriber.down_tracks] == [True]
    assert (await send_backup(anna, sid)).track.sid == sid
    await anna.offer(("video", "cid"), ("video", ""), ("video", "backup"), offer_id=4)
    await answer_without_h264(bob)
    assert [track.closed for track in bob.subscriber.down_tracks] == [True, False]


async def test_muting_mutes_both(harness: Harness) -> None:
    anna, sid = await camera(harness)
    await needy(harness)
    await send_backup(anna, sid)
    await anna.offer(("video", "cid"), ("video", "backup"), offer_id=2)
    await anna.send(mute=messages.MuteTrackRequest(sid=sid, muted=True))
    await anna.settle()
    assert [track.muted for track in anna.publisher.up_tracks.values()] == [True, True]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sid": "TR_none"}, Reason.NOT_FOUND),
        ({"simulcast_codecs": []}, Reason.UNSUPPORTED_TYPE),
        ({"simulcast_codecs": [messages.SimulcastCodec(codec="vp9")]}, Reason.UNSUPPORTED_TYPE),
    ],
    ids=["no such track", "no codec", "a third codec"],
)
async def test_what_was_not_named_is_refused(harness: Harness, fields: dict[str, Any], reason: int) -> None:
    anna, sid = await camera(harness)
    assert (await send_backup(anna, **{"sid": sid, **fields})).reason == reason


async def test_a_second_time_is_refused(harness: Harness) -> None:
    anna, sid = await camera(harness)
    await send_backup(anna, sid)
    assert (await send_backup(anna, sid)).reason == Reason.QUEUED
    assert (await send_backup(anna, sid, cid="another")).reason == Reason.QUEUED
