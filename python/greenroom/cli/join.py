"""`greenroom join`: be a participant, publishing a file and recording what is heard and seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def join(
    url: Annotated[
        str, typer.Argument(help="Server, for example ws://127.0.0.1:7880.", envvar="LIVEKIT_URL")
    ],
    token: Annotated[
        str, typer.Argument(help="Access token (greenroom token prints one).", envvar="LIVEKIT_TOKEN")
    ],
    publish: Annotated[
        list[Path] | None, typer.Option(help="Media file to publish; may be given twice (sound, picture).")
    ] = None,
    record: Annotated[Path | None, typer.Option(help="Folder for what is received: WAV and MP4.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Leave after this long.")] = None,
) -> None:
    """Join a room. Leaves when the published files end, after --seconds, or at Ctrl-C."""
    from .join_session import join_room
    from .running import run_until_interrupted

    run_until_interrupted(join_room(url, token, publish or [], record, seconds))
