"""What the demo shows: a live table while it runs, a summary at the end."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from livekit import rtc
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .demo_listener import DemoListener
from .media_file import FilePublisher

_METER_WIDTH = 24


def live_view(listener: DemoListener, speaker: rtc.Room) -> RenderableType:
    """Participants and tracks of the room as the listener sees them, with meters."""
    table = Table(title=f"room {listener.room.name or '…'}", box=box.SIMPLE_HEAD, expand=False)
    for column in ("participant", "track", "level", "fps", "bitrate", "latency"):
        table.add_column(column, min_width=8)
    table.add_row("listener (here)", "", "", "", "", _milliseconds(listener.data_latencies_ms, "data"))
    for participant in listener.room.remote_participants.values():
        table.add_row(participant.identity, "", "", "", "", "")
        for publication in participant.track_publications.values():
            table.add_row("", *_track_cells(listener, publication))
    return Group(table)


def _track_cells(listener: DemoListener, publication: rtc.RemoteTrackPublication) -> tuple[RenderableType, ...]:
    if publication.kind == rtc.TrackKind.KIND_AUDIO:
        bitrate = _bitrate(listener.bitrate_bps["audio"])
        return (f"🔊 {publication.name}", _meter(listener.level), "", bitrate, "")
    picture = listener.picture
    size = f" {picture.width}x{picture.height}" if picture is not None else ""
    latency = _milliseconds(listener.video_latencies_ms, "picture")
    fps = f"{listener.frames_per_second:.0f}"
    return (f"🎞 {publication.name}{size}", "", fps, _bitrate(listener.bitrate_bps["video"]), latency)


def _meter(level: float) -> Text:
    # Speech has an RMS around 0.05 to 0.2: a square root spreads it over the meter.
    filled = min(_METER_WIDTH, int(level**0.5 * _METER_WIDTH * 1.6))
    colour = "green" if filled < _METER_WIDTH * 0.7 else "yellow"
    return Text("█" * filled, style=colour) + Text("░" * (_METER_WIDTH - filled), style="dim")


def _bitrate(bits_per_second: float) -> str:
    return f"{bits_per_second / 1000:.0f} kbit/s" if bits_per_second else "…"


def _milliseconds(values: Sequence[float], what: str) -> str:
    return f"{what} {statistics.median(values):.0f} ms" if values else "…"


def summary(listener: DemoListener, publisher: FilePublisher, written: list[Path]) -> Table:
    """One table of what was sent and what arrived."""
    table = Table(title="what arrived", box=box.ROUNDED)
    for column in ("", "sent", "received", "latency (median)"):
        table.add_column(column)
    reliable = sum(is_reliable for is_reliable, _ in listener.pings.values())
    latency = _milliseconds(listener.data_latencies_ms, "").strip()
    table.add_row(
        "sound", f"{publisher.audio_seconds_sent:.1f} s", f"{listener.seconds_heard:.1f} s, peak {listener.loudest}", ""
    )
    table.add_row(
        "pictures",
        str(publisher.pictures_sent),
        str(listener.pictures),
        _milliseconds(listener.video_latencies_ms, "").strip(),
    )
    table.add_row("reliable data", str(reliable), str(listener.received[True]), latency)
    table.add_row("lossy data", str(len(listener.pings) - reliable), str(listener.received[False]), latency)
    table.add_row("answers", str(len(listener.pings)), str(listener.answers), "")
    for path in written:
        table.add_row("written", "", str(path), "")
    return table
