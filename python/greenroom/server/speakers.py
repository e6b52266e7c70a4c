"""Active speakers of a room: levels of microphone tracks compared every 400 ms, changes told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

if TYPE_CHECKING:
    from .participant import Participant
    from .room import Room

_STEPS = 8
"""Levels are told in eighths, rounded up."""


def quantise(level: float) -> float:
    return min(1.0, math.ceil(level * _STEPS) / _STEPS)


def changes(previous: Mapping[str, float], current: Mapping[str, float]) -> dict[str, float]:
    """From participant SID to the new level, of those whose level differs; 0 for those who stopped."""
    changed = {sid: level for sid, level in current.items() if previous.get(sid) != level}
    changed.update({sid: 0.0 for sid in previous if sid not in current})
    return changed


class Speakers:
    """Who speaks in one room, and who has to know."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._levels: dict[str, float] = {}

    def tick(self) -> None:
        """Compare with the previous interval and send each participant the changes it may see."""
        current = {sid: level for sid, level in _measure(self._room.started_participants()) if level > 0.0}
        changed = changes(self._levels, current)
        self._levels = current
        if not changed:
            return
        ordered = sorted(changed.items(), key=lambda item: -item[1])
        for participant in self._room.started_participants():
            visible = participant.subscriptions.publisher_sids() | {participant.sid}
            self._send(participant, [(sid, level) for sid, level in ordered if sid in visible])

    def subscribed(self, subscriber: Participant, publisher: Participant) -> None:
        """A new subscriber learns the publisher's present level."""
        level = self._levels.get(publisher.sid)
        if level is not None:
            self._send(subscriber, [(publisher.sid, level)])

    def unsubscribed(self, subscriber: Participant, publisher: Participant) -> None:
        """Who lost the last track of a speaker no longer hears it."""
        if publisher.sid in self._levels and publisher.sid not in subscriber.subscriptions.publisher_sids():
            self._send(subscriber, [(publisher.sid, 0.0)])

    def left(self, participant: Participant) -> None:
        self._levels.pop(participant.sid, None)

    @staticmethod
    def _send(participant: Participant, levels: Iterable[tuple[str, float]]) -> None:
        speakers = [models.SpeakerInfo(sid=sid, level=level, active=level > 0.0) for sid, level in levels]
        if speakers and participant.protocol > 2:
            participant.send(
                messages.SignalResponse(speakers_changed=messages.SpeakersChanged(speakers=speakers))
            )


def _measure(participants: Iterable[Participant]) -> Iterable[tuple[str, float]]:
    for participant in participants:
        if participant.hidden:
            continue
        loudest = 0.0
        for publication in participant.publications.values():
            is_microphone = publication.info.source == models.TrackSource.MICROPHONE
            if is_microphone and not publication.info.muted and publication.up_track is not None:
                level, speaking = publication.up_track.audio_level
                loudest = max(loudest, level if speaking else 0.0)
        yield participant.sid, quantise(loudest)
