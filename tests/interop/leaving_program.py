"""One side of a case of somebody who leaves in the middle of things, run as a process of its own by either SDK's interpreter.

usage: PYTHON leaving_program.py leave|stay URL TOKEN

Uses only what both SDKs have. `leave` takes a call that it never answers, begins a text, and leaves when the other has the
beginning. `stay` calls, reads, and prints a JSON line of what came of both.
"""

from __future__ import annotations

import asyncio
import json
import sys

from livekit import rtc

DEADLINE_S = 40.0


async def leave(room: rtc.Room) -> rtc.TextStreamWriter:
    """The writer, which would say that it was dropped."""
    called, begun = asyncio.Event(), asyncio.Event()
    room.on("data_received", lambda _: begun.set())

    async def stuck(_: rtc.RpcInvocationData) -> str:
        called.set()
        await asyncio.sleep(60)
        return ""

    room.local_participant.register_rpc_method("stuck", stuck)
    await called.wait()
    writer = await room.local_participant.stream_text(topic="half")
    await writer.write("half a te")
    await begun.wait()
    return writer


async def stay(room: rtc.Room) -> None:
    read: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    reading = []

    async def collect(reader: rtc.TextStreamReader) -> None:
        text = ""
        try:
            async for piece in reader:
                text += piece
                await room.local_participant.publish_data("begun")
        except rtc.StreamError as error:
            read.set_result([text, error.args[0]])

    room.register_text_stream_handler(
        "half", lambda reader, _: reading.append(asyncio.ensure_future(collect(reader)))
    )
    print(json.dumps({"call": await call(room), "text": await read}), flush=True)


async def call(room: rtc.Room) -> list[object]:
    """How the call ended; another is made while the other side is not ready for it."""
    while True:
        try:
            await room.local_participant.perform_rpc(
                destination_identity="leaving", method="stuck", payload="", response_timeout=30
            )
        except rtc.RpcError as error:
            if error.code not in (
                rtc.RpcError.ErrorCode.CONNECTION_TIMEOUT,
                rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD,
            ):
                return [int(error.code), error.message]


async def main(role: str, url: str, token: str) -> None:
    room = rtc.Room()
    await room.connect(url, token)
    kept = await asyncio.wait_for((leave if role == "leave" else stay)(room), DEADLINE_S)
    await room.disconnect()
    del kept


asyncio.run(main(*sys.argv[1:]))
