"""The `greenroom` command: one file a subcommand."""

from __future__ import annotations

import typer

from . import demo, join, serve, token

app = typer.Typer(
    name="greenroom",
    help="LiveKit rooms for Python: an embedded room server, and tools around rooms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("token")(token.token)
app.command("join")(join.join)
app.command("demo")(demo.demo)


def main() -> None:
    """Entry point of the `greenroom` script."""
    app()
