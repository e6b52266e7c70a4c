"""`greenroom serve`: the embedded server on its own."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import greenroom

_DEV_KEYS = {"devkey": "secret"}
_KEYS_VARIABLE = "LIVEKIT_KEYS"


def serve(
    dev: Annotated[
        bool, typer.Option("--dev", help="Use the keys devkey/secret when none are given.")
    ] = False,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            help=f"API key and secret, as 'key: secret'; may be repeated. [env var: {_KEYS_VARIABLE}]"
        ),
    ] = None,
    bind: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="HTTP and WebSocket; 0 for any free one.")
    ] = 7880,
    udp_port: Annotated[int, typer.Option(min=0, max=65535, help="Media over UDP.")] = 7882,
    tcp_port: Annotated[
        int, typer.Option(min=-1, max=65535, help="Media over TCP (ICE-TCP); -1 switches it off.")
    ] = 7881,
    advertise: Annotated[
        list[str] | None,
        typer.Option(help="Address to put into candidates instead of the bound ones; may be repeated."),
    ] = None,
) -> None:
    """Run the room server until Ctrl-C."""
    from .output import complain

    try:
        # Not left to the option: it would split the variable at every blank.
        parsed = parse_keys(keys or [os.environ.get(_KEYS_VARIABLE, "")])
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(1) from error
    if not parsed and not dev:
        complain(f"no API keys: give --keys 'key: secret' (or {_KEYS_VARIABLE}), or --dev for devkey/secret")
        raise typer.Exit(1)
    import greenroom

    from .running import run_until_interrupted

    server = greenroom.Server(
        keys=parsed or _DEV_KEYS,
        host=bind,
        port=port,
        udp_port=udp_port,
        tcp_port=None if tcp_port < 0 else tcp_port,
        advertised_addresses=tuple(advertise or ()),
    )
    run_until_interrupted(_serve(server))


def parse_keys(texts: list[str]) -> dict[str, str]:
    """`key: secret` pairs, one a line, as livekit-server's LIVEKIT_KEYS has them. ValueError otherwise."""
    keys = {}
    for line in (line for text in texts for line in text.splitlines() if line.strip()):
        key, _, secret = (part.strip() for part in line.partition(":"))
        if not key or not secret:
            # The line may hold a secret: only its beginning is shown.
            raise ValueError(f"--keys or {_KEYS_VARIABLE}: {line[:12]!r}… is not 'key: secret'")
        keys[key] = secret
    return keys


async def _serve(server: greenroom.Server) -> int:
    from .output import complain, say

    try:
        await server.start()
    except OSError as error:
        complain(f"can't start the server: {error.strerror or error}")
        return 1
    try:
        token = server.token(room="demo", identity="guest")
        tcp = "off" if server.tcp_port is None else server.tcp_port
        say(f"serving {server.url} (media: UDP {server.udp_port}, TCP {tcp}); Ctrl-C ends")
        say(f"join it: {own_command()} join {server.url} {token}")
        await asyncio.Event().wait()
    finally:
        await server.stop()
    return 0


def own_command() -> str:
    """How this command can be typed again, for lines to be pasted."""
    if Path(sys.argv[0]).name != "greenroom":
        return f"{shlex.quote(sys.executable)} -m greenroom"
    found = shutil.which("greenroom")
    if found is not None and Path(found).resolve() == Path(sys.argv[0]).resolve():
        return "greenroom"
    return shlex.quote(str(Path(sys.argv[0]).absolute()))
