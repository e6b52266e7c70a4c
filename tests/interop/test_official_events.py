"""Events that the official SDK gets: on the embedded server what it gets on livekit-server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from event_cases import Admin
from livekit.protocol import models
from livekit.protocol import rtc as messages
from room_cases import rooms as rooms
from room_tools import Ear, Events, Rooms, microphone, within

from livekit import api, rtc

from .official import OfficialClient, official_client
from .servers import RoomServer
from .signal_filter import SignalFilter

Official = tuple[OfficialClient, Rooms, Admin]


@pytest.fixture(params=["embedded", "livekit"])
def server(request: pytest.FixtureRequest) -> RoomServer:
    server: RoomServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
async def official(rooms: Rooms) -> AsyncIterator[Official]:
    server = rooms.server
    token = rooms.token("official", can_update_own_metadata=True)
    async with (
        official_client(server.url, token) as client,
        api.LiveKitAPI(server.url, server.api_key, server.api_secret) as admin,
    ):
        yield client, rooms, Admin(admin.room, rooms.name)


async def test_a_visit_as_the_official_sdk_sees_it(official: Official) -> None:
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
        await client.changed("participant_metadata_changed", "us", "", "m")
        await within(room.local_participant.set_name("n"))
        await client.changed("participant_name_changed", "us", "us", "n")
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


async def test_what_an_administrator_does_reaches_the_official_sdk(official: Official) -> None:
    client, rooms, admin = official
    _, events = await rooms.join("us")
    await client.wait("local_track_published")
    await client.order("unpublish")
    await client.wait("local_track_unpublished", "tone")
    await events.wait("track_unpublished")
    await client.order("metadata mine")
    await client.wait("did_metadata")
    await client.changed("participant_metadata_changed", "official", "", "mine")
    await admin.set_metadata("hall")
    await client.wait("room_metadata_changed", "", "hall")
    await admin.update("official", attributes={"k": "v"}, name="N")
    await client.wait("participant_attributes_changed", {"k": "v"}, "official")
    await client.changed("participant_name_changed", "official", "official", "N")
    await admin.update("official", permission=models.ParticipantPermission(can_subscribe=True))
    await client.wait("participant_permissions_changed", "official", False)
    await client.wait("token_refreshed")


async def test_who_the_official_sdk_sees(official: Official) -> None:
    client, rooms, admin = official
    await rooms.join("hidden", hidden=True)
    await rooms.join("recorder", recorder=True, hidden=True)
    agent, _ = await rooms.join("agent", kind="agent")
    await client.wait("participant_connected", "agent")
    await admin.remove("agent")
    await client.wait("participant_disconnected", "agent")
    assert not agent.isconnected()
    assert [args for name, args in client.events if name == "participant_connected"] == [["agent"]]


_Ending = Callable[[Rooms, Admin], Coroutine[Any, Any, Any]]
_ENDINGS: dict[str, _Ending] = {
    "DUPLICATE_IDENTITY": lambda rooms, _: rooms.join("official"),
    "PARTICIPANT_REMOVED": lambda _, admin: admin.remove("official"),
    "ROOM_DELETED": lambda _, admin: admin.delete(),
}


@pytest.mark.parametrize("reason", _ENDINGS)
async def test_why_the_official_sdk_is_put_out(official: Official, reason: str) -> None:
    client, rooms, admin = official
    await _ENDINGS[reason](rooms, admin)
    await client.wait("disconnected", rtc.DisconnectReason.Value(reason))
    assert client.names().count("disconnected") == 1
    assert "reconnecting" not in client.names()


async def test_data_tracks_come_and_go(official: Official) -> None:
    client, rooms, _ = official
    room, events = await rooms.join("us")
    ours = [await within(room.local_participant.publish_data_track(name=name)) for name in ("a", "b")]
    for name in ("a", "b"):
        await client.wait("data_track_published", name)
    await within(ours[0].unpublish())
    await client.wait("data_track_unpublished", ours[0].info.sid)
    await room.disconnect()
    await client.wait("data_track_unpublished", ours[1].info.sid)
    _, events = await rooms.join("later")
    await client.order("publish_data_track c")
    (theirs,) = await events.wait("data_track_published")
    assert (theirs.info.name, theirs.publisher_identity) == ("c", "official")
    await client.order("unpublish_data_track")
    assert await events.wait("data_track_unpublished") == (theirs.info.sid,)


async def test_encryption_of_a_participant_is_told(official: Official) -> None:
    client, rooms, _ = official
    secret = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=b"secret"))
    room, _ = await rooms.join("us", rtc.RoomOptions(encryption=secret))
    async with microphone(room):
        await client.wait("participant_encryption_status_changed", "us", True)


class _News:
    """True of what a server tells of the tracks of `us`, as long as that is to be lost."""

    def __init__(self) -> None:
        self.lost = True

    def __call__(self, message: messages.SignalResponse) -> bool:
        return self.lost and any(who.identity == "us" and who.tracks for who in message.update.participants)


async def test_a_track_that_nobody_told_of_is_a_failed_subscription(rooms: Rooms) -> None:
    """The official SDK takes no server's word for a failure; it finds one itself when media comes of a track that it was
    not told of for five seconds. So the word on the track gets lost here. Ours does the same, and takes the track when the
    word comes after all."""
    room, _ = await rooms.join("us", can_update_own_metadata=True)
    news = _News()
    async with (
        SignalFilter(rooms.server.url, drop=news) as signals,
        official_client(signals.url, rooms.token("official")) as client,
        rtc.Room() as ours,
    ):
        events = Events(ours)
        await within(ours.connect(signals.url, rooms.token("ours")))
        async with microphone(room) as (publication, _):
            error = f'could not find published track with sid: TrackSid("{publication.sid}")'
            await client.wait("track_subscription_failed", "us", publication.sid, error)
            assert not {"track_published", "track_subscribed"} & set(client.names())
            who, sid, why = await events.wait("track_subscription_failed")
            assert (who.identity, sid) == ("us", publication.sid)
            assert why.startswith(f"could not find published track with sid: {sid}: ")
            assert not [p for p, who in events.of("track_published") if who.identity == "us"]
            news.lost = False
            await within(room.local_participant.set_metadata("here"))
            track, _, _ = await events.wait("track_subscribed", lambda _, p, __: p.sid == sid)
            stream = rtc.AudioStream(track)
            await Ear(stream).wait_for_tone(1000)
            await stream.aclose()
