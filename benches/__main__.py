"""`python -m benches`: both SDKs do the same work on one livekit-server, in turn; prints ratios, then the Rust benches."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.interop.peers import sdk_python
from tests.interop.servers import API_KEY, API_SECRET, livekit_server

_ROOT = Path(__file__).resolve().parent.parent
_WORK = Path(__file__).with_name("room_work.py")
_CRITERION = ["--warm-up-time", "0.5", "--measurement-time", "2"]
_TARGETS = {
    "connect_ms": ("≤", 0.5),
    "data_latency_ms_p50": ("≤", 0.5),
    "data_mb_per_s": ("≥", 10.0),
    "rpc_round_trip_ms_p50": ("≤", 0.5),
    "rpc_calls_per_s": ("≥", 5.0),
    "audio_cpu_percent_per_track": ("≤", 0.5),
    "vp8_720p_latency_ms_p50": ("≤", 1.0),
}
"""Figure to the ratio (Greenroom / official) aimed for."""


def run_once(sdk: str, url: str) -> dict[str, float]:
    environment = {
        **os.environ,
        "LIVEKIT_URL": url,
        "LIVEKIT_API_KEY": API_KEY,
        "LIVEKIT_API_SECRET": API_SECRET,
    }
    ran = subprocess.run(
        [sdk_python(sdk), _WORK], env=environment, capture_output=True, text=True, timeout=300
    )
    if ran.returncode != 0:
        sys.exit(f"{sdk}: the work failed\n{ran.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return figures


def table(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> Table:
    result = Table(title=f"medians of {len(ours)} runs each, on one livekit-server")
    for column in ("figure", "greenroom", "official", "ratio", "aim"):
        result.add_column(column, justify="left" if column == "figure" else "right")
    for figure in ours[0]:
        mine = statistics.median(run[figure] for run in ours)
        other = statistics.median(run[figure] for run in theirs)
        ratio = mine / other if other else float("nan")
        sign, aim = _TARGETS.get(figure, ("", None))
        result.add_row(figure, f"{mine:.2f}", f"{other:.2f}", f"{ratio:.2f}", f"{sign} {aim}" if aim else "")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each SDK, in turn (default 3)")
    parser.add_argument("--no-rust", action="store_true", help="leave the criterion benches out")
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {"greenroom": [], "official": []}
    with tempfile.TemporaryDirectory() as folder, livekit_server(Path(folder) / "server.log") as server:
        for _ in range(arguments.runs):
            for sdk, figures in runs.items():
                figures.append(run_once(sdk, server.url))
    Console().print(table(runs["greenroom"], runs["official"]))
    if not arguments.no_rust:
        command = ["cargo", "bench", "--workspace", "--bench", "*", "--", *_CRITERION]
        subprocess.run(command, cwd=_ROOT, check=True)


main()
