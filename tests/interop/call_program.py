"""One side of an interop case for calls and data streams, run as a process of its own by either SDK's interpreter.

usage: PYTHON call_program.py serve|call URL TOKEN

Uses only what both SDKs have. `serve` answers calls, tells about each stream, packet and data track it got, and
publishes a data track, until its standard input closes. `call` makes calls, streams, packets and data tracks, prints
one JSON line of what came of them, and leaves.
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
        room.on("data_track_published", lambda track: self.start(self.follow(track)))
        room.on("data_received", self.on_data)
        room.on("sip_dtmf_received", self.on_dtmf)
        room.on("transcription_received", self.on_transcription)
        room.register_text_stream_handler("text", lambda reader, who: self.start(self.read(reader, who)))
        room.register_byte_stream_handler("bytes", lambda reader, who: self.start(self.read(reader, who)))

    def start(self, coroutine: Awaitable[None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def tell(self, what: object, receiver: str) -> None:
        local = self.room.local_participant
        self.start(local.send_text(json.dumps(what), topic="told", destination_identities=[receiver]))

    def on_data(self, packet: rtc.DataPacket) -> None:
        sender = packet.participant.identity
        reliable = packet.kind == rtc.DataPacketKind.KIND_RELIABLE
        self.tell([packet.topic, packet.data.decode(), reliable, sender], sender)

    def on_dtmf(self, tone: rtc.SipDTMF) -> None:
        self.tell([tone.code, tone.digit, tone.participant.identity], tone.participant.identity)

    def on_transcription(
        self, segments: list, participant: rtc.Participant, publication: rtc.TrackPublication | None
    ) -> None:
        told = [
            [[s.id, s.text, s.start_time, s.end_time, s.language, s.final] for s in segments],
            participant.identity,
            publication is None,
        ]
        self.tell(told, participant.identity)

    async def follow(self, track: rtc.RemoteDataTrack) -> None:
        """Tell of each frame of a caller's data track, by its length and hash."""
        publisher = track.publisher_identity
        async for frame in track.subscribe():
            digest = hashlib.sha256(frame.payload).hexdigest()
            self.tell([track.info.name, len(frame.payload), digest, frame.user_timestamp], publisher)
        self.tell([track.info.name, "ended"], publisher)

    async def publish_frames(self) -> None:
        """A data track with a small and a large frame, again and again."""
        track = await self.room.local_participant.publish_data_track(name="frames")
        while True:
            track.try_push(rtc.DataTrackFrame(b"small", 2**40))
            track.try_push(rtc.DataTrackFrame(BLOB))
            await asyncio.sleep(0.02)

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

        @local.register_rpc_method("knows_me")
        def knows_me(data: rtc.RpcInvocationData) -> str:
            return "yes" if data.caller_identity in self.room.remote_participants else "not yet"

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
        self.start(self.publish_frames())
        await until_stdin_closes()
        for task in self.tasks:
            task.cancel()


class Caller:
    def __init__(self, room: rtc.Room) -> None:
        self.room = room
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.tasks: set[asyncio.Task[None]] = set()
        room.register_text_stream_handler("told", self.on_told)
        self.tracks: asyncio.Queue[rtc.RemoteDataTrack] = asyncio.Queue()
        room.on("data_track_published", self.tracks.put_nowait)

    def on_told(self, reader: rtc.TextStreamReader, sender: str) -> None:
        async def read() -> None:
            self.told.put_nowait(await reader.read_all())

        task = asyncio.ensure_future(read())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def run(self) -> dict:
        self.server = await self.other()
        return {
            "calls": await self.calls(),
            "streams": await self.streams(),
            "packets": await self.packets(),
            "data_tracks": await self.data_tracks(),
        }

    async def other(self) -> str:
        """The identity of the serving side, once it is there, answers and has heard of us: livekit-server tells late
        of a participant that publishes no tracks."""
        there = asyncio.Event()
        self.room.on("participant_connected", lambda _: there.set())
        if not self.room.remote_participants:
            await there.wait()
        (identity,) = self.room.remote_participants
        self.server = identity
        for _ in range(200):
            if await self.call("knows_me", "") == "yes":
                break
            await asyncio.sleep(0.05)
        return identity

    async def call(self, method: str, payload: str, to: str = "", **options: float) -> str | list:
        try:
            return await self.room.local_participant.perform_rpc(
                destination_identity=to or self.server, method=method, payload=payload, **options
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
            "nobody": await self.call("echo", "", to="nobody", max_round_trip_latency=1.0),
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

    async def next_told(self) -> object:
        return json.loads(await asyncio.wait_for(self.told.get(), 10))

    async def packets(self) -> dict:
        local = self.room.local_participant
        to = {"destination_identities": [self.server]}
        results = {}
        await local.publish_data("hé", topic="t", **to)
        results["reliable"] = await self.next_told()
        await local.publish_data(b"lossy", reliable=False)
        results["lossy"] = await self.next_told()
        await local.publish_data("not for it", destination_identities=["somebody else"])
        await local.publish_dtmf(code=11, digit="#")
        results["dtmf"] = await self.next_told()
        segments = [
            rtc.TranscriptionSegment(
                id="s1", text="hel", start_time=1, end_time=2, language="de", final=False
            ),
            rtc.TranscriptionSegment(
                id="s1", text="hello", start_time=1, end_time=3, language="de", final=True
            ),
        ]
        await local.publish_transcription(
            rtc.Transcription(participant_identity=local.identity, track_sid="TR_none", segments=segments)
        )
        results["transcription"] = await self.next_told()
        return results

    async def data_tracks(self) -> dict:
        """Frames both ways."""
        remote = await asyncio.wait_for(self.tracks.get(), 10)
        results = {"remote": [remote.info.name, remote.info.uses_e2ee, remote.publisher_identity]}
        got = set()
        stream = remote.subscribe()
        while len(got) < 2:
            frame = await asyncio.wait_for(stream.read(), 10)
            got.add((len(frame.payload), hashlib.sha256(frame.payload).hexdigest(), frame.user_timestamp))
        stream.close()
        results["got"] = sorted(got, key=str)
        local = self.room.local_participant
        track = await local.publish_data_track(name="mine")
        results["sid"] = track.info.sid[:4]
        try:
            await local.publish_data_track(name="mine")
        except Exception as error:
            results["twice"] = [type(error).__name__, error.message]
        # Until the other side has subscribed nothing arrives.
        told = asyncio.ensure_future(self.next_told())
        while not told.done():
            track.try_push(rtc.DataTrackFrame(b"hello", 7))
            await asyncio.wait([told], timeout=0.05)
        results["small"] = await told
        track.try_push(rtc.DataTrackFrame(BLOB))
        while (told := await self.next_told())[1] != len(BLOB):
            pass
        results["large"] = told
        await track.unpublish()
        while (told := await self.next_told())[1] != "ended":
            pass
        results["ended"] = told
        try:
            track.try_push(rtc.DataTrackFrame(b"late"))
        except rtc.PushFrameError as error:
            results["late"] = error.message
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
