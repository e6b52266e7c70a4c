"""The `greenroom` command: one file a subcommand; what each does at length is beside it."""

from __future__ import annotations

import contextlib
import io
import sys


def main() -> None:
    """Entry point of the `greenroom` script."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal whose encoding lacks a character shows a question mark instead of ending the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with contextlib.suppress(BrokenPipeError):
            # Imported here so that Ctrl-C during the imports is met too.
            from .application import app

            app(prog_name="greenroom")
    except KeyboardInterrupt:
        sys.exit(130)
