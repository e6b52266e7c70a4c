"""Hostile signalling and tokens against a running server: two honest participants never notice."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import random

import aiohttp
import pytest
from hostile_rooms import *  # noqa: F403 - the fixtures
from hostile_rooms import Honest, Offender
from hostile_tools import random_message
from livekit.protocol import models
from livekit.protocol import rtc as messages
from room_tools import Events, Rooms, within

import greenroom
from livekit import api, rtc

# ---- signalling ----


async def test_frames_that_are_no_messages_close_their_connection(
    server: greenroom.Server, offender: Offender
) -> None:
    generator = random.Random(1)
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        for number in range(60):
            await offender.websocket.send_str("{}" * number)
            await offender.websocket.send_bytes(b"\xff" + generator.randbytes(number))
    await offender.ended()
    assert server.counters["signal_frames_malformed"] > 20


async def test_a_huge_frame_closes_its_connection(offender: Offender) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        await offender.websocket.send_bytes(bytes(8 * 1024 * 1024))
    assert await offender.ended() in (None, 1006, 1009)


_SDP = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
_BAD_DESCRIPTIONS = {
    "empty": "",
    "noise": "\x00\x01\N{GRINNING FACE}" * 100,
    "no transport": _SDP,
    "no credentials": _SDP
    + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\na=sctp-port:5000\r\n",
    "bad numbers": _SDP + "m=audio 99999999 UDP/TLS/RTP/SAVPF 111 -1\r\na=mid:1\r\n",
    "a thousand sections": _SDP
    + "".join(f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{n}\r\n" for n in range(1000)),
}


@pytest.mark.parametrize("sdp", _BAD_DESCRIPTIONS.values(), ids=_BAD_DESCRIPTIONS.keys())
async def test_an_unusable_offer_ends_its_session(
    server: greenroom.Server, offender: Offender, sdp: str
) -> None:
    await offender.send(offer=messages.SessionDescription(type="offer", sdp=sdp, id=1))
    await offender.expect("leave")
    await offender.ended()
    assert server.counters["protocol_violations"] >= 1


async def test_answers_that_nobody_asked_for_are_ignored(offender: Offender) -> None:
    outstanding = (await offender.expect("offer")).offer
    for number in range(outstanding.id + 1, outstanding.id + 100):
        await offender.send(answer=messages.SessionDescription(type="answer", sdp=_SDP, id=number))
    await offender.is_served()


async def test_candidates_that_are_none_are_skipped(offender: Offender) -> None:
    lines = ["", "{", "[]", "null", '{"candidate": 5}', '{"candidate":"candidate:x"}', "\x00", "{" * 5000]
    lines += [
        '{"candidate":"candidate:1 1 udp 1 127.0.0.1 99999 typ host"}',
        "9" * 6000,
        '{"candidate":"' + "a" * 9999,
    ]
    for target in (0, 1):
        for line in lines * 20:
            await offender.send(trickle=messages.TrickleRequest(candidateInit=line, target=target))
    await offender.is_served()


async def test_hundreds_of_tracks_are_refused_beyond_the_limit(offender: Offender) -> None:
    for number in range(400):
        track = messages.AddTrackRequest(cid=f"c{number}", name="x" * 300, type=models.TrackType.VIDEO)
        await offender.send(add_track=track)
    refusal = await offender.expect("request_response")
    assert refusal.request_response.reason == messages.RequestResponse.Reason.LIMIT_EXCEEDED
    await offender.is_served()


async def test_requests_about_nothing_are_answered_or_ignored(offender: Offender) -> None:
    sids = ["", "TR_none", "\x00", "x" * 5000]
    for sid in sids:
        await offender.send(mute=messages.MuteTrackRequest(sid=sid, muted=True))
        await offender.send(subscription=messages.UpdateSubscription(track_sids=sids, subscribe=True))
        await offender.send(track_setting=messages.UpdateTrackSettings(track_sids=[sid], width=2**32 - 1))
        await offender.send(update_video_track=messages.UpdateLocalVideoTrack(track_sid=sid, width=2**32 - 1))
        await offender.send(simulate=messages.SimulateScenario(speaker_update=2**31 - 1))
    await offender.is_served()


async def test_random_messages_cost_at_most_their_connection(
    server: greenroom.Server, rooms: Rooms, honest: Honest
) -> None:
    url = f"{server.http_url}/rtc?protocol=16&access_token="
    async with aiohttp.ClientSession() as http:
        for seed in range(12):
            generator = random.Random(seed)
            async with http.ws_connect(url + rooms.token(f"mallory-{seed}"), max_msg_size=0) as websocket:
                with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                    for _ in range(60):
                        message = random_message(messages.SignalRequest, generator)
                        await websocket.send_bytes(message.SerializeToString())
            await honest.exchange()


async def test_a_client_that_never_reads_is_cut_off(server: greenroom.Server, offender: Offender) -> None:
    request = messages.SignalRequest(trickle=messages.TrickleRequest(candidateInit="{" * 100_000))
    frame = request.SerializeToString()  # it is repeated in the answer
    with contextlib.suppress(ConnectionError, aiohttp.ClientError, asyncio.TimeoutError):
        for _ in range(400):
            await asyncio.wait_for(offender.websocket.send_bytes(frame), 1)
    await offender.ended()
    assert server.counters["signal_connections_too_slow"] == 1


async def test_noise_on_the_data_channels_is_counted_and_dropped(
    server: greenroom.Server, rooms: Rooms, honest: Honest
) -> None:
    room, _ = await rooms.join("mallory")
    await room.local_participant.publish_data(b"opens the channels")
    session, generator = room._session, random.Random(5)
    assert session is not None
    for number in range(200):
        noise = b"\xff" + generator.randbytes(number * 20)
        for channel in session.publisher.channels.values():
            session.publisher.link.peer.send(channel, noise)
    await honest.exchange()
    await room.local_participant.publish_data(b"last", topic="last")
    await honest.receives("last")
    assert server.counters["data_dropped_malformed"] >= 200


async def test_bad_http_requests_are_refused(server: greenroom.Server, rooms: Rooms, honest: Honest) -> None:
    token = rooms.token("mallory")
    paths = [
        "/rtc",
        "/rtc/validate",
        f"/rtc?access_token={token}",
        f"/rtc?access_token={'x' * 7000}",
        "/%00",
        "/rtc/v1",
    ]
    paths += [
        f"/rtc?access_token={token}&protocol=x&join_request=%FF",
        "/rtc?access_token=a.b.c",
        "/" + "a/" * 2000,
    ]
    async with aiohttp.ClientSession() as http:
        for path in paths:
            async with http.get(server.http_url + path, headers={"Authorization": "Bearer x"}) as response:
                assert response.status == 200 or 400 <= response.status < 500, path


@pytest.mark.parametrize(("excess", "statuses"), [(1, (401,)), (500_000, (400, 431))])
async def test_an_oversized_token_is_refused(
    server: greenroom.Server, honest: Honest, excess: int, statuses: tuple[int, ...]
) -> None:
    """Beyond the limit by a little it is counted; far beyond, its HTTP request is none that is read."""
    before = server.counters["refused_401"]
    token = "x" * (server.config.limits.token_bytes + excess)
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.http_url}/rtc/validate", headers={"Authorization": f"Bearer {token}"}) as response,
    ):
        assert response.status in statuses
    assert server.counters["refused_401"] - before == (401 in statuses)
    await honest.exchange()


async def test_a_token_that_is_used_again_after_its_time_opens_nothing(
    server: greenroom.Server, rooms: Rooms, honest: Honest
) -> None:
    """Nor does one whose signature was cut, or whose claims were changed."""
    key, secret = next(iter(server.config.keys.items()))
    expired = api.AccessToken(key, secret).with_identity("anna").with_ttl(datetime.timedelta(hours=-1))
    late = expired.with_grants(api.VideoGrants(room_join=True, room=rooms.name)).to_jwt()
    head, claims, signature = rooms.token("anna").split(".")
    _, others_claims, _ = rooms.token("bob").split(".")
    before = server.counters["refused_401"]
    for token in (late, f"{head}.{claims}.", f"{head}.{others_claims}.{signature}", f"{head}.{claims}"):
        with pytest.raises(rtc.ConnectError) as raised:
            await within(rtc.Room().connect(server.url, token))
        assert raised.value.status == 401
        await honest.exchange()
    assert server.counters["refused_401"] - before >= 4


async def test_who_steals_a_token_that_is_in_use_takes_its_owners_place_and_no_more(
    server: greenroom.Server, rooms: Rooms, honest: Honest
) -> None:
    """A LiveKit token says who one is for as long as it lives: a second join with it displaces the first."""
    token = rooms.token("carol", can_publish=False)
    first, thief = rtc.Room(), rtc.Room()
    events = Events(first)
    await within(first.connect(server.url, token))
    await within(thief.connect(server.url, token))
    assert await events.wait("disconnected") == (rtc.DisconnectReason.DUPLICATE_IDENTITY,)
    assert not thief.local_participant.permissions.can_publish
    await honest.exchange()
    await thief.disconnect()
