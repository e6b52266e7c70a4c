"""Processing that an application puts between decoding and its own code, noise cancellation for instance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from .audio_frame import AudioFrame
from .video_frame import VideoFrame

T = TypeVar("T", bound="AudioFrame | VideoFrame")


class FrameProcessor(ABC, Generic[T]):
    """Base class of processors that an `AudioStream` runs on each frame it yields.

    Subclasses implement `enabled`, `_process` and `_close`; the other hooks tell them where they run.
    """

    @property
    @abstractmethod
    def enabled(self) -> bool:
        """A disabled processor is skipped."""

    @enabled.setter
    @abstractmethod
    def enabled(self, value: bool) -> None: ...

    def _on_stream_info_updated(
        self, *, room_name: str, participant_identity: str, publication_sid: str
    ) -> None:
        """The stream's room, participant or publication is known or has changed."""

    def _on_stream_info_cleared(self) -> None:
        """The stream belongs to no publication any more."""

    def _on_credentials_updated(self, *, token: str, url: str) -> None:
        """The room has a new token or URL."""

    def _on_credentials_cleared(self) -> None:
        """The room was left."""

    @abstractmethod
    def _process(self, frame: T) -> T:
        """Return the frame to yield in place of `frame`. An exception is logged and `frame` passes unchanged."""

    @abstractmethod
    def _close(self) -> None:
        """Free everything; no call follows."""
