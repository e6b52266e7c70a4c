"""RoomService as livekit-api, unmodified, uses it: what each call answers, and what participants then see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import jwt
import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from livekit.protocol.room import PerformRpcRequest, PerformRpcResponse
from server_fakes import Harness

from greenroom.server import Limits
from livekit import api

Reason = models.DisconnectReason


@pytest.fixture
async def client(harness: Harness) -> AsyncIterator[api.LiveKitAPI]:
    client = api.LiveKitAPI(harness.server.url, harness.server.api_key, harness.server.api_secret)
    yield client
    await client.aclose()


async def error_of(call: Awaitable[Any]) -> tuple[int, str, str]:
    with pytest.raises(api.TwirpError) as raised:
        await call
    return raised.value.status, raised.value.code, raised.value.message


NO_ROOM = (404, "not_found", "requested room does not exist")
NO_PARTICIPANT = (404, "not_found", "participant does not exist")


# ---- rooms ----


async def test_a_room_is_made_once(harness: Harness, client: api.LiveKitAPI) -> None:
    request = api.CreateRoomRequest(
        name="hall", empty_timeout=60, departure_timeout=5, max_participants=2, metadata="m"
    )
    room = await client.room.create_room(request)

    assert (room.empty_timeout, room.departure_timeout, room.max_participants) == (60, 5, 2)
    assert room.metadata == "m"
    again = await client.room.create_room(api.CreateRoomRequest(name="hall", metadata="other"))
    assert (again.sid, again.metadata) == (room.sid, "m")
    anna = await harness.join("anna", "hall")
    assert anna.join.room.sid == room.sid


async def test_presets_fill_what_a_request_leaves_open() -> None:
    preset = api.RoomConfiguration(empty_timeout=11, max_participants=3, metadata="preset")
    async with (
        Harness(room_presets={"small": preset}) as harness,
        api.LiveKitAPI(harness.server.url, harness.server.api_key, harness.server.api_secret) as client,
    ):
        request = api.CreateRoomRequest(name="hall", room_preset="small", max_participants=5)
        room = await client.room.create_room(request)
        assert (room.empty_timeout, room.max_participants, room.metadata) == (11, 5, "preset")

        request = api.CreateRoomRequest(name="other", room_preset="large")
        status, code, message = await error_of(client.room.create_room(request))
        assert (status, code) == (400, "invalid_argument")
        assert message == "unknown room configuration in create room request"


async def test_rooms_are_listed_by_name(harness: Harness, client: api.LiveKitAPI) -> None:
    for name in ("a", "b", "c"):
        await client.room.create_room(api.CreateRoomRequest(name=name))

    everything = await client.room.list_rooms(api.ListRoomsRequest())
    some = await client.room.list_rooms(api.ListRoomsRequest(names=["c", "a", "nowhere"]))

    assert sorted(room.name for room in everything.rooms) == ["a", "b", "c"]
    assert sorted(room.name for room in some.rooms) == ["a", "c"]


async def test_a_deleted_room_says_goodbye(harness: Harness, client: api.LiveKitAPI) -> None:
    anna = await harness.join("anna")

    await client.room.delete_room(api.DeleteRoomRequest(room="room"))

    assert (await anna.expect("leave")).reason == Reason.ROOM_DELETED
    assert await error_of(client.room.delete_room(api.DeleteRoomRequest(room="room"))) == NO_ROOM


async def test_metadata_of_a_room_reaches_everybody(harness: Harness, client: api.LiveKitAPI) -> None:
    anna = await harness.join("anna")

    room = await client.room.update_room_metadata(api.UpdateRoomMetadataRequest(room="room", metadata="new"))

    assert room.metadata == "new"
    while (await anna.expect("room_update")).room.metadata != "new":
        pass  # the counts of the room may be told first
    room = await client.room.update_room_metadata(api.UpdateRoomMetadataRequest(room="room"))
    assert room.metadata == ""
    missing = api.UpdateRoomMetadataRequest(room="nowhere", metadata="x")
    assert await error_of(client.room.update_room_metadata(missing)) == NO_ROOM


# ---- participants ----


async def test_participants_are_seen_hidden_ones_too(harness: Harness, client: api.LiveKitAPI) -> None:
    await harness.join("anna", name="Anna", attributes={"a": "b"})
    await harness.join("ghost", hidden=True)

    listed = await client.room.list_participants(api.ListParticipantsRequest(room="room"))
    anna = await client.room.get_participant(api.RoomParticipantIdentity(room="room", identity="anna"))

    assert sorted(p.identity for p in listed.participants) == ["anna", "ghost"]
    assert (anna.name, dict(anna.attributes)) == ("Anna", {"a": "b"})
    nobody = await client.room.list_participants(api.ListParticipantsRequest(room="nowhere"))
    assert list(nobody.participants) == []


async def test_a_removed_participant_may_come_back(harness: Harness, client: api.LiveKitAPI) -> None:
    anna = await harness.join("anna")
    who = api.RoomParticipantIdentity(room="room", identity="anna")

    await client.room.remove_participant(who)

    leave = await anna.expect("leave")
    assert (leave.reason, leave.action) == (
        Reason.PARTICIPANT_REMOVED,
        messages.LeaveRequest.Action.DISCONNECT,
    )
    assert await error_of(client.room.remove_participant(who)) == NO_PARTICIPANT
    assert (await harness.join("anna")).sid != anna.sid


async def test_a_track_is_muted(harness: Harness, client: api.LiveKitAPI) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    sid = await anna.publish("mic")
    request = api.MuteRoomTrackRequest(room="room", identity="anna", track_sid=sid, muted=True)

    track = (await client.room.mute_published_track(request)).track

    assert (track.sid, track.muted) == (sid, True)
    mute = await anna.expect("mute")
    assert (mute.sid, mute.muted) == (sid, True)
    while not (info := await bob.update_of("anna")).tracks or not info.tracks[0].muted:
        pass
    assert anna.publisher.up_tracks["1"].muted


async def test_muting_what_is_not_there(harness: Harness, client: api.LiveKitAPI) -> None:
    await harness.join("anna")
    mute = client.room.mute_published_track
    request = api.MuteRoomTrackRequest(room="room", identity="anna", track_sid="TR_none", muted=True)

    assert not (await mute(request)).HasField("track")
    request.muted = False
    assert await error_of(mute(request)) == (412, "failed_precondition", "remote unmute not enabled")
    request.identity = "bob"
    assert await error_of(mute(request)) == NO_PARTICIPANT


async def test_remote_unmute_where_it_is_enabled() -> None:
    async with Harness(remote_unmute=True) as harness:
        anna = await harness.join("anna")
        anna.activate()
        sid = await anna.publish("mic", muted=True)
        async with api.LiveKitAPI(
            harness.server.url, harness.server.api_key, harness.server.api_secret
        ) as client:
            request = api.MuteRoomTrackRequest(room="room", identity="anna", track_sid=sid, muted=False)
            assert not (await client.room.mute_published_track(request)).track.muted
        assert not (await anna.expect("mute")).muted


async def test_a_profile_is_changed(harness: Harness, client: api.LiveKitAPI) -> None:
    anna = await harness.join("anna", name="Anna", metadata="m", attributes={"keep": "1", "drop": "2"})
    bob = await harness.join("bob")
    request = api.UpdateParticipantRequest(
        room="room", identity="anna", name="Anna B", attributes={"drop": "", "new": "3"}
    )

    info = await client.room.update_participant(request)

    assert (info.name, info.metadata, dict(info.attributes)) == ("Anna B", "m", {"keep": "1", "new": "3"})
    while (await bob.update_of("anna")).name != "Anna B":
        pass
    await anna.expect("refresh_token")
    token = str(await anna.expect("refresh_token"))
    assert jwt.decode(token, options={"verify_signature": False})["name"] == "Anna B"
    missing = api.UpdateParticipantRequest(room="room", identity="carl", name="x")
    assert await error_of(client.room.update_participant(missing)) == NO_PARTICIPANT


async def test_a_permission_replaces_the_whole_one(harness: Harness, client: api.LiveKitAPI) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    bob.activate()
    microphone = await anna.publish("mic")
    camera = await anna.publish("cam", "video")
    await bob.publish("mic")
    assert len(anna.participant.subscriptions.publisher_sids()) == 1
    permission = models.ParticipantPermission(
        can_publish=True, can_publish_sources=[models.TrackSource.MICROPHONE]
    )
    request = api.UpdateParticipantRequest(room="room", identity="anna", permission=permission)

    info = await client.room.update_participant(request)

    assert info.permission == permission
    assert [track.sid for track in info.tracks] == [microphone]
    assert (await anna.expect("track_unpublished")).track_sid == camera
    assert anna.participant.subscriptions.publisher_sids() == set()
    refreshed = [m.refresh_token for m in anna.seen if m.HasField("refresh_token")]
    refreshed.append(await anna.expect("refresh_token"))
    video = jwt.decode(refreshed[-1], options={"verify_signature": False})["video"]
    assert (video["canSubscribe"], video["canPublishSources"]) == (False, ["microphone"])
    await anna.send(
        add_track=messages.AddTrackRequest(
            cid="again", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA
        )
    )
    refused = await anna.expect("request_response")
    assert refused.reason == messages.RequestResponse.Reason.NOT_ALLOWED

    request.permission.can_subscribe = True
    await client.room.update_participant(request)
    assert len(anna.participant.subscriptions.publisher_sids()) == 1


async def test_subscriptions_are_changed(harness: Harness, client: api.LiveKitAPI) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    bob.activate()
    sid = await anna.publish("mic")
    assert sid in bob.participant.subscriptions
    tracks = [models.ParticipantTracks(participant_sid=anna.sid, track_sids=[sid])]

    for subscribe in (False, True):
        request = api.UpdateSubscriptionsRequest(
            room="room",
            identity="bob",
            track_sids=["TR_none"],
            participant_tracks=tracks,
            subscribe=subscribe,
        )
        await client.room.update_subscriptions(request)
        assert (sid in bob.participant.subscriptions) is subscribe


# ---- data and calls ----


def packets(client: Any, channel: int) -> list[models.DataPacket]:
    return [models.DataPacket.FromString(data) for data in client.subscriber.sent[channel]]


async def test_data_reaches_those_it_names(harness: Harness, client: api.LiveKitAPI) -> None:
    clients = [await harness.join(name) for name in ("anna", "bob", "carl")]
    for each in clients[:2]:
        each.activate()
    anna, bob, carl = clients
    send = client.room.send_data

    await send(api.SendDataRequest(room="room", data=b"all", topic="t", kind=models.DataPacket.Kind.RELIABLE))
    await send(
        api.SendDataRequest(
            room="room", data=b"one", destination_identities=["bob"], kind=models.DataPacket.Kind.LOSSY
        )
    )

    (packet,) = packets(anna, 1)
    assert (packet.user.payload, packet.user.topic, packet.sequence) == (b"all", "t", 0)
    assert (packet.participant_identity, packet.participant_sid) == ("", "")
    assert [p.user.payload for p in packets(bob, 1)] == [b"all"]
    assert [p.user.payload for p in packets(bob, 3)] == [b"one"]
    assert packets(anna, 3) == packets(carl, 1) == []


async def test_data_that_is_refused(harness: Harness, client: api.LiveKitAPI) -> None:
    await harness.join("anna")
    assert await error_of(client.room.send_data(api.SendDataRequest(room="nowhere", data=b"x"))) == NO_ROOM
    url = f"{harness.server.http_url}/twirp/livekit.RoomService/SendData"
    token = harness.server.token("room", "admin", room_admin=True)
    for kind, nonce, message in (
        ("RELIABLE", "YQ==", "nonce should be 16-bytes or not present, got: 1 bytes"),
        (7, "", "kind 7 is neither RELIABLE nor LOSSY"),
    ):
        body = {"room": "room", "kind": kind, "nonce": nonce}
        async with harness.http.post(
            url, json=body, headers={"Authorization": f"Bearer {token}"}
        ) as response:
            assert response.status == 400
            assert await response.json() == {"code": "invalid_argument", "msg": message}
    body = {"room": "room", "data": "!!!"}
    async with harness.http.post(url, json=body, headers={"Authorization": f"Bearer {token}"}) as response:
        assert (response.status, (await response.json())["code"]) == (400, "malformed")


async def test_a_repeated_nonce_is_delivered_once(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()
    url = f"{harness.server.http_url}/twirp/livekit.RoomService/SendData"
    headers = {"Authorization": "Bearer " + harness.server.token("room", "admin", room_admin=True)}
    for _ in range(2):
        body = {"room": "room", "data": "aGk=", "nonce": "AAECAwQFBgcICQoLDA0ODw=="}
        async with harness.http.post(url, json=body, headers=headers) as response:
            assert response.status == 200
            assert await response.json() == {}
    assert [p.user.payload for p in packets(anna, 1)] == [b"hi"]


async def call(harness: Harness, **fields: Any) -> tuple[int, Any]:
    url = f"{harness.server.http_url}/twirp/livekit.RoomService/PerformRpc"
    headers = {
        "Authorization": "Bearer " + harness.server.token("room", "admin", room_admin=True),
        "Content-Type": "application/protobuf",
    }
    request = PerformRpcRequest(
        **{"room": "room", "destination_identity": "anna", "method": "greet", **fields}
    )
    async with harness.http.post(url, data=request.SerializeToString(), headers=headers) as response:
        if response.status == 200:
            return 200, PerformRpcResponse.FromString(await response.read()).payload
        return response.status, await response.json()


async def answer(client: Any, respond: Callable[[models.RpcRequest], models.RpcResponse | None]) -> None:
    """Acknowledge the next call that reaches the client, and answer it."""
    await client.subscriber.was_sent.wait()
    request = packets(client, 1)[-1].rpc_request
    ack = models.DataPacket(rpc_ack=models.RpcAck(request_id=request.id))
    client.publisher.receive(1, ack.SerializeToString())
    response = respond(request)
    if response is not None:
        client.publisher.receive(1, models.DataPacket(rpc_response=response).SerializeToString())


async def test_a_call_is_answered(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    anna.activate()
    bob.activate()

    def respond(request: models.RpcRequest) -> models.RpcResponse:
        assert (request.method, request.payload, request.version) == ("greet", "hi", 1)
        return models.RpcResponse(request_id=request.id, payload="hello")

    outcome, _ = await asyncio.gather(call(harness, payload="hi"), answer(anna, respond))

    assert outcome == (200, "hello")
    assert packets(bob, 1) == []


async def test_a_call_that_fails_in_its_handler(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()

    def respond(request: models.RpcRequest) -> models.RpcResponse:
        error = models.RpcError(code=1400, message="Method not supported at destination")
        return models.RpcResponse(request_id=request.id, error=error)

    (status, body), _ = await asyncio.gather(call(harness), answer(anna, respond))

    assert (status, body["code"]) == (400, "invalid_argument")
    assert body["msg"] == "RpcError 1400: Method not supported at destination"


async def test_calls_that_bring_nothing(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()

    (status, body), _ = await asyncio.gather(
        call(harness, response_timeout_ms=20), answer(anna, lambda _: None)
    )
    assert (status, body["code"], body["msg"]) == (408, "canceled", "RpcError 1502: Response timeout")

    status, body = await call(harness, payload="x" * 15_361)
    assert (status, body["msg"]) == (400, "RpcError 1402: Request payload too large")

    status, body = await call(harness, destination_identity="")
    assert (status, body["msg"]) == (400, "destination identity is required")

    status, body = await call(harness, destination_identity="bob")
    assert (status, body["msg"]) == (404, "participant does not exist")


async def test_a_call_to_somebody_who_leaves(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()

    async def leave() -> None:
        await anna.subscriber.was_sent.wait()
        await anna.send(leave=messages.LeaveRequest())

    (status, body), _ = await asyncio.gather(call(harness), leave())

    assert (status, body["code"], body["msg"]) == (
        503,
        "unavailable",
        "RpcError 1503: Recipient disconnected",
    )


# ---- what this server can't do ----


async def test_moving_is_refused_as_the_open_server_does(harness: Harness, client: api.LiveKitAPI) -> None:
    await harness.join("anna")
    move = client.room.move_participant
    request = api.MoveParticipantRequest(room="room", identity="anna", destination_room="other")

    assert await error_of(move(request)) == (500, "unknown", "not implemented")
    forward = api.ForwardParticipantRequest(room="room", identity="anna", destination_room="other")
    assert await error_of(client.room.forward_participant(forward)) == (500, "unknown", "not implemented")
    request.destination_room = "room"
    status, code, _ = await error_of(move(request))
    assert (status, code) == (400, "invalid_argument")


async def test_services_that_need_other_systems(client: api.LiveKitAPI) -> None:
    calls = {
        "livekit.Egress/ListEgress": client.egress.list_egress(api.ListEgressRequest()),
        "livekit.Ingress/ListIngress": client.ingress.list_ingress(api.ListIngressRequest()),
        "livekit.SIP/ListSIPInboundTrunk": client.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest()),
    }
    for name, call_ in calls.items():
        assert await error_of(call_) == (501, "unimplemented", f"{name} is not part of this server")


# ---- sizes and grants ----


async def test_sizes_are_limited() -> None:
    limits = Limits(metadata_bytes=10, attributes_bytes=10, name_bytes=10, room_name_bytes=10)
    async with Harness(limits=limits) as harness:
        await harness.join("anna")
        async with api.LiveKitAPI(
            harness.server.url, harness.server.api_key, harness.server.api_secret
        ) as client:
            eleven = "x" * 11
            update = client.room.update_participant
            for request, message in (
                ({"metadata": eleven}, "metadata size exceeds limits 10"),
                ({"name": eleven}, "name length exceeds limits 10"),
                ({"attributes": {"a": eleven}}, "attribute size exceeds limits 10"),
            ):
                refused = update(api.UpdateParticipantRequest(room="room", identity="anna", **request))
                assert await error_of(refused) == (400, "invalid_argument", message)
            long_name = client.room.create_room(api.CreateRoomRequest(name=eleven))
            assert (await error_of(long_name))[2] == "room name length exceeds limits: max length 10"


_ADMIN = {"room_admin": True}
GRANTS = {
    "CreateRoom": ({"name": "room"}, {"room_create": True}),
    "ListRooms": ({}, {"room_list": True}),
    "DeleteRoom": ({"room": "nowhere"}, {"room_create": True}),
    **{
        name: ({"room": "room"}, _ADMIN)
        for name in (
            "ListParticipants",
            "GetParticipant",
            "RemoveParticipant",
            "MutePublishedTrack",
            "UpdateParticipant",
            "UpdateSubscriptions",
            "SendData",
            "UpdateRoomMetadata",
            "PerformRpc",
        )
    },
    "MoveParticipant": ({"room": "room", "destination_room": "x"}, {**_ADMIN, "destination_room": "x"}),
    "ForwardParticipant": ({"room": "room", "destination_room": "x"}, {**_ADMIN, "destination_room": "x"}),
}


@pytest.mark.parametrize("name", GRANTS)
async def test_every_method_needs_its_grant(harness: Harness, name: str) -> None:
    body, needed = GRANTS[name]
    url = f"{harness.server.http_url}/twirp/livekit.RoomService/{name}"
    every = {"room_create": True, "room_list": True, "room_admin": True, "destination_room": "x"}
    without = [{k: v for k, v in every.items() if k != key} for key in needed]
    tokens = [harness.server.token("room", "a", **grants) for grants in without]
    if "room_admin" in needed:
        tokens.append(harness.server.token("another", "a", **every))

    for token in (None, *tokens):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with harness.http.post(url, json=body, headers=headers) as response:
            assert response.status == 401
            assert await response.json() == {"code": "unauthenticated", "msg": "permissions denied"}
    headers = {"Authorization": "Bearer " + harness.server.token("room", "a", **needed)}
    async with harness.http.post(url, json=body, headers=headers) as response:
        assert response.status != 401
