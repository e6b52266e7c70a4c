"""Publishing: from AddTrackRequest to the update that announces the track, and its end."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness, publisher_offer

from greenroom.signalling.sdp import Direction, parse

Reason = messages.RequestResponse.Reason
VIDEO_LAYERS = [
    models.VideoLayer(quality=models.VideoQuality.HIGH, width=1280, height=720, bitrate=3_000_000),
    models.VideoLayer(quality=models.VideoQuality.LOW, width=320, height=180, bitrate=160_000),
    models.VideoLayer(quality=models.VideoQuality.MEDIUM, width=640, height=360, bitrate=450_000),
]


async def test_track_is_announced_when_its_connection_is_up(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    sid = await anna.publish("cid-1", name="mic")
    await bob.settle()
    assert not any(i.tracks for m in bob.seen if m.HasField("update") for i in m.update.participants)

    anna.publisher.connect()

    info = await bob.update_of("anna")
    while not info.tracks:
        info = await bob.update_of("anna")
    (track,) = info.tracks
    assert info.is_publisher
    assert (track.sid, track.name, track.mime_type, track.mid) == (sid, "mic", "audio/red", "1")
    assert track.sid.startswith("TR_AM")
    assert track.stream == "camera"
    assert (track.codecs[0].cid, track.codecs[0].mime_type) == ("cid-1", "audio/red")


async def test_order_for_the_publisher(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()
    await anna.publish("cid-1")
    while not (await anna.update_of("anna")).tracks:
        pass

    kinds = anna.kinds()
    assert kinds.index("track_published") < kinds.index("answer")
    shows_track = [
        i for i, m in enumerate(anna.seen) if m.HasField("update") and m.update.participants[0].tracks
    ]
    assert kinds.index("track_published") < shows_track[0]


async def test_pending_track_has_no_codec_yet(harness: Harness) -> None:
    anna = await harness.join("anna")
    request = messages.AddTrackRequest(
        cid="c", type=models.TrackType.VIDEO, source=models.TrackSource.SCREEN_SHARE
    )

    await anna.send(add_track=request)

    published = await anna.expect("track_published")
    assert published.cid == "c"
    assert published.track.sid.startswith("TR_VS")
    assert (published.track.mime_type, published.track.mid) == ("", "")


async def test_answer_for_audio(harness: Harness) -> None:
    anna = await harness.join("anna")
    await anna.publish("c", audio_features=[models.AudioTrackFeature.TF_STEREO])

    answer = parse(anna.seen[-1].answer.sdp)

    assert anna.seen[-1].answer.id == 1
    (_, section) = answer.media
    assert section.direction is Direction.RECVONLY
    assert section.setup == "active"
    red, opus = section.payload_types
    assert (red.codec, red.format_parameters) == ("red", "111/111")
    assert opus.format_parameters == "minptime=10;useinbandfec=1;usedtx=1;stereo=1;maxaveragebitrate=510000"
    assert opus.feedback == ("nack",)
    assert [e.id for e in section.header_extensions] == [1, 4]
    assert answer.candidates == [
        f"candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host ufrag {section.ice_ufrag}"
    ]
    assert anna.publisher.remote is not None
    assert anna.publisher.remote["dtls_active"]
    assert anna.publisher.remote["max_message_size"] == 262_144
    up_track = anna.publisher.up_tracks["1"]
    assert [layer.ssrc for layer in up_track.parameters["layers"]] == [1001]


@pytest.mark.parametrize(
    "fields", [{"disable_red": True}, {"encryption": models.Encryption.Type.GCM}], ids=["asked", "encrypted"]
)
async def test_audio_is_not_redundant_where_that_is_not_wanted_or_can_not_be(
    harness: Harness, fields: dict[str, Any]
) -> None:
    anna = await harness.join("anna")
    anna.activate()
    await anna.publish("c", **fields)

    assert [p.codec for p in parse(anna.seen[-1].answer.sdp).media[1].payload_types] == ["opus"]
    while not (info := await anna.update_of("anna")).tracks:
        pass
    assert info.tracks[0].mime_type == "audio/opus"


async def test_wanted_codec_comes_first(harness: Harness) -> None:
    anna = await harness.join("anna")
    codec = messages.SimulcastCodec(codec="h264", cid="c")

    await anna.publish("c", "video", simulcast_codecs=[codec])

    section = parse(anna.seen[-1].answer.sdp).media[1]
    assert [p.codec for p in section.payload_types] == ["h264", "vp8"]
    anna.publisher.connect()
    while not (info := await anna.update_of("anna")).tracks:
        pass
    assert info.tracks[0].mime_type == "video/H264"


async def test_simulcast_layers_are_bound_lowest_first(harness: Harness) -> None:
    anna = await harness.join("anna")
    await anna.publish("unused", "audio")
    await anna.send(
        add_track=messages.AddTrackRequest(
            cid="c", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA, layers=VIDEO_LAYERS
        )
    )
    await anna.offer(("audio", "unused"), ("simulcast", "c"))

    section = parse((await anna.expect("answer")).sdp).media[2]
    assert [(rid.id, rid.direction) for rid in section.rids] == [("f", "recv"), ("h", "recv"), ("q", "recv")]
    assert section.simulcast_recv == ["f", "h", "q"]
    assert anna.publisher.up_tracks["2"].parameters["rids"] == ["q", "h", "f"]
    anna.publisher.connect()
    while len((info := await anna.update_of("anna")).tracks) < 2:
        pass
    track = info.tracks[1]
    assert track.simulcast
    assert [(layer.rid, layer.spatial_layer, layer.width) for layer in track.codecs[0].layers] == [
        ("q", 0, 320),
        ("h", 1, 640),
        ("f", 2, 1280),
    ]


async def test_offer_may_come_before_its_track(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()
    await anna.offer(("audio", "c"))
    await anna.expect("answer")

    await anna.send(
        add_track=messages.AddTrackRequest(
            cid="c", type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE
        )
    )

    while not (await anna.update_of("anna")).tracks:
        pass


async def test_two_tracks_are_told_apart_by_msid(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()
    for cid, source in (("camera", models.TrackSource.CAMERA), ("screen", models.TrackSource.SCREEN_SHARE)):
        await anna.send(
            add_track=messages.AddTrackRequest(cid=cid, type=models.TrackType.VIDEO, source=source)
        )
    await anna.offer(("video", "screen"), ("video", "camera"))

    while len((info := await anna.update_of("anna")).tracks) < 2:
        pass

    assert {t.mid: t.source for t in info.tracks} == {
        "1": models.TrackSource.SCREEN_SHARE,
        "2": models.TrackSource.CAMERA,
    }


async def test_unpublish_by_an_inactive_section(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    await anna.publish("c")
    while not (await bob.update_of("anna")).tracks:
        pass
    up_track = anna.publisher.up_tracks["1"]

    await anna.offer(("audio", ""))

    assert not (await bob.update_of("anna")).tracks
    assert up_track.closed


async def test_section_is_used_again_for_another_track(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()
    first = await anna.publish("c1")
    while not (await anna.update_of("anna")).tracks:
        pass
    await anna.send(add_track=messages.AddTrackRequest(cid="c2", type=models.TrackType.AUDIO))
    await anna.offer(("audio", "c2"))

    sids: list[str] = [first]
    while sids == [first] or not sids:
        sids = [t.sid for t in (await anna.update_of("anna")).tracks]
    assert len(sids) == 1


async def test_mute_is_told_to_all(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    sid = await anna.publish("c")
    while not (await bob.update_of("anna")).tracks:
        pass

    await anna.send(mute=messages.MuteTrackRequest(sid=sid, muted=True))

    assert (await bob.update_of("anna")).tracks[0].muted
    assert anna.publisher.up_tracks["1"].muted
    await anna.send(mute=messages.MuteTrackRequest(sid=sid, muted=False))
    assert not (await bob.update_of("anna")).tracks[0].muted
    assert not anna.publisher.up_tracks["1"].muted


async def test_track_added_muted_starts_muted(harness: Harness) -> None:
    anna = await harness.join("anna")

    await anna.publish("c", muted=True)

    assert anna.publisher.up_tracks["1"].muted


async def test_mute_of_an_unknown_track(harness: Harness) -> None:
    anna = await harness.join("anna")

    await anna.send(mute=messages.MuteTrackRequest(sid="TR_none", muted=True))

    response = await anna.expect("request_response")
    assert response.reason == Reason.NOT_FOUND
    assert response.mute.sid == "TR_none"


SOURCES = models.TrackSource
REFUSED = {
    "no publish grant": ({"can_publish": False}, {"source": SOURCES.CAMERA}, Reason.NOT_ALLOWED),
    "source not listed": (
        {"can_publish_sources": ["microphone"]},
        {"source": SOURCES.CAMERA, "type": models.TrackType.VIDEO},
        Reason.NOT_ALLOWED,
    ),
    "type": ({}, {"type": models.TrackType.DATA}, Reason.UNSUPPORTED_TYPE),
    "unknown sid": ({}, {"sid": "TR_none"}, Reason.NOT_FOUND),
}


@pytest.mark.parametrize(("grants", "fields", "reason"), REFUSED.values(), ids=REFUSED.keys())
async def test_tracks_that_are_refused(
    harness: Harness, grants: dict[str, Any], fields: dict[str, Any], reason: int
) -> None:
    anna = await harness.join("anna", **grants)

    await anna.send(add_track=messages.AddTrackRequest(cid="c", **fields))

    response = await anna.expect("request_response")
    assert (response.request_id, response.reason, response.add_track.cid) == (0, reason, "c")
    assert "track_published" not in anna.kinds()


async def test_listed_source_is_allowed(harness: Harness) -> None:
    anna = await harness.join("anna", can_publish_sources=["microphone", "screen_share"])

    await anna.publish("c")


async def test_same_cid_twice(harness: Harness) -> None:
    anna = await harness.join("anna")
    await anna.publish("c")

    await anna.send(add_track=messages.AddTrackRequest(cid="c", type=models.TrackType.AUDIO))

    assert (await anna.expect("request_response")).reason == Reason.QUEUED


async def test_tracks_end_with_their_publisher(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    await anna.publish("c")
    while not (await bob.update_of("anna")).tracks:
        pass

    await anna.send(leave=messages.LeaveRequest())

    update = await bob.update_of("anna")
    assert update.state == models.ParticipantInfo.State.DISCONNECTED
    assert not update.tracks


async def test_new_credentials_restart_ice(harness: Harness) -> None:
    anna = await harness.join("anna")
    await anna.offer()
    first = parse((await anna.expect("answer")).sdp).media[0].ice_ufrag

    await anna.send(offer=messages.SessionDescription(type="offer", sdp=publisher_offer(ufrag="new"), id=2))

    answer = await anna.expect("answer")
    assert answer.id == 2
    assert anna.publisher.restarts == 1
    assert parse(answer.sdp).media[0].ice_ufrag != first
    await anna.offer(offer_id=3)


async def test_candidates_wait_for_the_description(harness: Harness) -> None:
    anna = await harness.join("anna")
    candidate = "candidate:1 1 udp 1 10.0.0.1 5000 typ host"
    init = f'{{"candidate":"{candidate}","sdpMid":"0","sdpMLineIndex":0}}'

    await anna.send(
        trickle=messages.TrickleRequest(candidateInit=init, target=messages.SignalTarget.PUBLISHER)
    )
    await anna.settle()
    assert anna.publisher.candidates == []
    await anna.offer()
    await anna.expect("answer")

    assert anna.publisher.candidates == [candidate]
    assert anna.subscriber.candidates == []
