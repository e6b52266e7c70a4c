from __future__ import annotations

import itertools

import numpy as np
import pytest

from livekit import rtc

_TYPES = list(rtc.VideoBufferType.values())
_BYTES_FOR_5X3 = {
    rtc.VideoBufferType.RGBA: 60,
    rtc.VideoBufferType.ABGR: 60,
    rtc.VideoBufferType.ARGB: 60,
    rtc.VideoBufferType.BGRA: 60,
    rtc.VideoBufferType.RGB24: 45,
    rtc.VideoBufferType.I420: 15 + 6 + 6,
    rtc.VideoBufferType.I420A: 15 + 6 + 6 + 15,
    rtc.VideoBufferType.I422: 15 + 9 + 9,
    rtc.VideoBufferType.I444: 45,
    rtc.VideoBufferType.I010: 30 + 12 + 12,
    rtc.VideoBufferType.NV12: 15 + 12,
}


def _flat(width: int, height: int, rgb: tuple[int, int, int]) -> rtc.VideoFrame:
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = rgb, 255
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, pixels.tobytes())


@pytest.mark.parametrize("through", _TYPES, ids=rtc.VideoBufferType.Name)
def test_sizes_of_odd_pictures(through: int) -> None:
    frame = _flat(5, 3, (10, 20, 30)).convert(through)
    assert len(frame.data) == _BYTES_FOR_5X3[through]
    planes = [plane for n in range(4) if (plane := frame.get_plane(n)) is not None]
    assert not planes or sum(p.nbytes for p in planes) == len(frame.data)


@pytest.mark.parametrize(
    ("first", "second"),
    list(itertools.product(_TYPES, _TYPES)),
    ids=lambda t: rtc.VideoBufferType.Name(t),
)
def test_colour_survives_any_two_conversions(first: int, second: int) -> None:
    colour = (200, 60, 90)
    frame = _flat(6, 4, colour).convert(first).convert(second).convert(rtc.VideoBufferType.RGBA)
    seen = np.frombuffer(frame.data, np.uint8).reshape(-1, 4)
    assert np.abs(seen[:, :3].astype(int) - colour).max() <= 5
    assert (seen[:, 3] == 255).all()


def test_byte_orders_of_packed_types() -> None:
    rgba = rtc.VideoFrame(1, 1, rtc.VideoBufferType.RGBA, bytes([1, 2, 3, 4]))
    assert bytes(rgba.convert(rtc.VideoBufferType.RGBA).data) == bytes([1, 2, 3, 4])


def test_flipping() -> None:
    pixels = np.zeros((2, 1, 4), np.uint8)
    pixels[0] = 250
    frame = rtc.VideoFrame(1, 2, rtc.VideoBufferType.RGBA, pixels.tobytes())
    flipped = frame.convert(rtc.VideoBufferType.RGBA, flip_y=True)
    assert list(flipped.data) == [0, 0, 0, 0, 250, 250, 250, 250]


def test_a_buffer_that_is_too_small_is_refused_by_name() -> None:
    frame = rtc.VideoFrame(4, 4, rtc.VideoBufferType.RGBA, bytes(10))
    with pytest.raises(Exception, match="64"):
        frame.convert(rtc.VideoBufferType.I420)


def test_repr() -> None:
    assert repr(_flat(4, 4, (0, 0, 0))) == "rtc.VideoFrame(width=4, height=4, type=RGBA)"
