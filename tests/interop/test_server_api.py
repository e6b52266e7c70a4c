"""The server's API, call by call on livekit-server and on the embedded server: the same answers, the same errors."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from livekit.protocol.models import DataPacket
from room_tools import Events

from livekit import api, rtc

from .servers import API_KEY, API_SECRET, RoomServer

_ROOM, _HALL = "api-room", "api-hall"
_ADMIN = {"room_admin": True}
_ANSWER_LIMIT_S = 15.0

Answer = tuple[int, Any]
"""HTTP status, and the body as JSON (or text)."""


@dataclass(frozen=True)
class Call:
    """One request; `grants` are those of its token, None sends no token."""

    method: str
    body: Any
    grants: dict[str, Any] | None
    service: str = "livekit.RoomService"
    content_type: str = "application/json"
    verb: str = "POST"

    async def make(self, server: RoomServer, http: aiohttp.ClientSession, track_sid: str) -> Answer:
        """Ask; `{track}` in the body stands for the SID of anna's track."""
        headers = {"Content-Type": self.content_type}
        if self.grants is not None:
            grants = {"room": _ROOM, **self.grants}
            headers["Authorization"] = "Bearer " + server.token("admin", grants.pop("room"), **grants)
        url = f"{server.url.replace('ws', 'http', 1)}/twirp/{self.service}/{self.method}"
        data = (
            self.body if isinstance(self.body, bytes) else json.dumps(self.body).replace("{track}", track_sid)
        )
        async with http.request(self.verb, url, data=data, headers=headers) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json else text


def _room_call(method_: str, **body: Any) -> Call:
    return Call(method_, {"room": _ROOM, **body}, _ADMIN)


_LONG = "x" * 600_000
_CREATE, _LIST = {"room_create": True}, {"room_list": True}
_SPOKEN: dict[str, Call] = {
    "create": Call(
        "CreateRoom", {"name": _HALL, "emptyTimeout": 60, "max_participants": 3, "metadata": "m"}, _CREATE
    ),
    "create again": Call("CreateRoom", {"name": _HALL, "metadata": "other", "empty_timeout": 5}, _CREATE),
    "create with an unknown preset": Call("CreateRoom", {"name": "new", "roomPreset": "none"}, _CREATE),
    "create with a long name": Call("CreateRoom", {"name": "n" * 257}, _CREATE),
    "create with much metadata": Call("CreateRoom", {"name": "new", "metadata": _LONG}, _CREATE),
    "list some": Call("ListRooms", {"names": [_HALL, "nowhere"]}, _LIST),
    "list none": Call("ListRooms", {"names": ["nowhere"]}, _LIST),
    "metadata": Call("UpdateRoomMetadata", {"room": _HALL, "metadata": "new"}, {**_ADMIN, "room": _HALL}),
    "no metadata": Call("UpdateRoomMetadata", {"room": _HALL}, {**_ADMIN, "room": _HALL}),
    "metadata of no room": Call("UpdateRoomMetadata", {"room": "gone"}, {**_ADMIN, "room": "gone"}),
    "delete": Call("DeleteRoom", {"room": _HALL}, _CREATE),
    "delete again": Call("DeleteRoom", {"room": _HALL}, _CREATE),
    "participants": _room_call("ListParticipants"),
    "participants of no room": Call("ListParticipants", {"room": "gone"}, {**_ADMIN, "room": "gone"}),
    "participant": _room_call("GetParticipant", identity="anna"),
    "no participant": _room_call("GetParticipant", identity="nobody"),
    "rename": _room_call("UpdateParticipant", identity="anna", name="Anna", attributes={"a": "b"}),
    "rename again": _room_call("UpdateParticipant", identity="anna", attributes={"a": "", "c": "d"}),
    "rename nobody": _room_call("UpdateParticipant", identity="nobody", name="x"),
    "rename to much": _room_call("UpdateParticipant", identity="anna", name="n" * 257),
    "too much metadata": _room_call("UpdateParticipant", identity="anna", metadata=_LONG),
    "too many attributes": _room_call("UpdateParticipant", identity="anna", attributes={"a": "x" * 70_000}),
    "permission": _room_call(
        "UpdateParticipant",
        identity="anna",
        permission={"can_publish": True, "can_publish_data": True, "canPublishSources": ["MICROPHONE", 1]},
    ),
    "mute": _room_call("MutePublishedTrack", identity="anna", trackSid="{track}", muted=True),
    "mute nothing": _room_call("MutePublishedTrack", identity="anna", track_sid="TR_none", muted=True),
    "unmute": _room_call("MutePublishedTrack", identity="anna", track_sid="{track}"),
    "subscribe": _room_call("UpdateSubscriptions", identity="bob", track_sids=["TR_none"], subscribe=True),
    "data": _room_call("SendData", data="aGk=", kind="LOSSY", destination_identities=["nobody"]),
    "data with a bad nonce": _room_call("SendData", data="aGk=", nonce="YQ=="),
    "call": _room_call("PerformRpc", destination_identity="anna", method="greet", payload="hi"),
    "call to an unknown method": _room_call("PerformRpc", destination_identity="anna", method="fly"),
    "call with much": _room_call(
        "PerformRpc", destination_identity="anna", method="greet", payload="x" * 15_361
    ),
    "call to nobody": _room_call("PerformRpc", method="greet"),
    "move": Call(
        "MoveParticipant",
        {"room": _ROOM, "identity": "anna", "destination_room": "x"},
        {**_ADMIN, "destination_room": "x"},
    ),
    "forward": Call(
        "ForwardParticipant",
        {"room": _ROOM, "identity": "anna", "destination_room": "x"},
        {**_ADMIN, "destination_room": "x"},
    ),
    "move to the same room": Call(
        "MoveParticipant",
        {"room": _ROOM, "identity": "anna", "destination_room": _ROOM},
        {**_ADMIN, "destination_room": _ROOM},
    ),
    "move elsewhere": Call("MoveParticipant", {"room": _ROOM, "destination_room": "x"}, _ADMIN),
    "dispatch": Call(
        "CreateDispatch",
        {"room": _ROOM, "agent_name": "helper", "metadata": "m"},
        _ADMIN,
        "livekit.AgentDispatchService",
    ),
    "dispatches": Call("ListDispatch", {"room": _ROOM}, _ADMIN, "livekit.AgentDispatchService"),
    "no such dispatch": Call(
        "DeleteDispatch", {"room": _ROOM, "dispatch_id": "AD_none"}, _ADMIN, "livekit.AgentDispatchService"
    ),
    "bad deployment": Call(
        "CreateDispatch",
        {"room": _ROOM, "agent_name": "helper", "deployment": "a b"},
        _ADMIN,
        "livekit.AgentDispatchService",
    ),
    "remove": _room_call("RemoveParticipant", identity="bob"),
    "remove nobody": _room_call("RemoveParticipant", identity="nobody"),
    "no grant": Call("ListRooms", {}, _CREATE),
    "no token": Call("ListRooms", {}, None),
    "admin of another room": Call("ListParticipants", {"room": "other"}, _ADMIN),
    "unknown method": Call("Fly", {}, _LIST),
    "GET": Call("ListRooms", {}, _LIST, verb="GET"),
    "strange content": Call("ListRooms", {}, _LIST, content_type="text/plain"),
    "cut JSON": Call("ListRooms", b"{", _LIST),
    "wrong type": Call("ListRooms", {"names": 5}, _LIST),
    "no body": Call("ListRooms", b"", _LIST),
    "a name twice": Call("ListRooms", b'{"names": [], "names": []}', _LIST),
    "UTF-16": Call("ListRooms", '{"names": []}'.encode("utf-16"), _LIST),
    "a list": Call("ListRooms", b"[]", _LIST),
    "unknown field": Call("ListRooms", b'{"names": ["gone"], "colour": {"a": [1]}}', _LIST),
    "content with a charset": Call(
        "ListRooms", {"names": ["gone"]}, _LIST, content_type="Application/JSON; charset=utf-8"
    ),
    "data that is no base64": _room_call("SendData", data="!!!"),
    "an unknown kind of data": _room_call("SendData", data="aGk=", kind="FASTEST"),
    "an unknown source": _room_call(
        "UpdateParticipant", identity="anna", permission={"can_publish_sources": ["WINDOW"]}
    ),
    "seconds as text": Call("CreateRoom", {"name": "typed", "emptyTimeout": "30"}, _CREATE),
    "half a second": Call("CreateRoom", {"name": "typed", "emptyTimeout": 0.5}, _CREATE),
    "less than no seconds": Call("CreateRoom", {"name": "typed", "emptyTimeout": -1}, _CREATE),
    "error in protobuf": Call(
        "GetParticipant",
        api.RoomParticipantIdentity(room=_ROOM, identity="nobody").SerializeToString(),
        _ADMIN,
        content_type="application/protobuf",
    ),
    "text that is no UTF-8": Call(
        "CreateRoom", b"\x0a\x01\xff", _CREATE, content_type="application/protobuf"
    ),
    "no protobuf": Call("ListRooms", b"\xff", _LIST, content_type="application/protobuf"),
    "unknown service": Call("Do", {}, _LIST, "livekit.Nothing"),
}
"""In this order: later calls meet what earlier ones left."""

_OWN_VALUES = frozenset(
    {
        # made anew by each server
        *("sid", "id", "creation_time", "creation_time_ms", "turn_password", "joined_at", "joined_at_ms"),
        *("unix_micro", "created_at", "cid"),
        # counts changes, which the two servers batch in their own way
        "version",
        # the embedded server forwards fewer codecs
        "enabled_codecs",
    }
)
_BUS_PREFIX = "twirp error unknown: "
"""livekit-server's own: of errors that crossed its message bus, which the embedded server does not have."""


def _comparable(value: Any, name: str = "") -> Any:
    if name in _OWN_VALUES:
        return type(value).__name__
    if isinstance(value, dict):
        return {key: _comparable(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        # Neither server promises an order of rooms, participants or dispatches.
        return sorted(
            (_comparable(inner) for inner in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
    return value.removeprefix(_BUS_PREFIX) if name == "msg" else value


async def _converse(server: RoomServer) -> dict[str, Answer]:
    """All answers of one server, with two participants in the room."""
    anna, bob = rtc.Room(), rtc.Room()
    await asyncio.gather(
        anna.connect(server.url, server.token("anna", _ROOM)),
        bob.connect(server.url, server.token("bob", _ROOM)),
    )
    try:
        anna.local_participant.register_rpc_method("greet", _greet)
        track = rtc.LocalAudioTrack.create_audio_track("mic", rtc.AudioSource(48_000, 1))
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await anna.local_participant.publish_track(track, options)
        async with aiohttp.ClientSession() as http:
            return {
                name: await asyncio.wait_for(call.make(server, http, publication.sid), _ANSWER_LIMIT_S)
                for name, call in _SPOKEN.items()
            }
    finally:
        await asyncio.gather(anna.disconnect(), bob.disconnect())


async def _greet(data: rtc.RpcInvocationData) -> str:
    return f"hello, you said {data.payload}"


async def test_the_same_answers(livekit: RoomServer, embedded: RoomServer) -> None:
    real, ours = await asyncio.gather(_converse(livekit), _converse(embedded))

    for name in _SPOKEN:
        assert (name, ours[name][0]) == (name, real[name][0])
        assert (name, _comparable(ours[name][1])) == (name, _comparable(real[name][1]))


@pytest.mark.parametrize("server_name", ["livekit", "embedded"])
async def test_livekit_api_on_both(server_name: str, request: pytest.FixtureRequest) -> None:
    server: RoomServer = request.getfixturevalue(server_name)
    name = f"typed-{server_name}"
    room = rtc.Room()
    events = Events(room)
    await room.connect(server.url, server.token("anna", name))
    try:
        async with api.LiveKitAPI(server.url, API_KEY, API_SECRET) as client:
            who = api.RoomParticipantIdentity(room=name, identity="anna")
            assert (await client.room.get_participant(who)).sid == room.local_participant.sid
            await client.room.update_room_metadata(api.UpdateRoomMetadataRequest(room=name, metadata="m"))
            await events.wait("room_metadata_changed", lambda _, new: new == "m")
            update = api.UpdateParticipantRequest(
                room=name, identity="anna", name="Anna", attributes={"a": "b"}
            )
            await client.room.update_participant(update)
            await events.wait("participant_name_changed")
            await events.wait("participant_attributes_changed", lambda changed, _: changed == {"a": "b"})
            await client.room.send_data(
                api.SendDataRequest(
                    room=name,
                    data=b"hi",
                    topic="t",
                    kind=DataPacket.Kind.RELIABLE,
                    destination_identities=["anna"],
                )
            )
            (packet,) = await events.wait("data_received")
            assert (packet.data, packet.topic, packet.participant) == (b"hi", "t", None)
            await client.room.remove_participant(who)
            assert await events.wait("disconnected") == (rtc.DisconnectReason.PARTICIPANT_REMOVED,)
            with pytest.raises(api.TwirpError) as raised:
                await client.room.get_participant(who)
            assert (raised.value.status, raised.value.code) == (404, "not_found")
    finally:
        await room.disconnect()
