"""A watcher in a process of its own, run by the official SDK's interpreter.

usage: PYTHON watching_program.py URL TOKEN

Prints one JSON line for each new size of the picture it receives. For each number it reads it waits until so many more
frames have come, and prints the longest time without one meanwhile. Leaves when its standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from livekit import rtc


class Watcher:
    def __init__(self) -> None:
        self.size: list[int] = []
        self.wanted, self.longest_gap_s = 0, 0.0

    async def watch(self, track: rtc.Track) -> None:
        last = time.monotonic()
        async for event in rtc.VideoStream(track):
            now = time.monotonic()
            self.longest_gap_s, last = max(self.longest_gap_s, now - last), now
            size = [event.frame.width, event.frame.height]
            if size != self.size:
                self.size = size
                print(json.dumps({"size": size}), flush=True)
            self.wanted -= 1
            if self.wanted == 0:
                print(json.dumps({"longest_gap_s": self.longest_gap_s}), flush=True)

    def want(self, frames: int) -> None:
        self.wanted, self.longest_gap_s = frames, 0.0


async def main(url: str, token: str) -> None:
    room, watcher = rtc.Room(), Watcher()
    watching: list[asyncio.Future[None]] = []
    room.on("track_subscribed", lambda t, *_: watching.append(asyncio.ensure_future(watcher.watch(t))))
    await room.connect(url, token)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while order := await reader.readline():
        watcher.want(int(order))
    await room.disconnect()


asyncio.run(main(*sys.argv[1:]))
