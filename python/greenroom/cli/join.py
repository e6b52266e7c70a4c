"""`greenroom join`: be a participant, publishing a file and recording what is heard and seen."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated

import typer
from livekit import rtc
from rich.console import Console

from .media_file import FilePublisher, MediaFile, MediaFileError
from .recorder import RoomRecorder
from .running import run_until_interrupted

_console = Console(highlight=False)


def join(
    url: Annotated[str, typer.Argument(help="Server, for example ws://127.0.0.1:7880.")],
    token: Annotated[str, typer.Argument(help="Access token (greenroom token prints one).")],
    publish: Annotated[
        list[Path] | None, typer.Option(help="Media file to publish; may be given twice (sound, picture).")
    ] = None,
    record: Annotated[Path | None, typer.Option(help="Folder for what is received: WAV and MP4.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Leave after this long.")] = None,
) -> None:
    """Join a room. Leaves when the published file ends, at Ctrl-C, or when the server says so."""
    run_until_interrupted(_join(url, token, publish or [], record, seconds))


async def _join(url: str, token: str, publish: list[Path], record: Path | None, seconds: float | None) -> int:
    try:
        files = [MediaFile.probe(path) for path in publish]
    except MediaFileError as error:
        _console.print(f"[red]{error}")
        return 1
    room = rtc.Room()
    left = asyncio.Event()
    _report_events(room, left)
    recorder = RoomRecorder(room, record) if record is not None else None
    try:
        await room.connect(url, token)
    except rtc.ConnectError as error:
        _console.print(f"[red]can't join {url}: {error.message}")
        return 1
    _console.print(f"joined {room.name!r} as {room.local_participant.identity!r}; Ctrl-C leaves")
    try:
        await _stay(room, files, seconds, left)
    finally:
        if recorder is not None:
            await recorder.aclose()
            for file in recorder.files:
                _console.print(f"recorded {file}")
        await room.disconnect()
    return 0


async def _stay(room: rtc.Room, files: list[MediaFile], seconds: float | None, left: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(left.wait())]
    if files:
        waits.append(asyncio.ensure_future(FilePublisher(room).play(files, seconds=seconds)))
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in waits:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _report_events(room: rtc.Room, left: asyncio.Event) -> None:
    def on_disconnected(reason: rtc.DisconnectReason.ValueType) -> None:
        _console.print(f"left: {rtc.DisconnectReason.Name(reason)}")
        left.set()

    room.on("participant_connected", lambda p: _console.print(f"+ {p.identity}"))
    room.on("participant_disconnected", lambda p: _console.print(f"- {p.identity}"))
    room.on("track_subscribed", lambda t, _, p: _console.print(f"  {p.identity}: {t.name or t.sid} arrives"))
    room.on("track_unsubscribed", lambda t, _, p: _console.print(f"  {p.identity}: {t.name or t.sid} ended"))
    room.on("disconnected", on_disconnected)
