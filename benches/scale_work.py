"""Many rooms joined from one process, run by either SDK's interpreter.

usage: LIVEKIT_URL=… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… PYTHON scale_work.py ROOMS

Prints one JSON object of figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
import time

from livekit import api, rtc

URL = os.environ["LIVEKIT_URL"]
JOINING_AT_ONCE = 10
IDLE_SECONDS = 10.0


def token(room: str) -> str:
    key, secret = os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]
    grants = api.VideoGrants(room_join=True, room=room)
    return api.AccessToken(key, secret).with_identity("a").with_grants(grants).to_jwt()


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def threads() -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Threads:"))


async def join_all(count: int) -> list[rtc.Room]:
    rooms: list[rtc.Room] = []
    numbers = iter(range(count))

    async def join_some() -> None:
        for number in numbers:
            room = rtc.Room()
            await room.connect(URL, token(f"scale-{number}"))
            rooms.append(room)

    await asyncio.gather(*(join_some() for _ in range(JOINING_AT_ONCE)))
    return rooms


async def main(count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    first = await join_all(1)  # what a process needs once is not counted
    await first[0].disconnect()
    before_mb, before_descriptors, before_threads = resident_mb(), len(os.listdir("/proc/self/fd")), threads()
    started, cpu = time.perf_counter(), time.process_time()
    rooms = await join_all(count)
    figures = {
        "rooms": float(len(rooms)),
        "join_ms_per_room": (time.perf_counter() - started) * 1e3 / count,
        "join_cpu_ms_per_room": (time.process_time() - cpu) * 1e3 / count,
    }
    await asyncio.sleep(2)
    figures |= {
        "memory_mb_per_room": (resident_mb() - before_mb) / count,
        "descriptors_per_room": (len(os.listdir("/proc/self/fd")) - before_descriptors) / count,
        "threads_per_room": (threads() - before_threads) / count,
    }
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.sleep(IDLE_SECONDS)
    elapsed = time.perf_counter() - started
    figures["idle_cpu_percent_per_room"] = (time.process_time() - cpu) / elapsed * 100 / count
    figures["still_connected"] = float(sum(room.isconnected() for room in rooms))
    print(json.dumps(figures), flush=True)
    print("idle", flush=True)
    await asyncio.gather(*(room.disconnect() for room in rooms))
    assert threading.active_count() < 50


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
