"""Chat messages and metrics, which neither SDK for Python has calls or events for, as packets: between our client and the
native part of the official SDK, through both servers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit.protocol import models
from room_tools import Packets, Rooms, microphone, send_packet

from livekit import rtc

from .official import Program, official_program
from .servers import RoomServer


@pytest.fixture(params=["livekit", "embedded"])
async def rooms(request: pytest.FixtureRequest) -> AsyncIterator[Rooms]:
    server: RoomServer = request.getfixturevalue(request.param)
    rooms = Rooms(server)
    yield rooms
    await rooms.leave()


async def order(program: Program, request: str, **fields: Any) -> dict[str, Any]:
    """The message as it was sent."""
    await program.order(f"{request} {json.dumps(fields)}")
    told = await program.next()
    assert told["error"] == ""
    sent: dict[str, Any] = told["sent"]
    return sent


SPEAKERS = [("ours", "standard"), ("agent", "agent"), ("zoe", "standard")]


async def speaker(rooms: Rooms, tones: contextlib.AsyncExitStack, name: str, kind: str) -> rtc.Room:
    """A participant that the official SDK knows: it hears its tone. It keeps nothing from those it does not know."""
    room, events = await rooms.join(name, kind=kind)
    await tones.enter_async_context(microphone(room))
    await events.wait("local_track_subscribed")
    return room


async def test_the_official_sdk_s_chat_messages_arrive(rooms: Rooms) -> None:
    room, _ = await rooms.join("ours")
    packets = Packets(room, "chat_message")
    async with official_program("chat_program.py", rooms.server.url, rooms.token("official")) as program:
        assert await program.next() == {"ready": True}
        sent = await order(program, "send_chat_message", message="hé")
        packet = await packets.next()
        assert packet.participant_identity == "official"
        assert (packet.chat_message.id, packet.chat_message.message) == (sent["id"], "hé")
        assert packet.chat_message.timestamp == int(sent["timestamp"])
        assert not packet.chat_message.HasField("edit_timestamp")

        await order(program, "edit_chat_message", edit_text="hö", original_message=sent)
        edited = (await packets.next()).chat_message
        assert (edited.id, edited.message) == (sent["id"], "hö")
        assert edited.edit_timestamp >= edited.timestamp

        # It is for somebody else, and then it pretends to be somebody else.
        await order(program, "send_chat_message", message="secret", destination_identities=["nobody"])
        await order(program, "send_chat_message", message="false", sender_identity="zoe")
        packet = await packets.next()
        assert (packet.chat_message.message, packet.participant_identity) == ("false", "official")
        assert not packet.chat_message.generated


async def test_our_chat_messages_arrive_at_the_official_sdk(rooms: Rooms) -> None:
    url = rooms.server.url
    async with (
        official_program("chat_program.py", url, rooms.token("official")) as program,
        contextlib.AsyncExitStack() as tones,
    ):
        assert await program.next() == {"ready": True}
        room, agent = [await speaker(rooms, tones, name, kind) for name, kind in SPEAKERS[:2]]
        await speaker(rooms, tones, *SPEAKERS[2])
        message = models.ChatMessage(id="1", timestamp=1_700_000_000_000, message="hé")
        for sender, fields, expected in (
            (room, {}, "ours"),
            (room, {"participant_identity": "zoe"}, "ours"),
            (room, {"destination_identities": ["official"]}, "ours"),
            (agent, {}, "agent"),
            (agent, {"participant_identity": "zoe"}, "zoe"),
        ):
            await send_packet(room, models.DataPacket(chat_message=message, destination_identities=["zoe"]))
            await send_packet(sender, models.DataPacket(chat_message=message, **fields))
            told = await program.next()
            assert told["sender"] == expected
            assert (told["message"]["id"], told["message"]["message"]) == ("1", "hé")
            assert told["message"]["generated"] == (expected == "zoe")


async def test_metrics_go_to_those_that_may_have_them(rooms: Rooms) -> None:
    watching, events = await rooms.join("watching", can_subscribe_metrics=True)
    other, _ = await rooms.join("other")
    seen, unseen = Packets(watching, "metrics"), Packets(other, "metrics")
    sender, _ = await rooms.join("sender")
    async with microphone(sender):
        await events.wait("track_subscribed")
        packet = models.DataPacket()
        packet.metrics.str_data.append("own label")
        await send_packet(sender, packet)
        await sender.local_participant.publish_data(b"behind them")
        await events.wait("data_received")
    if rooms.server.name == "embedded":
        got = await seen.next()
        assert (got.participant_identity, got.metrics) == ("sender", packet.metrics)
    # livekit-server is built without what passes them on.
    assert seen.empty()
    assert unseen.empty()
