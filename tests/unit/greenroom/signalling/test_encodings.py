"""Bitrates and simulcast layers by picture size."""

from __future__ import annotations

import itertools

import pytest

from greenroom.signalling.encodings import choose_encodings, choose_preset


@pytest.mark.parametrize(
    ("width", "height", "screen_share", "bitrate_bps", "framerate"),
    [
        (1280, 720, False, 3_000_000, 30),
        (1279, 720, False, 1_700_000, 30),
        (320, 180, False, 180_000, 15),
        (640, 480, False, 450_000, 25),
        (720, 1280, False, 3_000_000, 30),
        (7680, 4320, False, 8_000_000, 30),
        (1280, 720, True, 1_500_000, 15),
        (1920, 1080, True, 3_000_000, 30),
        (0, 0, False, 80_000, 15),
    ],
)
def test_the_preset_follows_the_longer_side(
    width: int, height: int, screen_share: bool, bitrate_bps: int, framerate: float
) -> None:
    preset = choose_preset(width, height, screen_share=screen_share)
    assert (preset.bitrate_bps, preset.framerate) == (bitrate_bps, framerate)


@pytest.mark.parametrize(
    ("width", "height", "layers"),
    [
        (1920, 1080, [("q", 320, 180), ("h", 640, 360), ("f", 1920, 1080)]),
        (960, 540, [("q", 320, 180), ("h", 640, 360), ("f", 960, 540)]),
        (640, 360, [("q", 320, 180), ("h", 640, 360)]),
        (854, 480, [("q", 640, 360), ("h", 854, 480)]),
        (640, 480, [("q", 480, 360), ("h", 640, 480)]),
        (320, 180, [(None, 320, 180)]),
        (720, 1280, [("q", 180, 320), ("h", 360, 640), ("f", 720, 1280)]),
    ],
)
def test_simulcast_layers(width: int, height: int, layers: list[tuple[str | None, int, int]]) -> None:
    encodings = choose_encodings(width, height)
    assert [(e.rid, *_rounded(e.width, e.height, width, height)) for e in encodings] == [
        (rid, *_rounded(w, h, width, height)) for rid, w, h in layers
    ]
    assert encodings[-1].scale_down_by == 1.0
    assert [e.scale_down_by for e in encodings] == sorted((e.scale_down_by for e in encodings), reverse=True)
    assert all(low.bitrate_bps <= high.bitrate_bps for low, high in itertools.pairwise(encodings))


def _rounded(width: int, height: int, *_: int) -> tuple[int, int]:
    return round(width / 4), round(height / 4)


def test_no_simulcast_is_one_layer_without_rid_and_takes_the_users_numbers() -> None:
    (only,) = choose_encodings(1280, 720, simulcast=False, bitrate_bps=500_000, framerate=10)
    assert (only.rid, only.bitrate_bps, only.framerate) == (None, 500_000, 10)


def test_screen_share_adds_one_layer_of_half_size_and_three_frames() -> None:
    low, high = choose_encodings(1920, 1080, screen_share=True)
    assert (low.rid, low.width, low.height, low.framerate, low.scale_down_by) == ("q", 960, 540, 3, 2.0)
    assert low.bitrate_bps == 150_000
    assert (high.rid, high.bitrate_bps) == ("h", 3_000_000)
    assert len(choose_encodings(320, 180, screen_share=True)) == 1


def test_lower_layers_never_exceed_the_top_one() -> None:
    assert [e.bitrate_bps for e in choose_encodings(1280, 720, bitrate_bps=100_000)] == [100_000] * 3
