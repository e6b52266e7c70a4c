"""`greenroom demo`: a server, two participants, sound, picture and data, end to end on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from livekit import rtc
from rich.console import Console
from rich.live import Live

import greenroom

from .demo_listener import DemoListener
from .demo_view import live_view, summary
from .latency_strip import stamp
from .media_file import FilePublisher, MediaFile, MediaFileError
from .running import run_until_interrupted

_SAMPLES = Path(greenroom.__file__).parent / "samples"
_PINGS_PER_SECOND = 5


def demo(
    audio: Annotated[Path | None, typer.Option(help="Sound to publish; default: a speech sample.")] = None,
    video: Annotated[Path | None, typer.Option(help="Picture to publish; default: a test card.")] = None,
    seconds: Annotated[float, typer.Option(min=2, help="Play at most this much of them.")] = 10.0,
    output: Annotated[Path, typer.Option(help="Folder for the received sound and picture.")] = Path("demo-output"),
) -> None:
    """Play a file from one participant to another through the embedded server; exit 1 if anything is missing."""
    run_until_interrupted(_demo(audio, video, seconds, output))


async def _demo(audio: Path | None, video: Path | None, seconds: float, output: Path) -> int:
    console = Console()
    try:
        sound = MediaFile.probe(audio or _SAMPLES / "speech.ogg")
        picture = MediaFile.probe(video or _SAMPLES / "testcard.webm")
    except MediaFileError as error:
        console.print(f"[red]{error}")
        return 1
    files = [f for f in (sound, picture) if f is sound or f.has_video]
    async with greenroom.Server() as server:
        listener = DemoListener()
        speaker = rtc.Room()
        try:
            await listener.room.connect(server.url, server.token(room="demo", identity="listener"))
            await speaker.connect(server.url, server.token(room="demo", identity="speaker"))
            publisher = FilePublisher(speaker, on_picture=lambda frame: stamp(frame))
            failures = await _play(console, listener, speaker, publisher, files, seconds)
        except rtc.ConnectError as error:
            console.print(f"[red]joining the embedded server failed: {error.message}")
            return 1
        finally:
            await listener.aclose()
            await speaker.disconnect()
    written = listener.save(output)
    console.print(summary(listener, publisher, written))
    for failure in failures:
        console.print(f"[red]did not arrive: {failure}")
    return 1 if failures else 0


async def _play(
    console: Console,
    listener: DemoListener,
    speaker: rtc.Room,
    publisher: FilePublisher,
    files: list[MediaFile],
    seconds: float,
) -> list[str]:
    playing = asyncio.ensure_future(publisher.play(files, seconds=seconds))
    pinging = asyncio.ensure_future(_ping(speaker, listener))
    try:
        with Live(live_view(listener, speaker), console=console, refresh_per_second=8) as live:
            while not playing.done():
                await asyncio.wait([playing], timeout=0.125)
                await listener.sample_statistics()
                live.update(live_view(listener, speaker))
        playing.result()
        await listener.settle()
    finally:
        for task in (playing, pinging):
            task.cancel()
        await asyncio.gather(playing, pinging, return_exceptions=True)
    return listener.missing(publisher, wants_video=any(f.has_video for f in files))


async def _ping(speaker: rtc.Room, listener: DemoListener) -> None:
    """Reliable and lossy data in turn from the speaker; the listener answers each."""
    number = 0
    speaker.on("data_received", listener.on_answer)
    while True:
        reliable = number % 2 == 0
        listener.expect(number, reliable=reliable)
        await speaker.local_participant.publish_data(str(number), reliable=reliable, topic="ping")
        number += 1
        await asyncio.sleep(1 / _PINGS_PER_SECOND)
