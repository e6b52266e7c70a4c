"""One participant in a process of its own, run by either SDK's interpreter, that tells every event it gets.

usage: PYTHON events_program.py URL TOKEN

Publishes a tone, answers each data packet with what it said, and prints one JSON line per event with the short form of
its arguments. Each line it reads is an order: `metadata` or `name` and the new one, `simulate` and the number of a
scenario, `unpublish`, `publish_data_track` and a name, `unpublish_data_track`. Leaves when its standard input closes or
it is disconnected. Uses only what both SDKs have.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from program_tone import RATE_HZ, play

from livekit import rtc

EVENTS = (
    "participant_connected", "participant_disconnected", "participant_active", "local_track_published",
    "local_track_unpublished", "local_track_republished", "local_track_subscribed", "track_published",
    "track_unpublished", "track_subscribed", "track_unsubscribed", "track_muted", "track_unmuted",
    "active_speakers_changed", "room_metadata_changed", "participant_metadata_changed",
    "participant_name_changed", "participant_attributes_changed", "participant_permissions_changed",
    "connection_quality_changed", "data_received", "connection_state_changed", "disconnected", "reconnecting",
    "reconnected", "room_updated", "token_refreshed", "track_subscription_failed", "connected",
    "data_track_published", "data_track_unpublished", "participant_encryption_status_changed",
)  # fmt: skip


def short(argument: Any) -> Any:
    """A form that is the same in both SDKs and does not depend on SIDs."""
    if isinstance(argument, (list, tuple)):
        return [short(one) for one in argument]
    if isinstance(argument, (str, int, float, dict)):
        return argument
    if isinstance(argument, rtc.DataPacket):
        return argument.data.decode()
    if isinstance(argument, rtc.RemoteDataTrack):
        return argument.info.name
    for name in ("identity", "name", "can_publish"):
        if hasattr(argument, name):
            return getattr(argument, name)
    return type(argument).__name__


def tell(event: str, *args: Any) -> None:
    print(json.dumps({"event": event, "args": [short(a) for a in args]}), flush=True)


async def main(url: str, token: str) -> None:
    room = rtc.Room()
    ended = asyncio.Event()
    answers: set[asyncio.Task[None]] = set()

    def answer(packet: rtc.DataPacket) -> None:
        task = asyncio.ensure_future(room.local_participant.publish_data(packet.data))
        answers.add(task)
        task.add_done_callback(answers.discard)

    for event in EVENTS:
        room.on(event, lambda *args, event=event: tell(event, *args))
    room.on("disconnected", lambda *_: ended.set())
    room.on("data_received", answer)
    await room.connect(url, token)
    source = rtc.AudioSource(RATE_HZ, 1, 200)
    playing = asyncio.ensure_future(play(source))
    publication = await room.local_participant.publish_track(
        rtc.LocalAudioTrack.create_audio_track("tone", source),
        rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
    )
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tell("ready")
    local = room.local_participant
    data_tracks: list[rtc.LocalDataTrack] = []

    async def publish_data_track(name: str) -> None:
        data_tracks.append(await local.publish_data_track(name=name))

    known = {
        "metadata": local.set_metadata,
        "name": local.set_name,
        "simulate": lambda number: room.simulate_scenario(int(number)),
        "unpublish": lambda _: local.unpublish_track(publication.sid),
        "publish_data_track": publish_data_track,
        "unpublish_data_track": lambda _: data_tracks.pop().unpublish(),
    }
    while not ended.is_set():
        orders = asyncio.ensure_future(reader.readline())
        over = asyncio.ensure_future(ended.wait())
        await asyncio.wait([orders, over], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not orders.done() or not orders.result():
            orders.cancel()
            break
        name, _, value = orders.result().decode().strip().partition(" ")
        await known[name](value)
        tell(f"did_{name}")
    playing.cancel()
    await room.disconnect()


asyncio.run(main(*sys.argv[1:]))
