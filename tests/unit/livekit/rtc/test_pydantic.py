"""Frames inside pydantic models, as livekit-agents keeps them."""

from __future__ import annotations

from typing import Any

import pytest

from livekit import rtc

pydantic = pytest.importorskip("pydantic")

AUDIO = rtc.AudioFrame(b"\x01\x00\x02\x00", 8_000, 2, 1)
VIDEO = rtc.VideoFrame(1, 1, rtc.VideoBufferType.RGBA, b"\x01\x02\x03\xff")


def model(kind: type) -> Any:
    return pydantic.create_model("Holder", frame=(str | kind, ...))


@pytest.mark.parametrize("frame", [AUDIO, VIDEO], ids=["audio", "video"])
def test_a_frame_survives_json(frame: Any) -> None:
    holder = model(type(frame))
    assert holder(frame=frame).frame is frame
    written = holder(frame=frame).model_dump_json()
    read = holder.model_validate_json(written).frame
    assert type(read) is type(frame)
    assert bytes(read.data.cast("B")) == bytes(frame.data.cast("B"))
    assert holder(frame="an address").frame == "an address"


@pytest.mark.parametrize("wrong", [5, {}, {"width": 1}], ids=str)
def test_what_is_no_frame_is_named(wrong: Any) -> None:
    with pytest.raises(pydantic.ValidationError, match="VideoFrame"):
        model(rtc.VideoFrame)(frame=wrong)
