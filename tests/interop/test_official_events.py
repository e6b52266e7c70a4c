"""Events that the official SDK gets: on the embedded server what it gets on livekit-server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from event_cases import Admin
from livekit.protocol import models
from room_tools import Rooms, microphone, within

from livekit import api, rtc

from .official import OfficialClient, official_client
from .servers import RoomServer


@pytest.fixture(params=["embedded", "livekit"])
async def official(
    embedded: RoomServer, livekit: RoomServer, nothing_left: None, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[OfficialClient, Rooms, Admin]]:
    server = {"embedded": embedded, "livekit": livekit}[request.param]
    rooms = Rooms(server)
    token = rooms.token("official", can_update_own_metadata=True)
    async with (
        official_client(server.url, token) as client,
        api.LiveKitAPI(server.url, server.api_key, server.api_secret) as admin,
    ):
        try:
            yield client, rooms, Admin(admin.room, rooms.name)
        finally:
            await rooms.leave()


async def test_a_visit_as_the_official_sdk_sees_it(official: tuple[OfficialClient, Rooms, Admin]) -> None:
    client, rooms, _ = official
    room, events = await rooms.join("us", can_update_own_metadata=True)
    await client.wait("participant_active", "us")
    async with microphone(room, 900) as (publication, track):
        await client.wait("track_subscribed", "tone", "tone", "us")
        await client.until(lambda e: e[0] == "active_speakers_changed" and "us" in e[1][0], "our voice")
        track.mute()
        await client.wait("track_muted", "us", "tone")
        track.unmute()
        await client.wait("track_unmuted", "us", "tone")
        await within(room.local_participant.set_metadata("m"))
        await client.wait("participant_metadata_changed", "us", "", "m")
        await within(room.local_participant.set_name("n"))
        await client.wait("participant_name_changed", "us", "us", "n")
        await within(room.local_participant.set_attributes({"k": "v"}))
        await client.wait("participant_attributes_changed", {"k": "v"}, "us")
        _, theirs, _ = await events.wait("track_subscribed")
        assert theirs.mime_type == "audio/red"
        await client.wait("local_track_subscribed")
        await within(room.local_participant.unpublish_track(publication.sid))
        await client.wait("track_unpublished", "tone", "us")
    await within(room.local_participant.publish_data("hello"))
    await client.wait("data_received", "hello")
    await room.disconnect()
    await client.wait("participant_disconnected", "us")
    order = [
        n
        for n in client.names()
        if n.startswith(("participant_connected", "participant_active", "track_", "participant_disc"))
    ]
    assert order == [
        "participant_connected", "participant_active", "track_published", "track_subscribed", "track_muted",
        "track_unmuted", "track_unsubscribed", "track_unpublished", "participant_disconnected",
    ]  # fmt: skip
    await client.wait("connection_quality_changed", "official", 2)
    await client.wait("connection_state_changed", 1)
    await client.wait("room_updated")
    assert client.names().count("reconnecting") == 0


async def test_what_an_administrator_does_reaches_the_official_sdk(
    official: tuple[OfficialClient, Rooms, Admin],
) -> None:
    client, rooms, admin = official
    _, events = await rooms.join("us")
    await client.wait("local_track_published")
    await client.order("unpublish")
    await client.wait("local_track_unpublished", "tone")
    await events.wait("track_unpublished")
    await client.order("metadata mine")
    await client.wait("did_metadata")
    await client.until(lambda e: e[0] == "participant_metadata_changed" and e[1][2] == "mine", "its metadata")
    await admin.set_metadata("hall")
    await client.wait("room_metadata_changed", "", "hall")
    await admin.update("official", attributes={"k": "v"}, name="N")
    await client.wait("participant_attributes_changed", {"k": "v"}, "official")
    await client.wait("participant_name_changed", "official", "official", "N")
    await admin.update("official", permission=models.ParticipantPermission(can_subscribe=True))
    await client.wait("participant_permissions_changed", "official", False)
    await client.wait("token_refreshed")
    await admin.remove("official")
    await client.wait("disconnected", rtc.DisconnectReason.PARTICIPANT_REMOVED)
    assert "reconnecting" not in client.names()


async def test_another_session_of_the_official_sdks_identity(
    official: tuple[OfficialClient, Rooms, Admin],
) -> None:
    client, rooms, _ = official
    await rooms.join("official")
    await client.wait("disconnected", rtc.DisconnectReason.DUPLICATE_IDENTITY)
    assert "reconnecting" not in client.names()


async def test_who_the_official_sdk_sees_and_why_they_leave(
    official: tuple[OfficialClient, Rooms, Admin],
) -> None:
    client, rooms, admin = official
    await rooms.join("hidden", hidden=True)
    recorder, _ = await rooms.join("recorder", recorder=True, hidden=True)
    agent, _ = await rooms.join("agent", kind="agent")
    await client.wait("participant_connected", "agent")
    await admin.remove("agent")
    await client.wait("participant_disconnected", "agent")
    assert not agent.isconnected()
    assert [args for name, args in client.events if name == "participant_connected"] == [["agent"]]
    await admin.delete()
    await client.wait("disconnected", rtc.DisconnectReason.ROOM_DELETED)
    assert not recorder.isconnected()
