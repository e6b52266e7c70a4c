from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from livekit import rtc


def test_data_is_a_writable_view_of_samples() -> None:
    frame = rtc.AudioFrame.create(48_000, 2, 3)
    frame.data[5] = -7
    assert frame.data.format == "h"
    assert list(frame.data) == [0, 0, 0, 0, 0, -7]


def test_the_callers_buffer_is_copied() -> None:
    buffer = bytearray(np.array([1, 2], np.int16).tobytes())
    frame = rtc.AudioFrame(buffer, 48_000, 1, 2)
    buffer[0] = 9
    assert list(frame.data) == [1, 2]


def test_any_buffer_of_samples_is_taken() -> None:
    assert list(rtc.AudioFrame(np.array([5, 6], np.int16), 8_000, 1, 2).data) == [5, 6]


def test_a_buffer_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10 bytes given, 960 needed"):
        rtc.AudioFrame(bytes(10), 48_000, 1, 480)


@pytest.mark.parametrize("shape", [(0, 1, 10), (48_000, 0, 10), (48_000, 1, -1)])
def test_a_shape_that_no_sound_has_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no frame has"):
        rtc.AudioFrame(bytes(100), *shape)
    with pytest.raises(ValueError, match="no frame has"):
        rtc.AudioFrame.create(*shape)


def test_duration_and_repr() -> None:
    frame = rtc.AudioFrame.create(16_000, 1, 160)
    assert frame.duration == pytest.approx(0.01)
    assert repr(frame) == (
        "rtc.AudioFrame(sample_rate=16000, num_channels=1, samples_per_channel=160, duration=0.010)"
    )


def test_wav_bytes_hold_the_samples() -> None:
    frame = rtc.AudioFrame(np.arange(8, dtype=np.int16), 16_000, 2, 4)
    with wave.open(io.BytesIO(frame.to_wav_bytes())) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16_000, 2, 4)
        assert file.readframes(4) == np.arange(8, dtype=np.int16).tobytes()


def test_userdata_belongs_to_the_frame() -> None:
    assert rtc.AudioFrame(b"", 48_000, 1, 0, userdata={"a": 1}).userdata == {"a": 1}
    first, second = rtc.AudioFrame.create(48_000, 1, 1), rtc.AudioFrame.create(48_000, 1, 1)
    first.userdata["x"] = 1
    assert second.userdata == {}


def test_combining_frames() -> None:
    parts = [rtc.AudioFrame(np.array([n], np.int16), 48_000, 1, 1) for n in (1, 2, 3)]
    assert list(rtc.combine_audio_frames(parts).data) == [1, 2, 3]
    with pytest.raises(ValueError, match="sample rate"):
        rtc.combine_audio_frames([parts[0], rtc.AudioFrame.create(8_000, 1, 1)])
    with pytest.raises(ValueError, match="empty"):
        rtc.combine_audio_frames([])
