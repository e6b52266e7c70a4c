"""Transcriptions of speech, as agents send them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class TranscriptionSegment:
    """One stretch of text. Times are in milliseconds; a segment that is not final will be sent again."""

    id: str
    text: str
    start_time: int
    end_time: int
    language: str
    final: bool


@dataclass
class Transcription:
    """Segments of what one participant said on one track."""

    participant_identity: str
    track_sid: str
    segments: list[TranscriptionSegment]
