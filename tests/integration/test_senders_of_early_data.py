"""Data that comes before the server has told of its sender still names the sender."""

from __future__ import annotations

import asyncio

import greenroom
from livekit import rtc


async def test_data_sent_right_after_joining_names_its_sender() -> None:
    # A batch interval far longer than the data's way: the announcement comes second.
    async with greenroom.Server(update_interval_s=1.0) as server:
        listener, speaker = rtc.Room(), rtc.Room()
        order: list[str] = []
        heard: asyncio.Future[rtc.DataPacket] = asyncio.get_running_loop().create_future()
        listener.on("participant_connected", lambda p: order.append(p.identity))
        listener.on("data_received", lambda packet: (order.append("data"), heard.set_result(packet)))
        await listener.connect(server.url, server.token(room="r", identity="listener"))
        await speaker.connect(server.url, server.token(room="r", identity="speaker"))
        await speaker.local_participant.publish_data(b"hello")
        packet = await heard
        assert packet.participant is not None
        assert packet.participant.identity == "speaker"
        assert order == ["speaker", "data"]
        await asyncio.gather(listener.disconnect(), speaker.disconnect())
