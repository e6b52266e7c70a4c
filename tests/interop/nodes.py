"""Two livekit-server nodes that share Redis, as a deployment past one machine has them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .ports import free_port
from .servers import RoomServer, livekit_server

_START_S = 15.0
_GUIDE = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"


def documented(language: str) -> str:
    """The only block in that language of the guide."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", _GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def documented_configuration() -> dict[str, Any]:
    """What the guide has both nodes be configured with."""
    configuration: dict[str, Any] = yaml.safe_load(documented("yaml"))
    return configuration


@dataclass(frozen=True)
class Redis:
    """A running Redis of one's own."""

    port: int

    def ask(self, *command: str) -> str:
        """What it answers."""
        asked = subprocess.run(
            ["redis-cli", "-p", str(self.port), *command], capture_output=True, text=True, timeout=10
        )
        return asked.stdout.strip()


@dataclass(frozen=True)
class Node:
    """One livekit-server."""

    identity: str
    server: RoomServer

    def crash(self) -> None:
        """End it at once; nobody is told."""
        os.kill(self.server.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Cluster:
    redis: Redis
    first: Node
    second: Node

    def home_of(self, room: str) -> str:
        """The identity of the node that the room lives on."""
        return self.redis.ask("HGET", "room_node_map", room)


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """Debian's redis-server on a free port of 127.0.0.1, in memory only, until the block ends."""
    redis = Redis(free_port())
    options = {
        "bind": "127.0.0.1",
        "port": str(redis.port),
        "save": "",
        "appendonly": "no",
        "dir": str(folder),
    }
    arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(["redis-server", *arguments], stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + _START_S
        while redis.ask("PING") != "PONG":
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"redis-server never answered: {(folder / 'redis.log').read_text()}")
        yield redis
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Two nodes with one configuration but for their ports."""
    with contextlib.ExitStack() as running:
        redis = running.enter_context(redis_server(folder))
        shared = {**documented_configuration()["redis"], "address": f"127.0.0.1:{redis.port}"}
        more = yaml.safe_dump({"redis": shared})
        nodes: list[Node] = []
        for name in ("first", "second"):
            server = running.enter_context(livekit_server(folder / f"{name}.log", more))
            known = {node.identity for node in nodes}
            (identity,) = set(redis.ask("HKEYS", "nodes").split()) - known
            nodes.append(Node(identity, server))
        yield Cluster(redis, *nodes)
