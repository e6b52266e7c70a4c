"""What a debugger shows of public objects says what they are."""

from __future__ import annotations

import inspect

import pytest

from livekit import rtc

_ABSTRACT = {
    "EventEmitter",
    "FrameProcessor",
    "AudioFilter",
    "PlatformAudio",
    "PlatformAudioSource",
    "RpcInterceptor",
    "Participant",
    "TrackPublication",
    "Track",
}
_CLASSES = [
    name
    for name in rtc.__all__
    if inspect.isclass(getattr(rtc, name)) and not issubclass(getattr(rtc, name), Exception)
]


@pytest.mark.parametrize("name", sorted(set(_CLASSES) - _ABSTRACT))
def test_public_objects_describe_themselves(name: str) -> None:
    assert getattr(rtc, name).__repr__ is not object.__repr__
