"""One side of an interop case for calls and data streams, run as a process of its own by either SDK's interpreter.

usage: PYTHON call_program.py serve|call URL TOKEN

Uses only what both SDKs have. `serve` answers calls, and tells about each stream it got, until its standard input
closes. `call` makes calls and streams, prints one JSON line of what came of them, and leaves.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Awaitable

from livekit import rtc

DEADLINE_S = 40.0
LONG_TEXT = "Grüße, 世界! 🎤 " * 4_000
BLOB = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(4_000))
CONCURRENT_CALLS = 200


async def until_stdin_closes() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


def write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def describe(info: rtc.TextStreamInfo | rtc.ByteStreamInfo, content: bytes, sender: str, error: str) -> str:
    return json.dumps(
        {
            "id": info.stream_id,
            "mime_type": info.mime_type,
            "size": info.size,
            "attributes": info.attributes,
            "name": getattr(info, "name", None),
            "sha256": hashlib.sha256(content).hexdigest(),
            "length": len(content),
            "sender": sender,
            "error": error,
        }
    )


class Server:
    """Registers everything that callers use."""

    def __init__(self, room: rtc.Room) -> None:
        self.room = room
        self.tasks: set[asyncio.Task[None]] = set()
        room.register_text_stream_handler("text", lambda reader, who: self.start(self.read(reader, who)))
        room.register_byte_stream_handler("bytes", lambda reader, who: self.start(self.read(reader, who)))

    def start(self, coroutine: Awaitable[None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def read(self, reader: rtc.TextStreamReader | rtc.ByteStreamReader, sender: str) -> None:
        content, error = b"", ""
        try:
            async for piece in reader:
                content += piece.encode() if isinstance(piece, str) else piece
        except rtc.StreamError as stream_error:
            error = stream_error.args[0]
        told = describe(reader.info, content, sender, error)
        await self.room.local_participant.send_text(told, topic="told", destination_identities=[sender])

    async def run(self) -> None:
        local = self.room.local_participant

        @local.register_rpc_method("echo")
        async def echo(data: rtc.RpcInvocationData) -> str:
            return data.payload

        @local.register_rpc_method("context")
        def context(data: rtc.RpcInvocationData) -> str:
            return json.dumps([data.caller_identity, data.method, data.response_timeout])

        async def own_error(data: rtc.RpcInvocationData) -> str:
            raise rtc.RpcError(101, "no", "because")

        async def broken(data: rtc.RpcInvocationData) -> str:
            raise ValueError("broken")

        async def slow(data: rtc.RpcInvocationData) -> str:
            await asyncio.sleep(30)
            return ""

        local.register_rpc_method("own_error", own_error)
        local.register_rpc_method("broken", broken)
        local.register_rpc_method("slow", slow)
        await until_stdin_closes()


class Caller:
    def __init__(self, room: rtc.Room) -> None:
        self.room = room
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.tasks: set[asyncio.Task[None]] = set()
        room.register_text_stream_handler("told", self.on_told)

    def on_told(self, reader: rtc.TextStreamReader, sender: str) -> None:
        async def read() -> None:
            self.told.put_nowait(await reader.read_all())

        task = asyncio.ensure_future(read())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def run(self) -> dict:
        self.server = await self.other()
        return {"calls": await self.calls(), "streams": await self.streams()}

    async def other(self) -> str:
        """The identity of the serving side, once it is there and answers."""
        there = asyncio.Event()
        self.room.on("participant_connected", lambda _: there.set())
        if not self.room.remote_participants:
            await there.wait()
        (identity,) = self.room.remote_participants
        self.server = identity
        for _ in range(200):
            if await self.call("echo", "hello") == "hello":
                break
            await asyncio.sleep(0.05)
        return identity

    async def call(self, method: str, payload: str, **options: float) -> str | list:
        try:
            return await self.room.local_participant.perform_rpc(
                destination_identity=self.server, method=method, payload=payload, **options
            )
        except rtc.RpcError as error:
            return [int(error.code), error.message, error.data or ""]

    async def calls(self) -> dict:
        many = await asyncio.gather(*(self.call("echo", str(n)) for n in range(CONCURRENT_CALLS)))
        return {
            "empty": await self.call("echo", ""),
            "long": await self.call("echo", LONG_TEXT) == LONG_TEXT,
            "many": many == [str(n) for n in range(CONCURRENT_CALLS)],
            "context": json.loads(await self.call("context", "", response_timeout=12.0)),
            "own_error": await self.call("own_error", ""),
            "broken": await self.call("broken", ""),
            "unknown": await self.call("unknown", ""),
            "slow": await self.call("slow", "", response_timeout=3.0, max_round_trip_latency=2.0),
        }

    async def streams(self) -> dict:
        local = self.room.local_participant
        to = {"destination_identities": [self.server]}
        results = {}

        async def tell(name: str) -> None:
            results[name] = json.loads(await asyncio.wait_for(self.told.get(), 10))

        for name, text in (("no_text", ""), ("short_text", "hé"), ("long_text", LONG_TEXT)):
            await local.send_text(text, topic="text", attributes={"name": name}, **to)
            await tell(name)
        writer = await local.stream_text(topic="text", attributes={"x": "1"}, stream_id="my-id", **to)
        for piece in ("first ", LONG_TEXT, " last"):
            await writer.write(piece)
        await writer.aclose(attributes={"y": "2"})
        await tell("written_text")
        writer = await local.stream_text(topic="text")
        await writer.write("half")
        await writer.aclose(reason="gave up")
        await tell("aborted_text")
        bytes_writer = await local.stream_bytes("blob.bin", total_size=len(BLOB), topic="bytes", **to)
        await bytes_writer.write(BLOB[:10])
        await bytes_writer.write(BLOB[10:])
        await bytes_writer.aclose()
        await tell("written_bytes")
        bytes_writer = await local.stream_bytes("short.bin", total_size=len(BLOB), topic="bytes")
        await bytes_writer.write(BLOB[:10])
        await bytes_writer.aclose()
        await tell("short_bytes")
        await local.send_bytes(BLOB[:100], topic="bytes", name="small.bin", **to)
        await tell("small_bytes")
        with tempfile.TemporaryDirectory() as directory:
            for name, content in (("random.dat", BLOB), ("text.txt", LONG_TEXT.encode())):
                path = os.path.join(directory, name)
                write(path, content)
                await local.send_file(path, topic="bytes", **to)
                await tell(name)
        return results


async def main() -> None:
    role, url, token = sys.argv[1:4]
    room = rtc.Room()
    side = Server(room) if role == "serve" else Caller(room)
    await room.connect(url, token)
    try:
        if isinstance(side, Server):
            await side.run()
        else:
            print(json.dumps(await asyncio.wait_for(side.run(), DEADLINE_S)), flush=True)
    finally:
        await room.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
