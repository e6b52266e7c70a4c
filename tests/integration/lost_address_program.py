"""Two participants whose machine loses the address that their media goes over; run in a network namespace of its own."""

from __future__ import annotations

import asyncio
import subprocess

from room_tools import Ear, Rooms, microphone, within

import greenroom
from livekit import rtc

LOST, KEPT, SERVER = "10.77.0.1", "10.77.0.2", "10.77.0.9"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words, "dev", "lo"], check=True)


def address_of(room: rtc.Room) -> str:
    """The one that its media goes over."""
    assert room._session is not None
    (link,) = room._session.connections.links
    return str(link.peer.stats()["transport"]["local_candidate"]).rpartition(":")[0]


async def main() -> None:
    async with greenroom.Server(host=SERVER, advertised_addresses=(SERVER,), tcp_port=None) as server:
        rooms = Rooms(server)
        (speaker, spoken), (listener, heard) = await rooms.join("speaker"), await rooms.join("listener")
        async with microphone(speaker, 700):
            track, *_ = await heard.wait("track_subscribed")
            stream = rtc.AudioStream(track)
            await Ear(stream).wait_for_tone(700)
            assert address_of(speaker) == address_of(listener) == LOST
            ip("address", "delete", f"{LOST}/32")
            while LOST in (address_of(speaker), address_of(listener)):
                await within(anext(stream))
            await Ear(stream).wait_for_tone(700)
            await stream.aclose()
            await within(speaker.local_participant.publish_data("still here"))
            await heard.wait("data_received")
            for events in (spoken, heard):
                assert events.names("track_unsubscribed", "participant_disconnected", "disconnected") == []
        await rooms.leave()


for address in (LOST, KEPT, SERVER):
    ip("address", "add", f"{address}/32")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for address in ("127.0.0.1/8", "::1/128"):
    subprocess.run(["ip", "address", "delete", address, "dev", "lo"], check=False, capture_output=True)
asyncio.run(main())
