"""The subcommands put together."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from . import demo, join, serve, token

app = typer.Typer(
    name="greenroom",
    help="LiveKit rooms for Python: an embedded room server, and tools around rooms.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Keys of the configuration are options that are not listed one by one.
_EXTRA_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command("serve", context_settings=_EXTRA_OPTIONS)(serve.serve)
app.command("token")(token.token)
app.command("join")(join.join)
app.command("demo")(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"greenroom {metadata.version('greenroom')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _without_a_command(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
