"""What `greenroom demo` does once its options are read."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live

import greenroom
from livekit import rtc
from livekit.rtc.participant import PublishDataError, PublishTrackError

from .demo_listener import DemoListener
from .demo_view import live_view, summary
from .file_publisher import FilePublisher
from .latency_strip import stamp
from .media_file import MediaFile, MediaFileError
from .output import complain, say

_SAMPLES = Path(greenroom.__file__).parent / "samples"
_PING_INTERVAL_S = 0.2
_VIEW_INTERVAL_S = 0.125
_SUBSCRIBER_LIMIT_S = 5.0


async def run_demo(audio: Path | None, video: Path | None, seconds: float, output: Path) -> int:
    """The whole demo; the exit code."""
    try:
        sound, picture = await asyncio.to_thread(_choose, audio, video)
        await asyncio.to_thread(output.mkdir, parents=True, exist_ok=True)
    except (MediaFileError, OSError) as error:
        complain(str(error))
        return 1
    try:
        async with greenroom.Server() as server:
            listener, publisher, failures = await _in_the_room(server, sound, picture, seconds)
    except rtc.ConnectError as error:
        complain(f"joining the embedded server failed: {error.message}")
        return 1
    except (MediaFileError, PublishTrackError, OSError) as error:
        complain(f"the demo failed: {error}")
        return 1
    written = listener.save(output)
    Console().print(summary(listener, publisher, written))
    for failure in failures:
        complain(f"did not arrive: {failure}")
    return 1 if failures else 0


def _choose(audio: Path | None, video: Path | None) -> tuple[MediaFile, MediaFile]:
    """The files for sound and pictures: those given, the sound of a given video, else the samples."""
    picture = MediaFile.probe(video or _SAMPLES / "testcard.webm")
    if not picture.has_video:
        raise MediaFileError(f"{picture.path} has no pictures, only sound: give it as the audio file")
    if audio is None and picture.has_audio:
        return picture, picture
    sound = MediaFile.probe(audio or _SAMPLES / "speech.ogg")
    if not sound.has_audio:
        raise MediaFileError(f"{sound.path} has no sound, only pictures: give it as the video file")
    return sound, picture


async def _in_the_room(
    server: greenroom.Server, sound: MediaFile, picture: MediaFile, seconds: float
) -> tuple[DemoListener, FilePublisher, list[str]]:
    listener, speaker = DemoListener(), rtc.Room()
    try:
        # In this order the listener knows the speaker from the start: data that comes first has a sender.
        await speaker.connect(server.url, server.token(room="demo", identity="speaker"))
        await listener.room.connect(server.url, server.token(room="demo", identity="listener"))
        publisher = FilePublisher(speaker, on_picture=stamp)
        playing = asyncio.ensure_future(
            publisher.play(sound, picture, seconds=seconds, wait_for_subscriber_s=_SUBSCRIBER_LIMIT_S)
        )
        say(
            f"playing {sound.path.name} and {picture.path.name} from speaker to listener, {seconds:g} s at most"
        )
        await _until_played(listener, speaker, playing, seconds)
        return listener, publisher, listener.missing(publisher, wants_video=True)
    finally:
        await listener.aclose()
        await speaker.disconnect()


async def _until_played(
    listener: DemoListener, speaker: rtc.Room, playing: asyncio.Future[None], seconds: float
) -> None:
    enough = asyncio.Event()
    pinging = asyncio.ensure_future(_ping(speaker, listener, enough))
    started = time.monotonic()
    try:
        with _live(listener) as live:
            while not playing.done():
                await asyncio.wait([playing], timeout=_VIEW_INTERVAL_S)
                await listener.sample_statistics()
                if live is not None:
                    live.update(live_view(listener, time.monotonic() - started, seconds), refresh=True)
        playing.result()
        enough.set()
        await pinging
        await listener.settle()
    finally:
        for task in (playing, pinging):
            task.cancel()
        await asyncio.gather(playing, pinging, return_exceptions=True)


@contextlib.contextmanager
def _live(listener: DemoListener) -> Iterator[Live | None]:
    """The live view on a terminal; None where the output goes elsewhere."""
    console = Console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield None
        return
    with Live(live_view(listener, 0.0, 0.0), console=console, auto_refresh=False) as live:
        yield live


async def _ping(speaker: rtc.Room, listener: DemoListener, enough: asyncio.Event) -> None:
    """Reliable and lossy data in turn from the speaker; the listener answers each."""
    number = 0
    speaker.on("data_received", listener.on_answer)
    while not enough.is_set():
        reliable = number % 2 == 0
        listener.expect(number, reliable=reliable)
        with contextlib.suppress(PublishDataError):  # it is missed at the end
            await speaker.local_participant.publish_data(str(number), reliable=reliable, topic="ping")
        number += 1
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(enough.wait(), _PING_INTERVAL_S)
