"""Two participants whose machine loses the addresses that they go over: `PROGRAM SCENE LOG`, with the log of a livekit-server
to run, or without for the embedded server; in a network namespace of its own (`run_alone`)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
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


def prepare() -> None:
    """These addresses and no others."""
    for address in (*ADDRESSES, SERVER):
        ip("address", "add", f"{address}/32")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ("127.0.0.1/8", "::1/128"):
        subprocess.run(["ip", "address", "delete", address, "dev", "lo"], check=False, capture_output=True)


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


SCENES = {scene.__name__: scene for scene in (media, data, signalling)}


@asynccontextmanager
async def room_server(log: str | None) -> AsyncIterator[Any]:
    if log is None:
        async with greenroom.Server(host=SERVER, advertised_addresses=(SERVER,), tcp_port=None) as server:
            yield server
        return
    from interop.servers import livekit_server

    with livekit_server(Path(log), rtc=f"  ips: {{includes: [{SERVER}/32]}}", address=SERVER) as real:
        yield real


async def main(scene: str, log: str | None = None) -> None:
    async with room_server(log) as server:
        rooms = Rooms(server)
        for events in await SCENES[scene](rooms):
            assert events.names("track_unsubscribed", "participant_disconnected", "disconnected") == []
        await rooms.leave()


def run_alone(*arguments: str | Path) -> None:
    """This program in a network namespace of its own: what is done to addresses there is done to nothing else. Skips the
    test where none can be made."""
    alone = ("unshare", "--map-root-user", "--net")
    made = subprocess.run([*alone, "ip", "link", "set", "lo", "up"], check=False, capture_output=True)
    if made.returncode:
        pytest.skip("network namespaces can't be made here")
    done = subprocess.run(
        [*alone, sys.executable, __file__, *arguments],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    prepare()
    asyncio.run(main(*sys.argv[1:]))
