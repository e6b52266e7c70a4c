"""One participant of the official SDK, in a process of its own, that speaks with chat messages: what its Python has no calls
for, its native part has, and LiveKit's other SDKs use.

usage: PYTHON chat_program.py URL TOKEN

Publishes a tone, so that it has metrics to send, and prints a JSON line for each chat message it gets. Each line it reads is
a request of room_pb2 in JSON, with its name before it: `send_chat_message {...}`, `edit_chat_message {...}`. Leaves when its
standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import sys

from google.protobuf.json_format import MessageToDict, ParseDict
from livekit.rtc._ffi_client import FfiClient
from program_tone import RATE_HZ, play

from livekit import rtc
from livekit.rtc._proto import ffi_pb2


def tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


async def listen(queue: asyncio.Queue[ffi_pb2.FfiEvent]) -> None:
    while True:
        event = (await queue.get()).room_event
        if event.HasField("chat_message"):
            received = event.chat_message
            tell(message=MessageToDict(received.message), sender=received.participant_identity)


async def ask(room: rtc.Room, name: str, fields: dict) -> None:
    """One request of the native part, and its answer."""
    request = ffi_pb2.FfiRequest()
    ParseDict(fields, getattr(request, name))
    getattr(request, name).local_participant_handle = room.local_participant._ffi_handle.handle
    queue = FfiClient.instance.queue.subscribe()
    try:
        answer = FfiClient.instance.request(request).send_chat_message
        event = await queue.wait_for(lambda e: e.chat_message.async_id == answer.async_id)
    finally:
        FfiClient.instance.queue.unsubscribe(queue)
    tell(sent=MessageToDict(event.chat_message.chat_message), error=event.chat_message.error)


async def main(url: str, token: str) -> None:
    room = rtc.Room()
    await room.connect(url, token)
    listening = asyncio.ensure_future(listen(FfiClient.instance.queue.subscribe()))
    source = rtc.AudioSource(RATE_HZ, 1, 200)
    playing = asyncio.ensure_future(play(source))
    await room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("tone", source))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tell(ready=True)
    while order := (await reader.readline()).decode():
        name, _, fields = order.partition(" ")
        await ask(room, name, json.loads(fields))
    playing.cancel()
    listening.cancel()
    await room.disconnect()


asyncio.run(main(*sys.argv[1:]))
