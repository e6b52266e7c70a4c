"""Arguments of the wrong type: the error names the argument and what it must be, and nothing is sent or changed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from client_fakes import FakePeers, SignalServer, participant, track

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
    with pytest.raises(TypeError, match="'bob': each must be a ParticipantTrackPermission"):
        room.local_participant.set_track_subscription_permissions(
            allow_all_participants=False,
            participant_permissions=["bob"],  # type: ignore[list-item]
        )


async def test_any_truth_is_taken_as_whether_to_subscribe(room: rtc.Room, server: SignalServer) -> None:
    publication = room.remote_participants["alice"].track_publications["TR_a"]
    publication.set_subscribed([])  # type: ignore[arg-type]
    connection = await server.connection()
    assert not (await connection.expect("subscription")).subscribe
