"""Rooms that browsers and our SDK join, and how to judge the colours a browser shows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from room_tools import Rooms, running, within

from livekit import rtc

from ..room_program import QUARTERS_RGB
from . import Page

OpenPage = Callable[[], Awaitable[Page]]
TWO, SINGLE = {"singlePeerConnection": False}, {"singlePeerConnection": True}
"""How many peer connections a browser uses, as a room option of livekit-client."""


class BrowserRooms(Rooms):
    """A room of one server; `join` brings in our SDK, `browse` a browser."""

    def __init__(self, server: Any, open_page: OpenPage) -> None:
        super().__init__(server)
        self._open_page = open_page
        self._pages: list[Page] = []

    async def browse(
        self,
        identity: str,
        *,
        url: str = "",
        grants: Mapping[str, Any] = MappingProxyType({}),
        **options: Any,
    ) -> Page:
        """A page that has joined; `options` are livekit-client's, and `encryption`."""
        page = await self._open_page()
        await page.call("join", url or self.server.url, self.token(identity, **grants), options)
        self._pages.append(page)
        return page

    async def leave(self) -> None:
        for page in self._pages:
            await page.call("leave")
        await super().leave()


@contextlib.asynccontextmanager
async def card(
    room: rtc.Room,
    *,
    size: tuple[int, int] = (640, 360),
    codec: str = "VP8",
    simulcast: bool = False,
    frames_per_second: int = 20,
    source: rtc.TrackSource.ValueType = rtc.TrackSource.SOURCE_CAMERA,
) -> AsyncIterator[rtc.LocalVideoTrack]:
    """Coloured quarters, published by our SDK."""
    pictures = rtc.VideoSource(*size)
    track = rtc.LocalVideoTrack.create_video_track("card", pictures)
    options = rtc.TrackPublishOptions(
        source=source, simulcast=simulcast, video_codec=rtc.VideoCodec.Value(codec)
    )
    try:
        async with running(_show_card(pictures, size, frames_per_second)):
            await within(room.local_participant.publish_track(track, options))
            yield track
    finally:
        await pictures.aclose()


async def _show_card(source: rtc.VideoSource, size: tuple[int, int], frames_per_second: int) -> None:
    rgba = np.full((size[1], size[0], 4), 255, np.uint8)
    rgba[:, :, :3] = np.kron(
        np.array(QUARTERS_RGB, np.uint8).reshape(2, 2, 3), np.ones((size[1] // 2, size[0] // 2, 1), np.uint8)
    )
    shade = 0
    while True:
        shade = (shade + 8) % 256
        rgba[:8, :8, :3] = shade
        frame = rtc.VideoFrame(*size, rtc.VideoBufferType.RGBA, rgba.tobytes())
        source.capture_frame(frame)
        await asyncio.sleep(1 / frames_per_second)


def _ycbcr(red: float, blue: float) -> NDArray[np.float64]:
    """From RGB, by the weights that red and blue have in luma."""
    luma = np.array([red, 1 - red - blue, blue])
    return np.array([luma, ([0, 0, 1] - luma) / (1 - blue) / 2, ([1, 0, 0] - luma) / (1 - red) / 2])


_BT601, _BT709 = _ycbcr(0.299, 0.114), _ycbcr(0.2126, 0.0722)
# We convert with BT.601, as libwebrtc does. VP8 means that; of H264 that does not say, Chromium assumes BT.709.
_SHOWN_WITH = {"VP8": _BT601, "H264": _BT709}


def assert_quarters(
    seen: dict[str, Any] | None, *, codec: str = "VP8", size: tuple[int, int] | None = None
) -> None:
    """The card of coloured quarters, sent by our SDK, is shown; in that size when it is given."""
    assert seen is not None, "no picture was decoded"
    shown = np.array(QUARTERS_RGB) @ (np.linalg.inv(_SHOWN_WITH[codec]) @ _BT601).T
    # Chromium's blue is up to 9 off with BT.709, and the first pictures after a pause are coarse.
    assert seen["quarters_rgb"] == pytest.approx(shown, abs=20)
    assert size is None or (seen["width"], seen["height"]) == size


def assert_painted_quarters(
    seen: dict[str, Any] | None, *, turned: int = 0, size: tuple[int, int] | None = None
) -> None:
    """The same of a card that a browser painted. Chromium sends what it takes from a canvas in full range, and shows it as if
    it were in limited range: each value is further from the middle."""
    assert seen is not None, "no picture was decoded"
    assert seen["quarters_rgb"] == pytest.approx(np.roll(np.array(QUARTERS_RGB), -turned, axis=0), abs=50)
    assert size is None or (seen["width"], seen["height"]) == size


def assert_card(frame: rtc.VideoFrame, *, tolerance: int = 15) -> None:
    """What we decoded is the card of coloured quarters. One that a browser painted is up to 50 off."""
    width, height = frame.width, frame.height
    rgba = np.frombuffer(frame.convert(rtc.VideoBufferType.RGBA).data, np.uint8).reshape(height, width, 4)
    across, down = width // 8, height // 8
    middles = [
        rgba[top + down : top + 3 * down, left + across : left + 3 * across, :3].mean(axis=(0, 1))
        for top in (0, height // 2)
        for left in (0, width // 2)
    ]
    assert np.array(middles) == pytest.approx(np.array(QUARTERS_RGB), abs=tolerance)
