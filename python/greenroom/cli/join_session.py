"""What `greenroom join` does once its options are read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from .file_publisher import FilePublisher
from .media_file import MediaFile, MediaFileError
from .output import complain, say
from .recorder import RoomRecorder

_OWN_WISH = rtc.DisconnectReason.CLIENT_INITIATED


async def join_room(
    url: str, token: str, publish: list[Path], record: Path | None, seconds: float | None
) -> int:
    """Be in the room until there is no more to do; the exit code."""
    room = rtc.Room()
    try:
        files = [await asyncio.to_thread(MediaFile.probe, path) for path in publish]
        recorder = RoomRecorder(room, record) if record is not None else None
    except (MediaFileError, OSError) as error:
        complain(str(error))
        return 1
    thrown_out: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    _report_events(room, thrown_out)
    try:
        await room.connect(url, token)
    except rtc.ConnectError as error:
        complain(f"can't join {url}: {error.message}")
        return 1
    try:
        others = ", ".join(p.identity for p in room.remote_participants.values()) or "nobody else yet"
        say(f"joined {room.name} as {room.local_participant.identity}, with {others}; Ctrl-C leaves")
        return await _stay(room, files, seconds, thrown_out)
    finally:
        if recorder is not None:
            await _complete(recorder)
        await room.disconnect()


async def _stay(
    room: rtc.Room, files: list[MediaFile], seconds: float | None, thrown_out: asyncio.Future[str]
) -> int:
    playing = asyncio.ensure_future(_play(room, files, seconds))
    try:
        waits: list[asyncio.Future[Any]] = [thrown_out, playing]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if thrown_out.done():
            complain(f"the room was left without our doing: {thrown_out.result()}")
            return 1
        if playing.done():
            playing.result()
        return 0
    except (MediaFileError, PublishTrackError) as error:
        complain(f"publishing failed: {error}")
        return 1
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def _play(room: rtc.Room, files: list[MediaFile], seconds: float | None) -> None:
    if not files:
        await asyncio.Event().wait()
    sound = next((f for f in files if f.has_audio), None)
    picture = next((f for f in files if f.has_video), None)
    await FilePublisher(room).play(sound, picture, seconds=seconds)


async def _complete(recorder: RoomRecorder) -> None:
    for failure in await recorder.aclose():
        complain(f"recording failed: {failure}")
    for file in recorder.files:
        say(f"recorded {file}")


def _report_events(room: rtc.Room, thrown_out: asyncio.Future[str]) -> None:
    def on_disconnected(reason: rtc.DisconnectReason.ValueType) -> None:
        if reason != _OWN_WISH and not thrown_out.done():
            thrown_out.set_result(rtc.DisconnectReason.Name(reason))

    room.on("participant_connected", lambda p: say(f"+ {p.identity}"))
    room.on("participant_disconnected", lambda p: say(f"- {p.identity}"))
    room.on("track_subscribed", lambda t, _, p: say(f"  {p.identity}: {t.name or t.sid} arrives"))
    room.on("track_unsubscribed", lambda t, _, p: say(f"  {p.identity}: {t.name or t.sid} ended"))
    room.on("reconnecting", lambda: complain("the connection is lost; trying to get it back"))
    room.on("reconnected", lambda: say("the connection is back"))
    room.on("disconnected", on_disconnected)
