"""`greenroom demo`: a server, two participants, sound, picture and data, end to end on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_INTERRUPTED = 130


def demo(
    audio: Annotated[
        Path | None, typer.Option(help="Sound to publish; default: that of --video, else a speech sample.")
    ] = None,
    video: Annotated[Path | None, typer.Option(help="Pictures to publish; default: a test card.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=2, help="Play at most this much; default: 8, or 30 of own files.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the received sound and picture.")] = Path(
        "demo-output"
    ),
) -> None:
    """Play files from one participant to another through the embedded server; exit 1 if anything is missing."""
    from .demo_session import run_demo
    from .running import run_until_interrupted

    if seconds is None:
        seconds = 8.0 if audio is None and video is None else 30.0
    run_until_interrupted(run_demo(audio, video, seconds, output), code_when_interrupted=_INTERRUPTED)
