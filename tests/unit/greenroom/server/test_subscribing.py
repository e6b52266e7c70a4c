"""Subscribing: offers, answers, wishes, permissions and what publishers hear of it."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness, SignalClient

from greenroom.server.config import PlayoutDelayConfig
from greenroom.server.subscriptions import temporal_layer
from greenroom.signalling.media_parameters import PLAYOUT_DELAY_URI
from greenroom.signalling.sdp import Direction, MediaKind, parse
from livekit import api


async def published(harness: Harness, kind: str = "audio", **fields: Any) -> tuple[SignalClient, str]:
    """Anna, with an announced track."""
    anna = await harness.join("anna")
    anna.activate()
    sid = await anna.publish("cid", kind, **fields)
    while not (await anna.update_of("anna")).tracks:
        pass
    return anna, sid


async def subscribed(harness: Harness, name: str = "bob", **query: str) -> tuple[SignalClient, Any]:
    """A client that joined, and its first offer that has a track, answered."""
    client = await harness.join(name, query=query)
    client.activate()
    offer = await next_track_offer(client)
    await client.answer(offer)
    await client.settle()
    return client, offer


async def next_track_offer(client: SignalClient) -> messages.SessionDescription:
    while True:
        offer = await client.expect("offer")
        if offer.mid_to_track_id:
            return offer
        await client.answer(offer)


async def test_joiner_gets_present_tracks_in_its_first_offer(harness: Harness) -> None:
    anna, sid = await published(harness, "video")

    bob = await harness.join("bob")

    offer = await bob.expect("offer")
    assert bob.kinds()[:4] == ["join", "refresh_token", "subscription_permission_update", "offer"]
    assert dict(offer.mid_to_track_id) == {"1": sid}
    application, video = parse(offer.sdp).media
    assert application.kind is MediaKind.APPLICATION
    assert (video.mid, video.direction) == ("1", Direction.SENDRECV)
    assert video.msid is not None
    assert (video.msid.stream_id, video.msid.track_id) == (f"{anna.sid}|{sid}", sid)
    (layer,) = video.receive_layers()
    assert layer.rtx_ssrc is not None
    assert [p.payload_type for p in video.payload_types] == [96, 98, 125, 108, 35]
    assert [s.cname for s in video.sources] == [f"{anna.sid}|{sid}"] * 2


async def test_answer_binds_the_track(harness: Harness) -> None:
    anna, sid = await published(harness, "video")

    bob, offer = await subscribed(harness)

    (down_track,) = bob.subscriber.down_tracks
    assert down_track.mid == "1"
    assert down_track.parameters["up_track"] is anna.publisher.up_tracks["1"]
    (layer,) = parse(offer.sdp).media[1].receive_layers()
    assert (down_track.parameters["ssrc"], down_track.parameters["rtx_ssrc"]) == (layer.ssrc, layer.rtx_ssrc)
    assert down_track.parameters["payload_types"][0].codec == "vp8"
    assert bob.subscriber.remote is not None
    assert not bob.subscriber.remote["dtls_active"]
    states = [m.stream_state_update.stream_states[0] for m in bob.seen if m.HasField("stream_state_update")]
    assert [(s.track_sid, s.state) for s in states] == [(sid, messages.StreamState.ACTIVE)]
    rated = {u.participant_sid for m in bob.seen for u in m.connection_quality.updates}
    assert rated == {anna.sid, bob.sid}


@pytest.mark.parametrize(
    ("sdk", "together"),
    [({}, True), ({"browser": "Firefox"}, False), ({"protocol": "9"}, False)],
    ids=["current", "Firefox", "old"],
)
async def test_tracks_that_belong_together_are_one_stream_where_the_room_wants_it(
    sdk: dict[str, str], together: bool
) -> None:
    async with Harness(sync_streams=True) as harness:
        anna = await harness.join("anna")
        anna.activate()
        sids = [await anna.publish("m"), await anna.publish("c", "video")]
        bob = await harness.join("bob", query=sdk)
        msids = [media.msid for media in parse((await bob.expect("offer")).sdp).media[1:]]
    streams = ["camera", "camera"] if together else sids
    assert {(m.stream_id, m.track_id) for m in msids} == {
        (f"{anna.sid}|{stream}", sid) for stream, sid in zip(streams, sids, strict=True)
    }


async def test_publisher_hears_of_the_first_subscriber_once(harness: Harness) -> None:
    anna, sid = await published(harness, "video")

    await subscribed(harness, "bob")
    quality = await anna.expect("subscribed_quality_update")
    assert quality.track_sid == sid
    assert quality.subscribed_codecs[0].codec == "vp8"
    assert [(q.quality, q.enabled) for q in quality.subscribed_codecs[0].qualities] == [
        (0, True),
        (1, True),
        (2, True),
    ]
    assert (await anna.expect("track_subscribed")).track_sid == sid
    await subscribed(harness, "carl")
    await anna.settle()

    assert anna.kinds().count("track_subscribed") == 1


async def test_hidden_subscriber_does_not_count(harness: Harness) -> None:
    anna, _ = await published(harness)
    ghost = await harness.join("ghost", hidden=True)
    ghost.activate()
    await ghost.answer(await next_track_offer(ghost))
    await ghost.settle()

    await anna.settle()

    assert ghost.subscriber.down_tracks
    assert "track_subscribed" not in anna.kinds()


async def test_later_track_comes_in_a_new_offer(harness: Harness) -> None:
    bob = await harness.join("bob")
    bob.activate()
    first = await bob.expect("offer")
    anna = await harness.join("anna")
    anna.activate()

    sid = await anna.publish("cid")
    await anna.settle()
    await bob.settle()
    assert bob.kinds().count("offer") == 1  # nothing before the first is answered
    await bob.answer(first)

    second = await bob.expect("offer")
    assert second.id == first.id + 1
    assert dict(second.mid_to_track_id) == {"1": sid}


async def test_unsubscribe_frees_the_section_for_the_next_track(harness: Harness) -> None:
    _anna, sid = await published(harness)
    bob, first = await subscribed(harness)
    (down_track,) = bob.subscriber.down_tracks

    await bob.send(subscription=messages.UpdateSubscription(track_sids=[sid], subscribe=False))
    freed = await bob.expect("offer")
    assert down_track.closed
    section = parse(freed.sdp).media[1]
    assert section.direction is Direction.RECVONLY
    assert (section.port, section.msid, section.sources) == (9, None, [])
    assert not freed.mid_to_track_id
    await bob.answer(freed)
    await bob.send(subscription=messages.UpdateSubscription(track_sids=[sid], subscribe=True))

    again = await bob.expect("offer")
    assert dict(again.mid_to_track_id) == {"1": sid}
    assert len(parse(again.sdp).media) == 2
    old, new = (parse(o.sdp).media[1].receive_layers()[0].ssrc for o in (first, again))
    assert old != new


async def test_old_clients_never_get_a_section_again(harness: Harness) -> None:
    _, sid = await published(harness)
    bob, _ = await subscribed(harness, protocol="3")

    await bob.send(subscription=messages.UpdateSubscription(track_sids=[sid], subscribe=False))
    await bob.answer(await bob.expect("offer"))
    await bob.send(subscription=messages.UpdateSubscription(track_sids=[sid], subscribe=True))

    assert dict((await bob.expect("offer")).mid_to_track_id) == {"2": sid}


async def test_without_auto_subscribe_nothing_comes_unasked(harness: Harness) -> None:
    anna, sid = await published(harness)
    bob = await harness.join("bob", query={"auto_subscribe": "0"})
    first = await bob.expect("offer")
    assert not first.mid_to_track_id
    await bob.answer(first)

    tracks = (
        messages.ParticipantTracks if hasattr(messages, "ParticipantTracks") else models.ParticipantTracks
    )
    wish = messages.UpdateSubscription(
        subscribe=True, participant_tracks=[tracks(participant_sid=anna.sid, track_sids=[sid])]
    )
    await bob.send(subscription=wish)

    assert dict((await bob.expect("offer")).mid_to_track_id) == {"1": sid}


async def test_wish_may_come_before_the_track(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()
    bob = await harness.join("bob", query={"auto_subscribe": "0"})
    await bob.answer(await bob.expect("offer"))
    request = messages.AddTrackRequest(cid="c", type=models.TrackType.AUDIO)
    await anna.send(add_track=request)
    sid = (await anna.expect("track_published")).track.sid

    await bob.send(subscription=messages.UpdateSubscription(track_sids=[sid], subscribe=True))
    await bob.settle()
    await anna.offer(("audio", "c"))

    assert dict((await bob.expect("offer")).mid_to_track_id) == {"1": sid}


async def test_unknown_track_is_reported(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.server.subscriptions.NOT_FOUND_S", 0.01)
    bob = await harness.join("bob")

    await bob.send(subscription=messages.UpdateSubscription(track_sids=["TR_none"], subscribe=True))

    response = await bob.expect("subscription_response")
    assert (response.track_sid, response.err) == ("TR_none", models.SubscriptionError.SE_TRACK_NOTFOUND)


async def test_subscriber_without_the_codec_is_told(harness: Harness) -> None:
    _, sid = await published(harness, "video")
    bob = await harness.join("bob")

    await bob.answer(await next_track_offer(bob), codecs=False)

    response = await bob.expect("subscription_response")
    assert (response.track_sid, response.err) == (sid, models.SubscriptionError.SE_CODEC_UNSUPPORTED)
    assert not bob.subscriber.down_tracks


async def test_without_subscribe_grant_nothing_is_offered(harness: Harness) -> None:
    await published(harness)

    bob = await harness.join("bob", can_subscribe=False)
    await bob.settle()

    assert "offer" not in bob.kinds()


async def test_publisher_decides_who_may_subscribe(harness: Harness) -> None:
    anna, sid = await published(harness)
    bob, _ = await subscribed(harness)
    entry = messages.TrackPermission(participant_identity="carl", all_tracks=True)

    await anna.send(subscription_permission=messages.SubscriptionPermission(track_permissions=[entry]))

    update = await bob.expect("subscription_permission_update")
    assert (update.participant_sid, update.track_sid, update.allowed) == (anna.sid, sid, False)
    offer = await bob.expect("offer")
    assert not offer.mid_to_track_id
    await bob.answer(offer)
    await subscribed(harness, "carl")
    await anna.send(subscription_permission=messages.SubscriptionPermission(all_participants=True))
    assert (await bob.expect("subscription_permission_update")).allowed
    assert dict((await bob.expect("offer")).mid_to_track_id) == {"1": sid}


async def test_track_that_ends_leaves_its_section(harness: Harness) -> None:
    anna, _ = await published(harness)
    bob, _ = await subscribed(harness)

    await anna.offer(("audio", ""))

    offer = await bob.expect("offer")
    assert not offer.mid_to_track_id
    assert bob.subscriber.down_tracks[0].closed


async def test_answer_to_an_older_state_binds_only_what_is_still_wished(harness: Harness) -> None:
    _, sid = await published(harness)
    bob = await harness.join("bob")
    offer = await next_track_offer(bob)
    await bob.send(subscription=messages.UpdateSubscription(track_sids=[sid], subscribe=False))

    await bob.answer(offer)

    assert not (await bob.expect("offer")).mid_to_track_id
    assert not bob.subscriber.down_tracks


LAYERS = [
    models.VideoLayer(quality=quality, width=width, height=height)
    for quality, width, height in ((0, 320, 180), (1, 640, 360), (2, 1280, 720))
]
SETTINGS = {
    "high": ({"quality": models.VideoQuality.HIGH}, True, 2),
    "medium": ({"quality": models.VideoQuality.MEDIUM}, True, 1),
    "left out": ({}, True, 0),
    "disabled": ({"disabled": True, "quality": models.VideoQuality.HIGH}, False, 2),
    "by size": ({"width": 600, "height": 340}, True, 1),
    "within a tenth": ({"width": 350, "height": 200}, True, 0),
    "larger than any": ({"width": 4000, "height": 3000}, True, 2),
}


@pytest.mark.parametrize(("fields", "enabled", "spatial"), SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("early", [False, True], ids=["after binding", "before"])
async def test_track_settings(
    harness: Harness, fields: dict[str, Any], enabled: bool, spatial: int, early: bool
) -> None:
    _, sid = await published(harness, "video", layers=LAYERS)
    settings = messages.UpdateTrackSettings(track_sids=[sid], **fields)
    bob = await harness.join("bob")
    offer = await next_track_offer(bob)

    if early:
        await bob.send(track_setting=settings)
    await bob.answer(offer)
    if not early:
        await bob.settle()
        assert bob.subscriber.down_tracks[0].max_layer == (2, 3)
        await bob.send(track_setting=settings)
    await bob.settle()

    down_track = bob.subscriber.down_tracks[0]
    assert (down_track.enabled, down_track.max_layer) == (enabled, (spatial, 3))


async def test_adaptive_clients_start_low(harness: Harness) -> None:
    await published(harness, "video", layers=LAYERS)

    bob, _ = await subscribed(harness, adaptive_stream="1")

    assert bob.subscriber.down_tracks[0].max_layer == (0, 3)


@pytest.mark.parametrize(("fps", "temporal"), [(0, 3), (5, 0), (8, 0), (15, 1), (16, 1), (30, 2), (60, 3)])
def test_frame_rates_choose_a_temporal_layer(fps: int, temporal: int) -> None:
    assert temporal_layer(fps) == temporal


async def test_missing_answer_makes_the_client_start_anew() -> None:
    async with Harness(answer_timeout_s=0.02) as harness:
        bob = await harness.join("bob")
        bob.activate()

        leave = await bob.expect("leave")

        assert (leave.reason, leave.action) == (
            models.DisconnectReason.STATE_MISMATCH,
            messages.LeaveRequest.Action.RECONNECT,
        )


async def test_speakers_are_told_as_changes(harness: Harness) -> None:
    anna, _ = await published(harness)
    bob, _ = await subscribed(harness)
    stranger = await harness.join("carl", query={"auto_subscribe": "0"})
    up_track = anna.publisher.up_tracks["1"]

    up_track.audio_level = (0.3, True)
    (speaker,) = (await bob.expect("speakers_changed")).speakers
    assert (speaker.sid, speaker.level, speaker.active) == (anna.sid, 0.375, True)
    assert (await anna.expect("speakers_changed")).speakers[0].sid == anna.sid
    up_track.audio_level = (0.3, False)

    (speaker,) = (await bob.expect("speakers_changed")).speakers
    assert (speaker.sid, speaker.level, speaker.active) == (anna.sid, 0.0, False)
    await stranger.settle()
    assert "speakers_changed" not in stranger.kinds()
    assert bob.kinds().count("speakers_changed") == 2


async def test_muted_microphone_does_not_speak(harness: Harness) -> None:
    anna, sid = await published(harness)
    anna.publisher.up_tracks["1"].audio_level = (0.5, True)
    await anna.expect("speakers_changed")

    await anna.send(mute=messages.MuteTrackRequest(sid=sid, muted=True))

    (speaker,) = (await anna.expect("speakers_changed")).speakers
    assert not speaker.active


@pytest.mark.parametrize(
    ("config", "asked", "expected"),
    [
        (PlayoutDelayConfig(), {}, None),
        (PlayoutDelayConfig(), {"min_playout_delay": 100, "max_playout_delay": 2000}, (100, 2000, True)),
        (PlayoutDelayConfig(enabled=True, min_ms=50, max_ms=90), {}, (50, 90, True)),
        (PlayoutDelayConfig(enabled=True, min_ms=50), {"max_playout_delay": 300}, (0, 300, True)),
        (PlayoutDelayConfig(min_ms=50, max_ms=90), {}, None),
    ],
)
async def test_video_is_held_back_where_the_room_asks_for_it(
    config: PlayoutDelayConfig, asked: dict[str, int], expected: tuple[int, int, bool] | None
) -> None:
    async with Harness(playout_delay=config) as harness:
        server = harness.server
        async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as client:
            await client.room.create_room(api.CreateRoomRequest(name="room", **asked))
        await published(harness, "video")

        bob, offer = await subscribed(harness)

        (down_track,) = bob.subscriber.down_tracks
        assert down_track.parameters["playout_delay"] == expected
        video = parse(offer.sdp).media[1]
        uris = [e.uri for e in video.header_extensions]
        assert (PLAYOUT_DELAY_URI in uris) == (expected is not None)
        taken = [e.uri for e in down_track.parameters["header_extensions"]]
        assert (PLAYOUT_DELAY_URI in taken) == (expected is not None)


async def test_screens_and_firefox_with_synced_streams_have_ways_of_their_own() -> None:
    delay = PlayoutDelayConfig(enabled=True, min_ms=50, max_ms=90)
    async with Harness(playout_delay=delay, sync_streams=True) as harness:
        await published(harness, "video", source=models.TrackSource.SCREEN_SHARE)
        bob, _ = await subscribed(harness)
        carol, offer = await subscribed(harness, "carol", browser="Firefox")
        (of_bob,), (of_carol,) = bob.subscriber.down_tracks, carol.subscriber.down_tracks
        assert of_bob.parameters["playout_delay"] == (50, 90, False)
        assert of_carol.parameters["playout_delay"] is None
        assert PLAYOUT_DELAY_URI not in offer.sdp
