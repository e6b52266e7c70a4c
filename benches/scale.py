"""`python -m benches.scale`: a thousand idle rooms joined from one process against the embedded server, and as many
as asked for with the official SDK; what a room costs both, and the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.interop.peers import sdk_python

import greenroom

_WORK = Path(__file__).with_name("scale_work.py")
_LIMIT_S = 1800.0


def _resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


async def run(sdk: str, rooms: int) -> dict[str, float]:
    """The figures of one SDK, with the server's own of the same run. The server is this process."""
    async with greenroom.Server() as server:
        environment = {
            **os.environ,
            "LIVEKIT_URL": server.url,
            "LIVEKIT_API_KEY": server.api_key,
            "LIVEKIT_API_SECRET": server.api_secret,
        }
        before_mb = _resident_mb()
        process = await asyncio.create_subprocess_exec(
            sdk_python(sdk), _WORK, str(rooms), env=environment, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        started, cpu = time.perf_counter(), time.process_time()
        line = await asyncio.wait_for(process.stdout.readline(), _LIMIT_S)
        if not line:
            sys.exit(f"{sdk}: the work failed")
        figures: dict[str, float] = json.loads(line)
        figures["server_memory_mb_per_room"] = (_resident_mb() - before_mb) / rooms
        figures["server_cpu_percent_per_room"] = (
            (time.process_time() - cpu) / (time.perf_counter() - started) * 100 / rooms
        )
        await process.communicate()
        return figures


def table(ours: dict[str, float], theirs: dict[str, float]) -> Table:
    result = Table(title="idle rooms of one process on the embedded server")
    for column in ("figure", "greenroom", "official", "ratio"):
        result.add_column(column, justify="left" if column == "figure" else "right")
    for figure, mine in ours.items():
        other = theirs.get(figure, float("nan"))
        ratio = f"{mine / other:.2f}" if other else "-"
        result.add_row(figure, f"{mine:.3f}", f"{other:.3f}", ratio)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.scale", description=__doc__)
    parser.add_argument("--rooms", type=int, default=1000, help="of Greenroom's SDK (default 1000)")
    parser.add_argument(
        "--official-rooms", type=int, default=100, help="of the official SDK; 0: none (default 100)"
    )
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ours = asyncio.run(run("greenroom", arguments.rooms))
    theirs = asyncio.run(run("official", arguments.official_rooms)) if arguments.official_rooms else {}
    Console().print(table(ours, theirs))


if __name__ == "__main__":
    main()
