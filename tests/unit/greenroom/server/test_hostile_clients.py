"""Malformed and excessive input costs at most the connection it comes on."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness, publisher_offer

from greenroom import _engine
from greenroom.server import Limits

Action = messages.LeaveRequest.Action


async def test_malformed_frames_are_counted_and_skipped(harness: Harness) -> None:
    anna = await harness.join("anna")

    await anna.websocket.send_bytes(b"\xff\xff")
    await anna.websocket.send_str("{}")
    await anna.websocket.send_bytes(b"")
    await anna.settle()

    assert harness.server.counters["signal_frames_malformed"] == 2


async def test_too_many_malformed_frames_close_the_connection(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")

    for _ in range(30):
        await anna.websocket.send_bytes(b"\xff")

    assert await anna.closed() == 1008
    await bob.settle()


async def test_oversize_frame_closes_the_connection() -> None:
    async with Harness(limits=Limits(signalling_message_bytes=1000)) as harness:
        anna, bob = await harness.join("anna"), await harness.join("bob")

        await anna.websocket.send_bytes(b"x" * 2000)

        assert await anna.closed() in (
            1009,
            1006,
        )  # the rest of the frame is not read, so the code may be lost
        await bob.settle()


BAD_OFFERS = {
    "empty": "",
    "no description": "hello",
    "no transport": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
    "no credentials": publisher_offer(("audio", "c")).replace("a=ice-ufrag", "a=x-ice-ufrag"),
    "no fingerprint": publisher_offer(("audio", "c")).replace("a=fingerprint", "a=x"),
    "bad payload type": publisher_offer(("audio", "c")).replace("a=rtpmap:111 ", "a=rtpmap:x "),
    "two sections of one mid": publisher_offer(("audio", "c")).replace("a=mid:1", "a=mid:0"),
    "truncated": publisher_offer(("audio", "c"))[:90],
    "too large": publisher_offer() + "a=x\r\n" * 200_000,
}


@pytest.mark.parametrize("sdp", BAD_OFFERS.values(), ids=BAD_OFFERS.keys())
@pytest.mark.parametrize("kind", ["offer", "answer"])
async def test_unusable_description_ends_that_session_only(harness: Harness, sdp: str, kind: str) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    outstanding = await anna.expect("offer")

    description = messages.SessionDescription(type=kind, sdp=sdp, id=outstanding.id)
    await anna.send(**{kind: description})

    leave = await anna.expect("leave")
    assert (leave.reason, leave.action) == (models.DisconnectReason.STATE_MISMATCH, Action.RECONNECT)
    assert harness.server.counters["protocol_violations"] == 1
    await bob.settle()


async def test_answer_to_no_offer_is_ignored(harness: Harness) -> None:
    anna = await harness.join("anna")
    outstanding = await anna.expect("offer")

    await anna.send(answer=messages.SessionDescription(type="answer", sdp="x", id=outstanding.id + 7))
    await anna.answer(outstanding)
    await anna.answer(outstanding)
    await anna.settle()

    assert anna.subscriber.remote is not None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"candidate":5}', "[" * 100_000, '{"x":1}'], ids=lambda t: t[:9]
)
async def test_malformed_candidate_is_answered(harness: Harness, text: str) -> None:
    anna = await harness.join("anna")

    await anna.send(trickle=messages.TrickleRequest(candidateInit=text))

    response = await anna.expect("request_response")
    assert response.reason == messages.RequestResponse.Reason.UNCLASSIFIED_ERROR
    assert response.HasField("trickle")
    await anna.settle()


async def test_candidates_are_bounded() -> None:
    async with Harness(limits=Limits(pending_candidates=10)) as harness:
        anna = await harness.join("anna")
        for number in range(30):
            init = f'{{"candidate":"candidate:{number} 1 udp 1 10.0.0.1 5000 typ host"}}'
            await anna.send(trickle=messages.TrickleRequest(candidateInit=init))
        await anna.offer()
        await anna.expect("answer")

        assert len(anna.publisher.candidates) == 10
        assert harness.server.counters["candidates_dropped"] == 20


async def test_candidate_the_engine_refuses_is_counted(harness: Harness) -> None:
    anna = await harness.join("anna")
    await anna.offer()

    await anna.send(trickle=messages.TrickleRequest(candidateInit='{"candidate":"rubbish"}'))
    await anna.settle()

    assert harness.server.counters["candidates_malformed"] == 1


async def test_tracks_are_bounded() -> None:
    async with Harness(limits=Limits(published_tracks=3)) as harness:
        anna = await harness.join("anna")
        for number in range(4):
            await anna.send(add_track=messages.AddTrackRequest(cid=str(number)))

        response = await anna.expect("request_response")

        assert response.reason == messages.RequestResponse.Reason.LIMIT_EXCEEDED
        assert response.add_track.cid == "3"


async def test_remembered_wishes_are_bounded() -> None:
    async with Harness(limits=Limits(remembered_tracks=10)) as harness:
        anna = await harness.join("anna")
        sids = [f"TR_{n}" for n in range(1000)]

        await anna.send(subscription=messages.UpdateSubscription(track_sids=sids, subscribe=True))
        await anna.send(track_setting=messages.UpdateTrackSettings(track_sids=sids))
        await anna.settle()

        subscriptions = anna.participant.subscriptions
        assert len(subscriptions._wishes) == len(subscriptions._missing) == len(subscriptions._settings) == 10


async def test_client_that_does_not_read_is_cut_off() -> None:
    async with Harness(limits=Limits(outgoing_messages=20)) as harness:
        anna, bob = await harness.join("anna"), await harness.join("bob")
        session = anna.participant.session
        anna.websocket._response.connection.transport.pause_reading()  # type: ignore[union-attr]

        for _ in range(5000):
            session.send(b"x" * 100_000)
            await asyncio.sleep(0)
            if harness.server.counters["signal_connections_too_slow"]:
                break

        assert harness.server.counters["signal_connections_too_slow"] == 1
        await bob.settle()


async def test_burst_does_not_cost_the_connection() -> None:
    async with Harness(limits=Limits(outgoing_messages=20)) as harness:
        anna = await harness.join("anna")

        for _ in range(500):
            anna.participant.send(messages.SignalResponse(pong=1))
        await anna.settle()

        assert anna.kinds().count("pong") == 500


async def test_flood_does_not_cost_the_others() -> None:
    async with Harness(limits=Limits(outgoing_messages=20)) as harness:
        anna, bob = await harness.join("anna"), await harness.join("bob")
        sid = await anna.publish("c")
        anna.publisher.connect()

        for number in range(500):
            await anna.send(mute=messages.MuteTrackRequest(sid=sid, muted=number % 2 == 0))
        await anna.settle()
        await bob.settle()


async def test_huge_track_description_is_refused(harness: Harness) -> None:
    anna = await harness.join("anna")

    await anna.send(add_track=messages.AddTrackRequest(cid="c", name="x" * 20_000))

    assert (await anna.expect("request_response")).reason == messages.RequestResponse.Reason.LIMIT_EXCEEDED


async def test_random_requests_never_break_the_server(harness: Harness) -> None:
    generator = random.Random(7)
    offer = publisher_offer(("audio", "a"), ("simulcast", "b"))
    bob = await harness.join("bob")
    for _ in range(40):
        anna = await harness.join("anna")
        for _ in range(10):
            await anna.websocket.send_bytes(_random_request(generator, offer))
        await bob.settle()


def _random_request(generator: random.Random, offer: str) -> bytes:
    words: list[Any] = ["", "TR_x", "anna", "{}", "\0", "é" * 50]
    text = generator.choice(words)
    position, length = generator.randrange(len(offer)), generator.randrange(1, 40)
    sdp = offer[:position] + text + offer[position + length :]
    requests = [
        messages.SignalRequest(
            offer=messages.SessionDescription(type="offer", sdp=sdp, id=generator.getrandbits(32))
        ),
        messages.SignalRequest(answer=messages.SessionDescription(type="answer", sdp=sdp)),
        messages.SignalRequest(add_track=messages.AddTrackRequest(cid=text, type=generator.randrange(3))),
        messages.SignalRequest(mute=messages.MuteTrackRequest(sid=text, muted=True)),
        messages.SignalRequest(subscription=messages.UpdateSubscription(track_sids=[text], subscribe=True)),
        messages.SignalRequest(track_setting=messages.UpdateTrackSettings(track_sids=[text], quality=9)),
        messages.SignalRequest(sync_state=messages.SyncState(track_sids_disabled=[text])),
        messages.SignalRequest(update_metadata=messages.UpdateParticipantMetadata(name=text)),
        messages.SignalRequest(trickle=messages.TrickleRequest(candidateInit=text, target=7)),
        messages.SignalRequest(update_layers=messages.UpdateVideoLayers(track_sid=text)),
        messages.SignalRequest(simulate=messages.SimulateScenario(node_failure=True)),
    ]
    encoded = generator.choice(requests).SerializeToString()
    if generator.random() < 0.3:
        cut = generator.randrange(len(encoded) + 1)
        encoded = encoded[:cut] + generator.randbytes(3)
    return encoded


async def test_engine_that_fails_at_the_start_costs_that_session_only(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise _engine.EngineError("no channel can be opened")

    bob = await harness.join("bob")
    with monkeypatch.context() as patch:
        patch.setattr("server_fakes.FakeTransport.open_channel", fail)
        anna = await harness.join("anna")
        leave = await anna.expect("leave")
    assert leave.action == Action.RECONNECT
    await anna.closed()
    await bob.settle()
    assert [t.closed for t in harness.sfu.transports] == [False, False, True, True]
