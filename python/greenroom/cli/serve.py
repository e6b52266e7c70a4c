"""`greenroom serve`: the embedded server on its own."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console

import greenroom

from .running import run_until_interrupted
from .token import make_token

_DEV_KEYS = {"devkey": "secret"}
_console = Console(highlight=False, soft_wrap=True)


def serve(
    dev: Annotated[bool, typer.Option(help="Use the keys devkey/secret when none are given.")] = False,
    keys: Annotated[
        list[str] | None, typer.Option(envvar="LIVEKIT_KEYS", help="API key and secret, as 'key: secret'; may be repeated.")
    ] = None,
    bind: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="HTTP and WebSocket.")] = 7880,
    udp_port: Annotated[int, typer.Option(help="Media over UDP.")] = 7882,
    tcp_port: Annotated[int, typer.Option(help="Media over TCP (ICE-TCP); -1 switches it off.")] = 7881,
    advertise: Annotated[
        list[str] | None, typer.Option(help="Address to put into candidates instead of the bound ones.")
    ] = None,
) -> None:
    """Run the room server until Ctrl-C."""
    parsed = _parse_keys(keys or [])
    if not parsed and not dev:
        _console.print("[red]no API keys: give --keys 'key: secret' (or LIVEKIT_KEYS), or --dev for devkey/secret")
        raise typer.Exit(1)
    server = greenroom.Server(
        keys=parsed or _DEV_KEYS,
        host=bind,
        port=port,
        udp_port=udp_port,
        tcp_port=None if tcp_port < 0 else tcp_port,
        advertised_addresses=tuple(advertise or ()),
    )
    run_until_interrupted(_serve(server))


def _parse_keys(lines: list[str]) -> dict[str, str]:
    """`key: secret` pairs, one a line, as livekit-server's LIVEKIT_KEYS has them."""
    keys = {}
    for line in (part for text in lines for part in text.splitlines() if part.strip()):
        key, colon, secret = line.partition(":")
        if not colon or not key.strip() or not secret.strip():
            raise typer.BadParameter(f"{line!r} is not 'key: secret'", param_hint="--keys")
        keys[key.strip()] = secret.strip()
    return keys


async def _serve(server: greenroom.Server) -> int:
    try:
        await server.start()
    except OSError as error:
        _console.print(f"[red]can't start: {error}")
        return 1
    try:
        token = make_token(server.api_key, server.api_secret, identity="guest", room="demo")
        _console.print(f"serving {server.url}  (media: UDP {server.udp_port}, TCP {server.tcp_port or 'off'})")
        _console.print(f"join it: greenroom join {server.url} {token}")
        await asyncio.Event().wait()
    finally:
        await server.stop()
    return 0
