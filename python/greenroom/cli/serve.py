"""`greenroom serve`: the embedded server on its own."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .serve_options import KEYS_VARIABLE, configuration_body, dotted_flags, parse_keys

if TYPE_CHECKING:
    import greenroom
    from greenroom.server.config_file import Configuration

_EVERYWHERE, _HERE = "0.0.0.0", "127.0.0.1"


def serve(
    context: typer.Context,
    dev: Annotated[
        bool, typer.Option("--dev", help="Use the keys devkey/secret when none are given.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="Configuration file, in livekit-server's YAML.")] = None,
    config_body: Annotated[
        str | None, typer.Option(envvar="LIVEKIT_CONFIG", help="The configuration itself.")
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            help=f"API key and secret, as 'key: secret'; may be repeated. [env var: {KEYS_VARIABLE}]"
        ),
    ] = None,
    bind: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; 0.0.0.0 for all. Default: 127.0.0.1, with a configuration 0.0.0.0."
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="HTTP and WebSocket; 0 for any free one. [7880]")
    ] = None,
    udp_port: Annotated[
        int | None, typer.Option(min=0, max=65535, envvar="UDP_PORT", help="Media over UDP. [7882]")
    ] = None,
    tcp_port: Annotated[
        int | None,
        typer.Option(min=-1, max=65535, help="Media over TCP (ICE-TCP); -1 switches it off. [7881]"),
    ] = None,
    advertise: Annotated[
        list[str] | None,
        typer.Option(
            "--advertise",
            "--node-ip",
            envvar="NODE_IP",
            help="Address to put into candidates instead of the bound ones; may be repeated.",
        ),
    ] = None,
    tls_cert: Annotated[str | None, typer.Option(help="Certificate chain (PEM), for HTTPS and wss.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="Private key of the certificate (PEM).")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether the configuration is good.")
    ] = False,
) -> None:
    """Run the room server until Ctrl-C.

    SIGTERM drains: nobody new is let in, and those inside have `drain_timeout` to finish. Every plain key of the
    configuration is an option as well (--room.empty_timeout 60) and a variable (LIVEKIT_ROOM_EMPTY_TIMEOUT).
    """
    from greenroom.server import config_file

    from .output import complain

    options = {"tls.cert_file": tls_cert, "tls.key_file": tls_key, "development": dev or None}
    overrides: dict[str, Any] = {
        "host": bind,
        "port": port,
        "udp_port": udp_port,
        "advertised_addresses": tuple(advertise) if advertise else None,
    }
    try:
        overrides["keys"] = parse_keys(keys or [os.environ.get(KEYS_VARIABLE, "")]) or None
        body = configuration_body(config, config_body)
        flags = {**{k: v for k, v in options.items() if v is not None}, **dotted_flags(context.args)}
        given = {k: v for k, v in overrides.items() if v is not None}
        if tcp_port is not None:
            given["tcp_port"] = None if tcp_port < 0 else tcp_port
        configuration = config_file.load(
            body=body,
            environment=os.environ,
            flags=flags,
            defaults={**config_file.DEFAULT_PORTS, "host": _EVERYWHERE if body.strip() else _HERE},
            overrides=given,
        )
    except ValueError as error:
        complain(_explained(str(error)))
        raise typer.Exit(1) from error
    if check:
        _report(configuration)
    else:
        _run(configuration)


def _explained(error: str) -> str:
    if "at least one API key" in error:
        return f"no API keys: give --keys 'key: secret' (or {KEYS_VARIABLE}), or --dev for devkey/secret"
    return error


def _report(configuration: Configuration) -> None:
    """What `--check` says."""
    from greenroom.server.app import tls_context

    from .output import complain, say

    for warning in (*configuration.warnings, *configuration.server.without_effect()):
        say(f"warning: {warning}")
    try:
        tls_context(configuration.server)
    except OSError as error:
        complain(error.strerror or str(error))
        raise typer.Exit(1) from error
    server = configuration.server
    say(f"the configuration is good: {server.host}:{server.port}, media {_media(server)}")


def _media(server: Any) -> str:
    tcp = "off" if server.tcp_port is None else server.tcp_port
    return f"UDP {server.udp_port}, TCP {tcp}"


def _run(configuration: Configuration) -> None:
    import greenroom
    from greenroom.server import logs

    from .running import run_until_interrupted

    logs.configure(configuration.log_level, as_json=configuration.log_json)
    for warning in configuration.warnings:
        logging.getLogger("greenroom.server").warning("%s", warning)
    server = greenroom.Server(config=configuration.server)
    terminated = asyncio.Event()
    run_until_interrupted(
        _serve(server, terminated, configuration.drain_timeout_s), on_terminate=terminated.set
    )


async def _serve(server: greenroom.Server, terminated: asyncio.Event, drain_timeout_s: float) -> int:
    from .output import complain, say

    try:
        await server.start()
    except OSError as error:
        complain(f"can't start the server: {error.strerror or error}")
        return 1
    try:
        token = server.token(room="demo", identity="guest")
        say(f"serving {server.url} (media: {_media(server)}); Ctrl-C ends")
        say(f"join it: {own_command()} join {server.url} {token}")
        await terminated.wait()
        await server.drain(drain_timeout_s)
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
