"""A session that the server moves to another room."""

from __future__ import annotations

from client_fakes import TIMEOUT_S, FakePeers, SignalServer, participant, track
from livekit.protocol import models
from livekit.protocol import rtc as proto
from test_session import Recorder

from livekit import rtc


async def test_moving_takes_everybody_away_then_shows_the_new_room(
    server: SignalServer, peers: FakePeers
) -> None:
    server.join.other_participants.append(participant("anna", tracks=[track("TR_a")]))
    room = rtc.Room()
    recorder = Recorder(room)
    await room.connect(server.url, "token")
    await recorder.until("connected")
    recorder.events.clear()
    connection = await server.connection()
    moved = proto.RoomMovedResponse(
        room=models.Room(sid="RM_hall", name="hall", metadata="m"),
        token="newer",
        participant=participant("me", sid="PA_me2"),
        other_participants=[participant("bob", tracks=[track("TR_b")])],
    )
    await connection.send(room_moved=moved)
    await recorder.until("track_published")
    assert recorder.events == [
        ("track_unpublished", "TR_a", "anna"),
        ("participant_disconnected", "anna"),
        ("moved",),
        ("participant_connected", "bob"),
        ("participant_active", "bob"),
        ("track_published", "TR_b", "bob"),
    ]
    assert (room.name, room.metadata, room.local_participant.sid) == ("hall", "m", "PA_me2")
    assert set(room.remote_participants) == {"bob"}
    assert await room.sid == "RM_hall"

    reconnected = room.wait_for("reconnected", timeout=TIMEOUT_S)
    assert connection.request.transport is not None
    connection.request.transport.abort()
    await reconnected
    resumed = await server.connection()
    assert resumed.request.headers["Authorization"] == "Bearer newer"
    assert resumed.request.query["sid"] == "PA_me2"
    await room.disconnect()
