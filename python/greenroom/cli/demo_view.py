"""What the demo shows: a live table while it runs, a summary at the end."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from livekit import rtc

from .demo_listener import DemoListener
from .file_publisher import FilePublisher
from .output import printable

_METER_WIDTH = 16
_COLUMNS = (
    ("participant", 11),
    ("track", 18),
    ("level", _METER_WIDTH),
    ("fps", 3),
    ("bitrate", 11),
    ("latency", 7),
)
"""Widths that fit, with the gaps between them, into 80 characters."""


def live_view(listener: DemoListener, elapsed_s: float, length_s: float) -> RenderableType:
    """Participants and tracks of the room as the listener sees them, with meters."""
    title = f"room {printable(listener.room.name)}: {min(elapsed_s, length_s):.0f} of {length_s:.0f} s"
    table = Table(title=title, box=box.SIMPLE_HEAD, expand=False, padding=(0, 1, 0, 0), pad_edge=False)
    for name, width in _COLUMNS:
        table.add_column(
            name,
            width=width,
            no_wrap=True,
            justify="right" if name in ("fps", "bitrate", "latency") else "left",
        )
    table.add_row(
        "listener", Text("data, answered", "dim"), "", "", "", _milliseconds(listener.data_latencies_ms)
    )
    for participant in listener.room.remote_participants.values():
        rows = [_track_cells(listener, p) for p in participant.track_publications.values()] or [("",) * 5]
        for number, row in enumerate(rows):
            table.add_row(Text(printable(participant.identity) if number == 0 else ""), *row)
    return table


def _track_cells(
    listener: DemoListener, publication: rtc.RemoteTrackPublication
) -> tuple[RenderableType, ...]:
    name = Text(printable(publication.name))  # not a string: brackets in it would be markup
    if publication.kind == rtc.TrackKind.KIND_AUDIO:
        return (name, _meter(listener.level), "", _bitrate(listener.bitrate_bps["audio"]), "")
    picture = listener.picture
    size = f"{picture.width} x {picture.height}" if picture is not None else "…"
    fps = f"{listener.frames_per_second:.0f}"
    latency = _milliseconds(listener.video_latencies_ms)
    return (name, size, fps, _bitrate(listener.bitrate_bps["video"]), latency)


def _meter(level: float) -> Text:
    # Speech has an RMS around 0.05 to 0.2: a square root spreads it over the meter.
    filled = min(_METER_WIDTH, int(level**0.5 * _METER_WIDTH * 1.6))
    colour = "green" if filled < _METER_WIDTH * 0.7 else "yellow"
    return Text.assemble(("█" * filled, colour), ("░" * (_METER_WIDTH - filled), "dim"))


def _bitrate(bits_per_second: float) -> str:
    return f"{bits_per_second / 1000:.0f} kbit/s" if bits_per_second else "…"


def _milliseconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.0f} ms" if values else "…"


def summary(listener: DemoListener, publisher: FilePublisher, written: list[Path]) -> Table:
    """One table of what was sent and what arrived."""
    table = Table(title="what arrived", box=box.ROUNDED)
    for column in ("", "sent", "received", "latency"):
        table.add_column(column)
    reliable = sum(is_reliable for is_reliable, _ in listener.pings.values())
    data_latency = _milliseconds(listener.data_latencies_ms)
    heard = f"{listener.seconds_heard:.1f} s, level {_decibels(listener.rms)}"
    sent = f"{publisher.audio_seconds_sent:.1f} s, level {_decibels(publisher.audio_rms)}"
    table.add_row("sound", sent, heard, "")
    table.add_row(
        "pictures",
        str(publisher.pictures_sent),
        str(listener.pictures),
        _milliseconds(listener.video_latencies_ms),
    )
    table.add_row("reliable data", str(reliable), str(listener.received[True]), data_latency)
    table.add_row(
        "lossy data", str(len(listener.pings) - reliable), str(listener.received[False]), data_latency
    )
    table.add_row("answers", str(len(listener.pings)), str(listener.answers), "")
    for path in written:
        table.add_row("written", "", Text(str(path), overflow="fold"), "")
    return table


def _decibels(rms: float) -> str:
    return f"{20 * math.log10(rms / 32768):.0f} dB" if rms >= 1 else "silent"
