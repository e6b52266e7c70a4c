"""`python -m benches.load`: livekit-server and `greenroom serve` under the same load, in turn; prints both and their ratio."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.interop.servers import RoomServer, greenroom_server, livekit_server

from .generator import Figures, GeneratorError, build, run
from .scenarios import SCENARIOS, Scenario

_SERVERS: dict[str, Callable[[Path], AbstractContextManager[RoomServer]]] = {
    "greenroom": greenroom_server,
    "livekit-server": livekit_server,
}
_AIMS = {"cpu_us_per_packet": "≤ 0.5", "memory_kb_per_participant": "≤ 0.5", "joins_per_s": "≥ 1"}
_WARM_UP = Scenario("audio", 1, 2)


def measure(generator: Path, name: str, scenario: Scenario, seconds: float) -> Figures:
    """One load on a server of its own, after a small one that has it load what it needs once."""
    with tempfile.TemporaryDirectory() as folder, _SERVERS[name](Path(folder) / "server.log") as server:
        run(generator, server, _WARM_UP, 0.5, room="warm-up")
        return run(generator, server, scenario, seconds)


def table(scenario: Scenario, runs: dict[str, list[Figures]]) -> Table:
    """Medians of both servers and their ratios."""
    result = Table(title=f"{scenario.title()}: medians of {len(runs['greenroom'])} runs each")
    for column in ("figure", *runs, "ratio", "aim"):
        result.add_column(column, justify="left" if column == "figure" else "right")
    for figure in runs["greenroom"][0]:
        mine, other = (statistics.median(one[figure] for one in figures) for figures in runs.values())
        ratio = f"{mine / other:.2f}" if other else "-"
        result.add_row(figure, f"{mine:.2f}", f"{other:.2f}", ratio, _AIMS.get(figure, ""))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.load", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=3, help="of each load on each server, in turn (default 3)"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="measured per run (default 10)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of those who join after the publishers (default 1)"
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", choices=names, help="one load instead of all")
    arguments = parser.parse_args()
    generator = build()
    for scenario in SCENARIOS:
        if arguments.only not in (None, scenario.name):
            continue
        scaled = scenario.scaled(arguments.scale)
        runs: dict[str, list[Figures]] = {name: [] for name in _SERVERS}
        try:
            for _ in range(arguments.runs):
                for name, figures in runs.items():
                    figures.append(measure(generator, name, scaled, arguments.seconds))
        except GeneratorError as error:
            sys.exit(str(error))
        Console().print(table(scaled, runs))


if __name__ == "__main__":
    main()
