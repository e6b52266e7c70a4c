"""One peer connection for both directions: joining, receiving, resuming, and servers that have no such thing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from client_fakes import TIMEOUT_S, FakeAudioSource, FakePeers, SignalServer, participant, track
from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.client.errors import TokenError
from greenroom.signalling.sdp import Direction, MediaKind, Msid, parse
from livekit import rtc

CAMERA = Msid("PA_alice|TR_cam", "TR_cam")


@pytest.fixture
async def server() -> AsyncIterator[SignalServer]:
    async with SignalServer(single=True) as server:
        server.join.subscriber_primary = False
        server.join.other_participants.append(
            participant("alice", tracks=[track("TR_cam", models.TrackType.VIDEO)])
        )
        yield server


@pytest.fixture
async def room(server: SignalServer, peers: FakePeers) -> AsyncIterator[rtc.Room]:
    room = rtc.Room()
    yield room
    await room.disconnect()


def happened(room: rtc.Room, event: str) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    room.once(event, lambda *args: future.set_result(args))  # type: ignore[call-overload]
    return asyncio.ensure_future(asyncio.wait_for(future, TIMEOUT_S))


async def test_the_offer_goes_with_the_join(server: SignalServer, peers: FakePeers, room: rtc.Room) -> None:
    await room.connect(server.url, "token", rtc.RoomOptions(auto_subscribe=False))

    connection = await server.connection()
    request = connection.join_request
    assert request is not None
    assert connection.request.path == "/rtc/v1"
    info = request.client_info
    assert (info.sdk, info.protocol >= 15) == (models.ClientInfo.SDK.PYTHON, True)
    assert not request.connection_settings.auto_subscribe
    media = parse(request.publisher_offer.sdp).media
    kinds = [MediaKind.APPLICATION, *[MediaKind.AUDIO] * 3, *[MediaKind.VIDEO] * 3]
    assert [section.kind for section in media] == kinds
    assert {section.direction for section in media[1:]} == {Direction.RECVONLY}
    trickle = await connection.expect("trickle")
    assert trickle.target == proto.SignalTarget.PUBLISHER
    assert json.loads(trickle.candidateInit)["candidate"].startswith("candidate:1 1 udp")
    (peer,) = peers.made
    assert list(peer.channels.values()) == ["_reliable", "_lossy", "_data_track"]


async def test_tracks_follow_the_answers(server: SignalServer, peers: FakePeers, room: rtc.Room) -> None:
    subscribed, unsubscribed = happened(room, "track_subscribed"), happened(room, "track_unsubscribed")
    server.tracks["4"] = CAMERA
    await room.connect(server.url, "token")
    remote, publication, alice = await subscribed
    assert (remote.sid, publication.sid, alice.identity) == ("TR_cam", "TR_cam", "alice")
    assert ("add_receiver", ("4", "video", 504, None)) in peers.publisher.calls

    del server.tracks["4"]
    await (await server.connection()).send(media_sections_requirement=proto.MediaSectionsRequirement())

    assert (await unsubscribed)[0] is remote
    assert ("remove_receiver", ("4",)) in peers.publisher.calls


async def test_an_answer_that_the_engine_refuses_is_survived(
    server: SignalServer, peers: FakePeers, room: rtc.Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.connect(server.url, "token")
    connection = await server.connection()

    def refuse(*_: Any, **__: Any) -> None:
        raise _engine.EngineError("SSRC 0 is reserved")

    with monkeypatch.context() as patched:
        patched.setattr(peers.publisher, "add_receiver", refuse, raising=False)
        server.tracks["4"] = CAMERA
        await connection.send(media_sections_requirement=proto.MediaSectionsRequirement())
        await connection.expect("offer")
        await connection.send(media_sections_requirement=proto.MediaSectionsRequirement())
        await connection.expect("offer", count=2)
    subscribed = happened(room, "track_subscribed")
    await connection.send(media_sections_requirement=proto.MediaSectionsRequirement())
    assert (await subscribed)[0].sid == "TR_cam"


async def test_as_many_sections_as_the_server_asks_for(
    server: SignalServer, peers: FakePeers, room: rtc.Room
) -> None:
    await room.connect(server.url, "token")
    connection = await server.connection()

    asked = proto.MediaSectionsRequirement(num_audios=1, num_videos=2)
    await connection.send(media_sections_requirement=asked)
    media = parse((await connection.expect("offer")).sdp).media
    await connection.send(media_sections_requirement=proto.MediaSectionsRequirement(num_videos=2**31))
    many = parse((await connection.expect("offer", count=2)).sdp).media

    assert [section.kind.value for section in media[7:]] == ["audio", "video", "video"]
    assert [section.mid for section in media] == [str(number) for number in range(10)]
    assert len(many) == 1 + 4 + 150, "nobody makes us offer without end"


async def test_publishing_and_receiving_share_the_offers(
    server: SignalServer, peers: FakePeers, room: rtc.Room
) -> None:
    await room.connect(server.url, "token")
    microphone = rtc.LocalAudioTrack.create_audio_track("mic", FakeAudioSource())

    await room.local_participant.publish_track(microphone)

    section = parse((await (await server.connection()).expect("offer")).sdp).media[7]
    assert (section.mid, section.direction) == ("7", Direction.SENDONLY)
    assert any(call[0] == "add_audio_sender" for call in peers.publisher.calls)


async def test_a_resume_tells_its_state_then_offers_with_new_credentials(
    server: SignalServer, peers: FakePeers, room: rtc.Room
) -> None:
    server.tracks["4"] = CAMERA
    await room.connect(server.url, "token")
    first = await server.connection()
    reconnected = happened(room, "reconnected")

    await first.websocket.close()
    resumed = await server.connection()
    await reconnected

    assert resumed.join_request is not None
    assert (resumed.join_request.reconnect, resumed.join_request.participant_sid) == (True, "PA_me")
    assert not resumed.join_request.HasField("publisher_offer")
    kinds = [kind for kind, _ in resumed.received if kind in ("sync_state", "offer")]
    assert kinds == ["sync_state", "offer"]
    state = await resumed.expect("sync_state")
    assert (state.offer.type, state.answer.type) == ("offer", "answer")
    assert {channel.target for channel in state.data_channels} == {proto.SignalTarget.PUBLISHER}
    assert parse((await resumed.expect("offer")).sdp).media[0].ice_ufrag == "ufrag1"
    assert len(peers.made) == 1


@pytest.mark.parametrize("wanted", [None, True])
async def test_a_server_without_it_gets_two_connections(peers: FakePeers, wanted: bool | None) -> None:
    async with SignalServer() as server:
        room = rtc.Room()
        await room.connect(server.url, "token", rtc.RoomOptions(single_peer_connection=wanted))
        connection = await server.connection()
        assert (connection.request.path, connection.join_request) == ("/rtc", None)
        assert [peer.controlling for peer in peers.made] == [True, False]
        await room.disconnect()


async def test_it_is_not_tried_when_it_is_not_wanted(
    server: SignalServer, peers: FakePeers, room: rtc.Room
) -> None:
    server.join.subscriber_primary = True
    await room.connect(server.url, "token", rtc.RoomOptions(single_peer_connection=False))
    assert (await server.connection()).request.path == "/rtc"


async def test_other_refusals_are_final(server: SignalServer, peers: FakePeers, room: rtc.Room) -> None:
    requests: list[str] = []

    async def count(request: Any) -> None:
        requests.append(request.path)

    server.on_request = count
    server.refusal = (401, "invalid token: token is expired")
    with pytest.raises(TokenError):
        await room.connect(server.url, "token")
    assert requests == ["/rtc/v1"]
    assert peers.made == []
