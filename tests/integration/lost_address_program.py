"""Two participants whose machine loses the addresses that they go over: `PROGRAM media`, `data` or `signalling`; run in a
network namespace of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from room_tools import Ear, Events, Rooms, microphone, within

import greenroom
from livekit import rtc

ADDRESSES = ("10.77.0.1", "10.77.0.2", "10.77.0.3")
SERVER = "10.77.0.9"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words, "dev", "lo"], check=True)


def address_of(room: rtc.Room) -> str:
    """The one that its media goes over."""
    assert room._session is not None
    (link,) = room._session.connections.links
    return str(link.peer.stats()["transport"]["local_candidate"]).rpartition(":")[0]


def route(verb: str, *words: str) -> None:
    """Change how this machine reaches the server."""
    ip("route", verb, "local", SERVER, "table", "local", *words)


def lose(address: str) -> None:
    ip("address", "delete", f"{address}/32")


async def media(rooms: Rooms) -> list[Events]:
    (speaker, spoken), (listener, heard) = await rooms.join("speaker"), await rooms.join("listener")
    async with microphone(speaker, 700):
        track, *_ = await heard.wait("track_subscribed")
        stream = rtc.AudioStream(track)
        await Ear(stream).wait_for_tone(700)
        lost = address_of(speaker)
        assert address_of(listener) == lost
        lose(lost)
        while lost in (address_of(speaker), address_of(listener)):
            await within(anext(stream))
        await Ear(stream).wait_for_tone(700)
        await stream.aclose()
        await within(speaker.local_participant.publish_data("still here"))
        await heard.wait("data_received")
    for events in (spoken, heard):
        assert events.names("reconnecting") == []
    return [spoken, heard]


async def data(rooms: Rooms) -> list[Events]:
    """One address goes, then that which is used instead."""
    (writer, written), (_, heard) = await rooms.join("writer"), await rooms.join("reader")
    count = 0
    for _ in ADDRESSES:
        for _ in range(20):
            count += 1
            await within(writer.local_participant.publish_data(str(count)))
            await heard.wait("data_received", count=count)
        if count < 20 * len(ADDRESSES):
            lose(address_of(writer))
    assert [int(packet.data) for (packet,) in heard.of("data_received")] == [*range(1, count + 1)]
    for events in (written, heard):
        assert events.names("reconnecting") == []
    return [written, heard]


async def signalling(rooms: Rooms) -> list[Events]:
    """The signal connections go from the addresses in their order."""
    route("delete")
    for number, address in enumerate(ADDRESSES, 1):
        route("add", "src", address, "metric", str(number))
    (writer, written), (_, heard) = await rooms.join("writer"), await rooms.join("reader")
    for number, address in enumerate(ADDRESSES[:-1], 1):
        route("delete", "src", address)
        lose(address)
        await within(writer.local_participant.publish_data(str(number)))
        await heard.wait("data_received", count=number)
        for events in (written, heard):
            await events.wait("reconnected", count=number)
            assert events.names("reconnecting") == ["reconnecting"] * number
    return [written, heard]


async def main(scene: str) -> None:
    async with greenroom.Server(host=SERVER, advertised_addresses=(SERVER,), tcp_port=None) as server:
        rooms = Rooms(server)
        for events in await {"media": media, "data": data, "signalling": signalling}[scene](rooms):
            assert events.names("track_unsubscribed", "participant_disconnected", "disconnected") == []
        await rooms.leave()


for address in (*ADDRESSES, SERVER):
    ip("address", "add", f"{address}/32")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for address in ("127.0.0.1/8", "::1/128"):
    subprocess.run(["ip", "address", "delete", address, "dev", "lo"], check=False, capture_output=True)
asyncio.run(main(sys.argv[1]))
