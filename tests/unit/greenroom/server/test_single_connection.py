"""Clients with one connection for both directions: joining, receiving, publishing, resuming."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness, SignalClient, publisher_offer, single_join

from greenroom.server.config import Limits, PlayoutDelayConfig
from greenroom.server.join_request import read_join_request
from greenroom.server.permissions import VideoGrant
from greenroom.server.tokens import Claims
from greenroom.signalling.media_parameters import PLAYOUT_DELAY_URI
from greenroom.signalling.sdp import Direction, SessionDescription, parse
from greenroom.signalling.wrapped_join import wrap

SIX = [("audio", "<"), ("audio", "<"), ("audio", "<"), ("video", "<"), ("video", "<"), ("video", "<")]


def offer_of(*sections: tuple[str, str], offer_id: int = 1) -> messages.SessionDescription:
    return messages.SessionDescription(type="offer", sdp=publisher_offer(*sections), id=offer_id)


async def joined(harness: Harness, name: str, *sections: tuple[str, str]) -> SignalClient:
    """A client whose first offer came with its join, and is answered; its media path is up."""
    client = await harness.join_single(
        name, request=single_join(publisher_offer=offer_of(*(sections or SIX)))
    )
    client.publisher.connect()
    client.publisher.open()
    return client


async def offer(client: SignalClient, *sections: tuple[str, str], offer_id: int = 2) -> Any:
    """Make an offer; the answer."""
    await client.send(offer=offer_of(*sections, offer_id=offer_id))
    answer = await client.expect("answer")
    assert answer.id == offer_id
    return answer


async def publisher(harness: Harness, *kinds: str) -> tuple[SignalClient, list[str]]:
    """Anna, with announced tracks."""
    anna = await harness.join("anna")
    anna.activate()
    sids = [await anna.publish(f"cid{number}", kind) for number, kind in enumerate(kinds)]
    while len((await anna.update_of("anna")).tracks) < len(kinds):
        pass
    return anna, sids


def section(answer: messages.SessionDescription, mid: str) -> Any:
    description: SessionDescription = parse(answer.sdp)
    return description.section(mid)


async def test_the_offer_that_came_with_the_join_is_answered_with_present_tracks(harness: Harness) -> None:
    anna, (microphone, camera) = await publisher(harness, "audio", "video")

    bob = await joined(harness, "bob")
    answer = await bob.expect("answer")
    await bob.settle()

    kinds = [kind for kind in bob.kinds() if kind not in ("update", "connection_quality")]
    assert kinds[:2] == ["join", "refresh_token"]
    assert not bob.join.subscriber_primary
    assert dict(answer.mid_to_track_id) == {"1": microphone, "4": camera}
    assert [m.direction for m in parse(answer.sdp).media[1:]] == [Direction.SENDONLY] * 6
    assert section(answer, "4").msid.track_id == camera
    assert {t.mid: t.parameters["up_track"] for t in bob.publisher.down_tracks} == {
        "1": anna.publisher.up_tracks["1"], "4": anna.publisher.up_tracks["2"],
    }  # fmt: skip
    (video,) = [t for t in bob.publisher.down_tracks if t.mid == "4"]
    (layer,) = section(answer, "4").receive_layers()
    assert (video.parameters["ssrc"], video.parameters["rtx_ssrc"]) == (layer.ssrc, layer.rtx_ssrc)
    assert "offer" not in bob.kinds()
    assert "media_sections_requirement" not in bob.kinds(), "nothing was missing"


async def test_a_later_track_is_asked_for_and_answered(harness: Harness) -> None:
    bob = await joined(harness, "bob")
    _, (camera,) = await publisher(harness, "video")

    requirement = await bob.expect("media_sections_requirement")
    answer = await offer(bob, *SIX)

    assert (requirement.num_audios, requirement.num_videos) == (0, 0), "a section is free"
    assert dict(answer.mid_to_track_id) == {"4": camera}


async def test_missing_sections_are_counted(harness: Harness) -> None:
    _, sids = await publisher(harness, "video", "video", "audio")
    bob = await joined(harness, "bob", ("video", "<"))

    first = await bob.expect("answer")
    requirement = await bob.expect("media_sections_requirement")
    second = await offer(bob, ("video", "<"), ("video", "<"), ("audio", "<"))

    assert len(first.mid_to_track_id) == 1
    assert (requirement.num_audios, requirement.num_videos) == (1, 1)
    assert set(second.mid_to_track_id.values()) == set(sids)
    assert len(bob.publisher.down_tracks) == 3


async def test_a_client_that_offers_too_little_is_asked_again(harness: Harness) -> None:
    await publisher(harness, "video", "video")
    bob = await joined(harness, "bob", ("audio", "<"))
    assert (await bob.expect("media_sections_requirement")).num_videos == 2

    await offer(bob, ("audio", "<"), ("video", "<"))

    assert (await bob.expect("media_sections_requirement")).num_videos == 1


async def test_a_freed_section_is_closed_then_used_again(harness: Harness) -> None:
    bob = await joined(harness, "bob")
    anna, _ = await publisher(harness, "video")
    await bob.expect("media_sections_requirement")
    before = section(await offer(bob, *SIX), "4")

    await anna.offer(("video", ""))
    await bob.expect("media_sections_requirement")
    gone = await offer(bob, *SIX, offer_id=3)
    await anna.send(add_track=messages.AddTrackRequest(cid="new", type=models.TrackType.VIDEO))
    published = await anna.expect("track_published")
    await anna.offer(("video", "new"))
    await bob.expect("media_sections_requirement")
    back = await offer(bob, *SIX, offer_id=4)

    assert (dict(gone.mid_to_track_id), section(gone, "4").direction) == ({}, Direction.INACTIVE)
    assert dict(back.mid_to_track_id) == {"4": published.track.sid}
    assert section(back, "4").sources[0].ssrc != before.sources[0].ssrc
    assert [track.closed for track in bob.publisher.down_tracks] == [True, False]


async def test_fifty_tracks_that_come_and_go_need_no_further_section(harness: Harness) -> None:
    bob = await joined(harness, "bob", ("video", "<"))
    anna = await harness.join("anna")
    anna.activate()
    for number in range(50):
        await anna.send(add_track=messages.AddTrackRequest(cid=f"c{number}", type=models.TrackType.VIDEO))
        await anna.offer(("video", f"c{number}"))
        for expected in (1, 0):
            requirement = await bob.expect("media_sections_requirement")
            assert (requirement.num_audios, requirement.num_videos) == (0, 0)
            answer = await offer(bob, ("video", "<"))
            assert len(answer.mid_to_track_id) == expected
            if expected:
                await anna.offer(("video", ""))


async def test_a_track_whose_section_the_client_gave_up_moves_to_another(harness: Harness) -> None:
    _, (camera,) = await publisher(harness, "video")
    bob = await joined(harness, "bob", ("video", "<"), ("video", "<"))
    assert dict((await bob.expect("answer")).mid_to_track_id) == {"1": camera}

    answer = await offer(bob, ("video", ""), ("video", "<"))

    assert dict(answer.mid_to_track_id) == {"2": camera}
    assert [track.closed for track in bob.publisher.down_tracks] == [True, False]


async def test_a_track_without_common_codec_is_refused(harness: Harness) -> None:
    _, (camera,) = await publisher(harness, "video")
    sdp = publisher_offer(("video", "<")).replace("VP8/90000", "H265/90000")
    bob = await harness.join_single(
        "bob", request=single_join(publisher_offer=messages.SessionDescription(type="offer", sdp=sdp))
    )

    response = await bob.expect("subscription_response")

    assert (response.track_sid, response.err) == (camera, models.SubscriptionError.SE_CODEC_UNSUPPORTED)


async def test_tracks_are_published_with_the_join(harness: Harness) -> None:
    add = messages.AddTrackRequest(cid="mic", type=models.TrackType.AUDIO)
    request = single_join(add_track_requests=[add], publisher_offer=offer_of(*SIX, ("audio", "mic")))

    anna = await harness.join_single("anna", request=request)
    published = await anna.expect("track_published")
    answer = await anna.expect("answer")
    anna.publisher.connect()

    while not (info := await anna.update_of("anna")).tracks:
        pass
    assert [t.sid for t in info.tracks] == [published.track.sid]
    assert section(answer, "7").direction is Direction.RECVONLY


async def test_data_goes_both_ways_over_the_clients_channels(harness: Harness) -> None:
    anna, bob = await joined(harness, "anna"), await joined(harness, "bob")
    await bob.settle()

    packet = models.DataPacket(user=models.UserPacket(payload=b"hi"), sequence=1)
    anna.publisher.receive(1, packet.SerializeToString())

    (received,) = bob.publisher.sent[1]
    assert models.DataPacket.FromString(received).user.payload == b"hi"


async def test_settings_of_the_join_request_hold(harness: Harness) -> None:
    await publisher(harness, "video")
    request = single_join(publisher_offer=offer_of(*SIX), connection_settings=messages.ConnectionSettings())

    bob = await harness.join_single("bob", request=request)

    assert dict((await bob.expect("answer")).mid_to_track_id) == {}, "auto_subscribe left out means off"


async def test_metadata_and_attributes_of_the_join_request(harness: Harness) -> None:
    request = single_join(metadata="new", participant_attributes={"a": "1", "b": ""})

    anna = await harness.join_single(
        "anna", request=request, can_update_own_metadata=True, metadata="old", attributes={"c": "2"}
    )

    assert anna.join.participant.metadata == "new"
    assert dict(anna.join.participant.attributes) == {"a": "1", "c": "2"}


async def test_a_resume_goes_on_with_a_new_offer(harness: Harness) -> None:
    _, (camera,) = await publisher(harness, "video")
    bob = await joined(harness, "bob")
    await bob.expect("answer")
    again = single_join(reconnect=True, participant_sid=bob.sid)
    token = harness.server.token("room", "bob")

    resumed = await harness.connect(token, path="/rtc/v1", join_request=wrap(again))
    resumed.participant = bob.participant
    sdp = publisher_offer(*SIX, ufrag="new")
    await resumed.send(offer=messages.SessionDescription(type="offer", sdp=sdp, id=2))
    answer = await resumed.expect("answer")

    assert resumed.kinds()[:4] == ["reconnect", "update", "room_update", "refresh_token"]
    assert dict(answer.mid_to_track_id) == {"4": camera}
    assert bob.publisher.restarts == 1
    assert [track.closed for track in bob.publisher.down_tracks] == [False]


@pytest.mark.parametrize(
    ("path", "value", "status", "body"),
    [
        ("/rtc/v1/validate", None, 400, "join_request is required"),
        ("/rtc/v1/validate", "!", 400, "cannot base64 decode wrapped join request"),
        ("/rtc/v1/validate", wrap(single_join()), 200, "success"),
        ("/rtc/v1/validate", wrap(single_join(metadata="x")), 401, "no permissions to access the room"),
        ("/rtc/validate", wrap(single_join()), 200, "success"),
        ("/rtc/v1", wrap(single_join()), 404, ""),
    ],
)
async def test_validation(harness: Harness, path: str, value: str | None, status: int, body: str) -> None:
    parameters = {} if value is None else {"join_request": value}
    headers = {"Authorization": f"Bearer {harness.server.token('room', 'anna')}"}
    url = harness.server.http_url + path
    async with harness.http.get(url, params=parameters, headers=headers) as response:
        assert (response.status, await response.text()) == (status, body)


async def test_a_join_request_on_the_older_path_is_one_connection_too(harness: Harness) -> None:
    client = await harness.connect(
        harness.server.token("room", "anna"), join_request=wrap(single_join(publisher_offer=offer_of(*SIX)))
    )
    assert (await client.receive()).HasField("join")
    assert not client.seen[0].join.subscriber_primary
    await client.expect("answer")


async def test_a_very_long_join_request_is_taken(harness: Harness) -> None:
    request = single_join(publisher_offer=offer_of(*(SIX * 15)))
    value = wrap_plainly(request)
    assert len(value) > 50_000
    client = await harness.connect(harness.server.token("room", "a"), path="/rtc/v1", join_request=value)
    assert len(parse((await client.expect("answer")).sdp).media) == 91


def wrap_plainly(request: messages.JoinRequest) -> str:
    wrapped = messages.WrappedJoinRequest(join_request=request.SerializeToString())
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


@pytest.mark.parametrize("wanted", [True, False])
def test_data_tracks_are_subscribed_as_the_join_request_says(wanted: bool) -> None:
    settings = messages.ConnectionSettings(auto_subscribe_data_track=wanted)
    claims = Claims("anna", VideoGrant(room_join=True, room="room"))
    query = {"join_request": wrap(single_join(connection_settings=settings))}
    assert read_join_request(claims, query, Limits()).auto_subscribe_data_track is wanted


@pytest.mark.parametrize("asked", [False, True])
async def test_video_is_held_back_where_the_room_asks_for_it(asked: bool) -> None:
    async with Harness(playout_delay=PlayoutDelayConfig(enabled=asked, min_ms=50, max_ms=90)) as harness:
        await publisher(harness, "video")
        line = f"a=extmap:7 {PLAYOUT_DELAY_URI}\r\na=recvonly"
        sdp = publisher_offer(("video", "<")).replace("a=recvonly", line)
        join = single_join(publisher_offer=messages.SessionDescription(type="offer", sdp=sdp, id=1))
        bob = await harness.join_single("bob", request=join)

        answer = await bob.expect("answer")

        answered = [(e.id, e.uri) for e in section(answer, "1").header_extensions]
        assert ((7, PLAYOUT_DELAY_URI) in answered) == asked
        (down_track,) = bob.publisher.down_tracks
        assert down_track.parameters["playout_delay"] == ((50, 90, True) if asked else None)
