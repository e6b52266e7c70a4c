"""The machine's own audio devices, driven by the media engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class PlatformAudioError(Exception):
    """The machine's audio devices can't be used."""


@dataclass
class AudioDeviceInfo:
    """`id` stays the same when devices come and go, `index` may not."""

    index: int
    name: str
    id: str


@dataclass
class PlatformAudioOptions:
    """Processing of a microphone's sound."""

    echo_cancellation: bool = True
    noise_suppression: bool = True
    auto_gain_control: bool = True
    prefer_hardware: bool = False


class PlatformAudioSource:
    """A microphone to publish. Made by `PlatformAudio.create_audio_source`."""

    def __init__(self, ffi_handle: Any, info: Any) -> None:
        raise PlatformAudioError(_UNAVAILABLE)

    def close(self) -> None:
        """Free the microphone."""


class PlatformAudio:
    """Audio devices of the engine, of which this one has none: making it raises PlatformAudioError.

    `MediaDevices` captures from and plays to devices with the `sounddevice` package.
    """

    def __init__(self) -> None:
        raise PlatformAudioError(_UNAVAILABLE)

    def recording_devices(self) -> list[AudioDeviceInfo]:
        """Microphones."""
        raise PlatformAudioError(_UNAVAILABLE)

    def playout_devices(self) -> list[AudioDeviceInfo]:
        """Loudspeakers."""
        raise PlatformAudioError(_UNAVAILABLE)

    def set_recording_device(self, device_id: str) -> None:
        """Choose the microphone."""
        raise PlatformAudioError(_UNAVAILABLE)

    def set_playout_device(self, device_id: str) -> None:
        """Choose the loudspeaker."""
        raise PlatformAudioError(_UNAVAILABLE)

    def create_audio_source(self, options: PlatformAudioOptions | None = None) -> PlatformAudioSource:
        """A source of the chosen microphone."""
        raise PlatformAudioError(_UNAVAILABLE)

    def close(self) -> None:
        """Free the devices."""


_UNAVAILABLE = (
    "this engine drives no audio devices; use rtc.MediaDevices (pip install sounddevice), "
    "or capture into an rtc.AudioSource yourself"
)
