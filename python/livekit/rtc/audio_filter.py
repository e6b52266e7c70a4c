"""Native audio filters."""

from __future__ import annotations


class AudioFilter:
    """Loads a native filter library of LiveKit's own runtime, which this SDK has not: raises NotImplementedError.

    A `FrameProcessor` given to an `AudioStream` does the same in Python.
    """

    def __init__(self, module_id: str, path: str, dependencies: list[str] | None = None) -> None:
        raise NotImplementedError(
            f"the native audio filter {module_id!r} ({path}) can't be loaded: it is made for another runtime; "
            "give a FrameProcessor to AudioStream(noise_cancellation=...)"
        )
