"""Arguments of the wrong type: the error names the argument and what it must be, and nothing is sent or changed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from client_fakes import FakeAudioSource, FakePeers, FakeVideoSource, SignalServer, participant, track

from greenroom.client.errors import ConnectError, InvalidUrlError, MalformedTokenError
from livekit import rtc

_Call = Callable[[rtc.LocalParticipant], Coroutine[Any, Any, Any]]
_CALLS: dict[str, tuple[_Call, str]] = {
    "a number as payload": (
        lambda local: local.publish_data(5),  # type: ignore[arg-type]
        "payload is 5: it must be bytes or a string",
    ),
    "nothing as payload": (
        lambda local: local.publish_data(None),  # type: ignore[arg-type]
        "payload is None: it must be bytes or a string",
    ),
    "one name as destinations": (
        lambda local: local.publish_data(b"", destination_identities="bob"),  # type: ignore[arg-type]
        "destination_identities is 'bob': it must be a list of identities",
    ),
    "a number as topic": (
        lambda local: local.publish_data(b"", topic=5),  # type: ignore[arg-type]
        "topic is 5: it must be a string",
    ),
    "no track": (
        lambda local: local.publish_track(None),  # type: ignore[arg-type]
        "track is None: it must be a LocalAudioTrack or a LocalVideoTrack",
    ),
    "a number as text": (
        lambda local: local.send_text(5),  # type: ignore[arg-type]
        "text is 5: it must be a string",
    ),
    "one name as destinations of a text": (
        lambda local: local.send_text("", destination_identities="bob"),  # type: ignore[arg-type]
        "destination_identities is 'bob': it must be a list of identities",
    ),
    "a number as bytes": (
        lambda local: local.send_bytes(5),  # type: ignore[arg-type]
        "data is 5: it must be bytes or a string",
    ),
    "a number as name of a data track": (
        lambda local: local.publish_data_track(name=5),  # type: ignore[arg-type]
        "name is 5: it must be a string",
    ),
    "attributes without values": (
        lambda local: local.set_attributes(["k"]),  # type: ignore[arg-type]
        r"attributes is \['k'\]: it must be a dict",
    ),
}


@pytest.fixture
async def room(server: SignalServer, peers: FakePeers) -> Any:
    server.join.other_participants.append(participant("alice", tracks=[track("TR_a")]))
    async with rtc.Room() as room:
        await room.connect(server.url, "token")
        yield room


@pytest.mark.parametrize(("call", "message"), _CALLS.values(), ids=_CALLS)
async def test_a_wrong_argument_is_named(room: rtc.Room, call: _Call, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        await call(room.local_participant)


async def test_a_permission_that_is_none_is_named(room: rtc.Room) -> None:
    with pytest.raises(TypeError, match="'bob': it must be a ParticipantTrackPermission"):
        room.local_participant.set_track_subscription_permissions(
            allow_all_participants=False,
            participant_permissions=["bob"],  # type: ignore[list-item]
        )


def test_a_track_needs_a_source_of_its_kind() -> None:
    with pytest.raises(TypeError, match="it must be an AudioSource"):
        rtc.LocalAudioTrack.create_audio_track("sound", FakeVideoSource(64, 64))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="it must be a VideoSource"):
        rtc.LocalVideoTrack.create_video_track("picture", FakeAudioSource())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="source is None"):
        rtc.LocalVideoTrack.create_video_track("picture", None)  # type: ignore[arg-type]


async def test_stream_handlers_are_plain_functions() -> None:
    async def handler(reader: object, identity: str) -> None:
        raise AssertionError("nobody would await it")

    room = rtc.Room()
    for register in (room.register_text_stream_handler, room.register_byte_stream_handler):
        with pytest.raises(ValueError, match="coroutine function"):
            register("topic", handler)
        with pytest.raises(TypeError, match="must be callable"):
            register("topic", None)  # type: ignore[arg-type]
        register("topic", lambda reader, identity: None)


@pytest.mark.parametrize(
    ("url", "token", "error", "message"),
    [
        (None, "token", InvalidUrlError, "server URL None is no string"),
        ("ws://127.0.0.1:1", None, MalformedTokenError, "the access token is None"),
    ],
)
async def test_a_missing_url_or_token_is_named(
    url: Any, token: Any, error: type[ConnectError], message: str
) -> None:
    """As when an environment variable is not set."""
    with pytest.raises(error, match=message):
        await rtc.Room().connect(url, token)


async def test_an_unknown_transport_type_is_named() -> None:
    options = rtc.RoomOptions(rtc_config=rtc.RtcConfiguration(ice_transport_type=9))
    with pytest.raises(ValueError, match="ice_transport_type 9 is none of TRANSPORT_RELAY"):
        await rtc.Room().connect("ws://127.0.0.1:1", "token", options)


async def test_any_truth_is_taken_as_whether_to_subscribe(room: rtc.Room, server: SignalServer) -> None:
    publication = room.remote_participants["alice"].track_publications["TR_a"]
    publication.set_subscribed([])  # type: ignore[arg-type]
    connection = await server.connection()
    assert not (await connection.expect("subscription")).subscribe
