"""How to test a bot without a network: a server of its own for each test, in the test's process."""

from __future__ import annotations

import asyncio

import greenroom
from livekit import rtc


async def shouting_bot(url: str, token: str) -> rtc.Room:
    """The bot under test: answers every message in capitals."""
    room = rtc.Room()
    answers: set[asyncio.Task[None]] = set()

    def on_data(packet: rtc.DataPacket) -> None:
        if packet.participant is not None:
            answer = room.local_participant.publish_data(
                packet.data.upper(), topic="answer", destination_identities=[packet.participant.identity]
            )
            answers.add(asyncio.ensure_future(answer))

    room.on("data_received", on_data)
    await room.connect(url, token)
    return room


async def test_the_bot_shouts() -> None:
    async with greenroom.Server() as server:
        user = rtc.Room()
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        user.on("data_received", lambda packet: answered.set_result(packet.data))
        await user.connect(server.url, server.token(room="test", identity="user"))
        bot = await shouting_bot(server.url, server.token(room="test", identity="bot"))
        await user.local_participant.publish_data("hello")
        assert await answered == b"HELLO"
        await asyncio.gather(user.disconnect(), bot.disconnect())


asyncio.run(test_the_bot_shouts())
