"""Which encodings a video publication gets: bitrate presets and simulcast layers, as LiveKit clients
choose them."""

from __future__ import annotations

from dataclasses import dataclass

RIDS = ("q", "h", "f")
"""Simulcast layer names, lowest first."""
MIN_SCREEN_SHARE_BITRATE_BPS = 150_000
MIN_SIMULCAST_SIZE = 480
"""Longer side of the smallest picture that is sent in more than one layer."""


@dataclass(frozen=True)
class Preset:
    width: int
    height: int
    bitrate_bps: int
    framerate: float


@dataclass(frozen=True)
class Encoding:
    """One layer to be sent."""

    rid: str | None
    """None for a track of one layer."""
    width: int
    height: int
    scale_down_by: float
    bitrate_bps: int
    framerate: float


def _presets(rows: str) -> tuple[Preset, ...]:
    presets = []
    for row in rows.split(","):
        size, bitrate_kbps, framerate = row.split()
        width, height = size.split("x")
        presets.append(Preset(int(width), int(height), int(bitrate_kbps) * 1000, float(framerate)))
    return tuple(presets)


# width x height, kbit/s, frames per second
PRESETS_16_9 = _presets(
    "160x90 90 15, 320x180 160 15, 384x216 180 15, 640x360 450 20, 960x540 800 25, 1280x720 1700 30,"
    "1920x1080 3000 30, 2560x1440 5000 30, 3840x2160 8000 30"
)
PRESETS_4_3 = _presets(
    "160x120 80 15, 240x180 100 15, 320x240 150 15, 480x360 225 20, 640x480 300 20, 720x540 450 25,"
    "960x720 1500 30, 1440x1080 2500 30, 1920x1440 3500 30"
)
PRESETS_SCREEN_SHARE = _presets(
    "640x360 200 3, 1280x720 400 5, 1280x720 1000 15, 1920x1080 1500 15, 1920x1080 3000 30"
)
_LOWER_16_9 = (PRESETS_16_9[1], PRESETS_16_9[3])
_LOWER_4_3 = (PRESETS_4_3[1], PRESETS_4_3[3])


def choose_preset(width: int, height: int, *, screen_share: bool) -> Preset:
    """The preset whose bitrate and rate suit a picture of this size."""
    presets = PRESETS_SCREEN_SHARE if screen_share else _family(width, height, PRESETS_16_9, PRESETS_4_3)
    size = max(width, height)
    return next((preset for preset in presets if preset.width > size), presets[-1])


def choose_encodings(
    width: int,
    height: int,
    *,
    screen_share: bool = False,
    simulcast: bool = True,
    bitrate_bps: int | None = None,
    framerate: float | None = None,
) -> list[Encoding]:
    """The layers to send, lowest first. `bitrate_bps` and `framerate` override those of the top layer."""
    preset = choose_preset(width, height, screen_share=screen_share)
    top = Preset(width, height, bitrate_bps or preset.bitrate_bps, framerate or preset.framerate)
    if not simulcast:
        return [Encoding(None, width, height, 1.0, top.bitrate_bps, top.framerate)]
    lower = _screen_share_layers(top) if screen_share else _camera_layers(width, height, top)
    layers = [*lower, top]
    if len(layers) == 1:
        return [Encoding(None, width, height, 1.0, top.bitrate_bps, top.framerate)]
    return [_encoding(rid, layer, top) for rid, layer in zip(RIDS, layers, strict=False)]


def _camera_layers(width: int, height: int, top: Preset) -> list[Preset]:
    low, middle = _family(width, height, _LOWER_16_9, _LOWER_4_3)
    size = max(width, height)
    if size >= 960:
        layers = [low, middle]
    elif size >= MIN_SIMULCAST_SIZE:
        layers = [middle if min(middle.width, middle.height) < min(width, height) else low]
    else:
        layers = []
    return [
        Preset(
            layer.width,
            layer.height,
            min(layer.bitrate_bps, top.bitrate_bps),
            min(layer.framerate, top.framerate),
        )
        for layer in layers
    ]


def _screen_share_layers(top: Preset) -> list[Preset]:
    if max(top.width, top.height) < MIN_SIMULCAST_SIZE:
        return []
    framerate = min(3.0, top.framerate)
    bitrate_bps = int(top.bitrate_bps / (4 * max(1.0, top.framerate / framerate)))
    return [
        Preset(
            max(1, top.width // 2),
            max(1, top.height // 2),
            max(MIN_SCREEN_SHARE_BITRATE_BPS, bitrate_bps),
            framerate,
        )
    ]


def _encoding(rid: str, layer: Preset, top: Preset) -> Encoding:
    scale = max(1.0, min(top.width, top.height) / min(layer.width, layer.height))
    return Encoding(
        rid, int(top.width / scale), int(top.height / scale), scale, layer.bitrate_bps, layer.framerate
    )


def _family(
    width: int, height: int, wide: tuple[Preset, ...], narrow: tuple[Preset, ...]
) -> tuple[Preset, ...]:
    aspect = max(width, height) / max(1, min(width, height))
    return wide if abs(aspect - 16 / 9) < abs(aspect - 4 / 3) else narrow
