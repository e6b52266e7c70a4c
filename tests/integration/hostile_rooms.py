"""Fixtures: a server, two honest participants that must never notice, and a raw signal connection beside them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import aiohttp
import pytest
from livekit.protocol import rtc as messages
from room_tools import Events, Rooms, within

import greenroom
from livekit import rtc

_MESSAGES = 40


class Honest:
    """Two participants that were there before the attack."""

    def __init__(self, anna: tuple[rtc.Room, Events], bob: tuple[rtc.Room, Events]) -> None:
        self._sides = (anna, bob)

    async def exchange(self) -> None:
        """Reliable data both ways, all of it in order."""
        for (sender, _), (_, receiver) in (self._sides, self._sides[::-1]):
            topic = os.urandom(4).hex()
            payloads = [b"%d" % number * 50 for number in range(_MESSAGES)]
            for payload in payloads:
                await sender.local_participant.publish_data(payload, reliable=True, topic=topic)
            await receiver.wait("data_received", lambda p, topic=topic: p.topic == topic, count=_MESSAGES)
            got = [packet.data for (packet,) in receiver.of("data_received") if packet.topic == topic]
            assert got == payloads

    async def receives(self, topic: str) -> None:
        """A reliable message of somebody else."""
        for _, events in self._sides:
            await events.wait("data_received", lambda packet: packet.topic == topic)

    def assert_undisturbed(self) -> None:
        for room, events in self._sides:
            assert room.isconnected()
            assert events.names("disconnected", "reconnecting", "reconnected") == []


@pytest.fixture
async def honest(rooms: Rooms) -> AsyncIterator[Honest]:
    honest = Honest(await rooms.join("anna"), await rooms.join("bob"))
    await honest.exchange()
    yield honest
    await within(honest.exchange())
    honest.assert_undisturbed()


class Offender:
    """A raw signal connection in the same room."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.close_code: int | None = None

    async def send(self, **message: object) -> None:
        await self.websocket.send_bytes(messages.SignalRequest(**message).SerializeToString())

    async def expect(self, kind: str) -> messages.SignalResponse:
        """The next message of that kind."""
        while True:
            frame = await within(self.websocket.receive())
            assert frame.type is aiohttp.WSMsgType.BINARY, f"the connection ended before any {kind}: {frame}"
            response = messages.SignalResponse.FromString(frame.data)
            if response.WhichOneof("message") == kind:
                return response

    async def ended(self) -> int | None:
        """The code the server closed the connection with, or None when it just dropped it."""
        while True:
            frame = await within(self.websocket.receive())
            if frame.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return self.websocket.close_code

    async def is_served(self) -> None:
        """The connection has survived so far."""
        await self.send(ping_req=messages.Ping(timestamp=77))
        while (await self.expect("pong_resp")).pong_resp.last_ping_timestamp != 77:
            pass


@pytest.fixture
async def offender(server: greenroom.Server, rooms: Rooms, honest: Honest) -> AsyncIterator[Offender]:
    url = f"{server.http_url}/rtc?protocol=16&auto_subscribe=1&access_token={rooms.token('mallory')}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as websocket:
        offender = Offender(websocket)
        await offender.expect("join")
        yield offender
