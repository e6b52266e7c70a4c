"""Data on the embedded server: two rooms and the server in one process, over loopback.

usage: python -m benches.embedded_data

Prints one JSON object of figures: reliable messages of 14 kB, and a file of 1 GiB with the memory that takes.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import greenroom
from livekit import rtc

MESSAGES, MESSAGE_BYTES, RUNS = 5_000, 14_000, 3
FILE_BYTES = int(os.environ.get("FILE_BYTES", 1 << 30))


async def send_messages(sender: rtc.Room, receiver: rtc.Room) -> float:
    """MB/s from the first call to the arrival of the last message; the best of some runs."""
    payload = os.urandom(MESSAGE_BYTES)
    best = 0.0
    for _ in range(RUNS):
        received, arrived = 0, asyncio.Event()

        def on_data(_: rtc.DataPacket, arrived: asyncio.Event = arrived) -> None:
            nonlocal received
            received += 1
            if received == MESSAGES:
                arrived.set()

        receiver.on("data_received", on_data)
        started = time.perf_counter()
        for _ in range(MESSAGES):
            await sender.local_participant.publish_data(payload)
        await asyncio.wait_for(arrived.wait(), 120)
        best = max(best, MESSAGES * MESSAGE_BYTES / (time.perf_counter() - started) / 1e6)
        receiver.off("data_received", on_data)
    return best


async def send_file(sender: rtc.Room, receiver: rtc.Room, folder: Path) -> dict[str, float]:
    path = folder / "large.bin"
    # Repeats are too far apart for compression to find them.
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(FILE_BYTES // len(block)):
            file.write(block)
    size = path.stat().st_size
    received, arrived = 0, asyncio.Event()
    jobs = []

    async def consume(reader: rtc.ByteStreamReader) -> None:
        nonlocal received
        async for chunk in reader:
            received += len(chunk)
        arrived.set()

    receiver.register_byte_stream_handler(
        "file", lambda reader, _: jobs.append(asyncio.ensure_future(consume(reader)))
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    await sender.local_participant.send_file(str(path), topic="file")
    await asyncio.wait_for(arrived.wait(), 600)
    elapsed = time.perf_counter() - started
    assert received == size, received
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"embedded_file_mb_per_s": size / elapsed / 1e6, "embedded_file_memory_mb": grown / 1024}


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with greenroom.Server() as server:
            sender, receiver = rtc.Room(), rtc.Room()
            for room, identity in ((sender, "a"), (receiver, "b")):
                await room.connect(server.url, server.token(room="data", identity=identity))
            figures = {"embedded_data_mb_per_s": await send_messages(sender, receiver)}
            figures |= await send_file(sender, receiver, Path(folder))
            await asyncio.gather(sender.disconnect(), receiver.disconnect())
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
