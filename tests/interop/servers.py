"""The two servers every interop case runs on: the real livekit-server and the embedded one."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livekit import api

from .peers import livekit_server_binary
from .ports import free_port

API_KEY = "devkey"
API_SECRET = "secret-of-at-least-thirty-two-characters"


@dataclass(frozen=True)
class RoomServer:
    """A running server to join."""

    name: str
    url: str
    api_key: str = API_KEY
    api_secret: str = API_SECRET
    pid: int = 0
    """Of its process, when it has one of its own; so is this: where media is received."""
    udp_port: int = 0

    def token(self, identity: str, room: str, *, kind: str = "standard", **grants: object) -> str:
        """A token that joins `room`; `grants` are VideoGrants fields."""
        video = api.VideoGrants(room_join=True, room=room, **grants)  # type: ignore[arg-type]
        token = (
            api.AccessToken(API_KEY, API_SECRET).with_identity(identity).with_name(identity).with_kind(kind)
        )
        return token.with_grants(video).to_jwt()


_LIVEKIT_CONFIG = """
port: {port}
bind_addresses: ["{address}"]
rtc:
  tcp_port: {tcp_port}
  udp_port: {udp_port}
  node_ip: "{node_ip}"
  enable_loopback_candidate: true
  interfaces:
    includes: [lo]
{rtc}
keys:
  {key}: {secret}
logging:
  level: info
"""


@contextlib.contextmanager
def livekit_server(
    log: Path, more: str = "", rtc: str = "", address: str = "127.0.0.1", node_ip: str = ""
) -> Iterator[RoomServer]:
    """Run livekit-server on loopback until the block ends; its output goes to `log`. `more` is YAML to be added, `rtc`
    lines of its section of that name. `node_ip`: what clients are told in place of `address`."""
    command = [livekit_server_binary()]
    with _serving("livekit-server", command, log, more, rtc, address, node_ip) as server:
        yield server


@contextlib.contextmanager
def greenroom_server(
    log: Path, more: str = "", rtc: str = "", address: str = "127.0.0.1"
) -> Iterator[RoomServer]:
    """As `livekit_server`, with the same configuration: `greenroom serve`, a process of its own."""
    command = [sys.executable, "-m", "greenroom", "serve"]
    with _serving("greenroom", command, log, more, rtc, address) as server:
        yield server


@contextlib.contextmanager
def _serving(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    more: str,
    rtc: str,
    address: str,
    node_ip: str = "",
) -> Iterator[RoomServer]:
    port, udp_port = free_port(), free_port()
    config = _LIVEKIT_CONFIG.format(
        port=port,
        tcp_port=free_port(),
        udp_port=udp_port,
        node_ip=node_ip or address,
        key=API_KEY,
        secret=API_SECRET,
        rtc=rtc,
        address=address,
    )
    host = f"[{address}]" if ":" in address else address
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--config-body", config + more], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_healthy(f"http://{host}:{port}/", process, log)
            yield RoomServer(name, f"ws://{host}:{port}", pid=process.pid, udp_port=udp_port)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        unreachable = contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError)
        with unreachable, urllib.request.urlopen(url, timeout=1) as response:
            if response.status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{url} never answered; its output:\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def embedded_server(**settings: Any) -> Iterator[RoomServer]:
    """Run the embedded server on a loop of its own thread until the block ends; `settings` are ServerConfig's."""
    import greenroom

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="embedded-server", daemon=True)
    thread.start()

    def run(coroutine):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    server = greenroom.Server(port=0, udp_port=0, tcp_port=0, keys={API_KEY: API_SECRET}, **settings)
    run(server.__aenter__())
    try:
        yield RoomServer("embedded", server.url)
    finally:
        run(server.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
