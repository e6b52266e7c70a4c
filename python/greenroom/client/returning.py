"""Who and what is expected back while a session restarts, so that streams of remote tracks outlive it.

A restart makes all participants and tracks anew. Whoever reads a track (`TrackState.followers`) or watches a participant
(`ParticipantState.watchers`) is handed to what comes in its place: the same identity, and the track of the same SID, or
else of the same kind, source and name. What has not come some time after the restart is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from .state import ParticipantState, PublicationState, TrackState

RETURN_GRACE_S = 15.0
"""After a restart: those that were on the same server restart too, some of them later."""


class Returning:
    def __init__(self) -> None:
        self._participants: dict[str, ParticipantState] = {}
        """By identity."""
        self._tracks: dict[Any, TrackState] = {}
        """By SID and by likeness."""
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, participants: Iterable[ParticipantState]) -> None:
        """They go now, and are expected back. Only those that somebody follows are remembered."""
        self._stop_timer()
        for participant in participants:
            if participant.watchers:
                participant.returning = True
                self._participants[participant.identity] = participant
            for publication in participant.publications.values():
                track = publication.track
                if track is not None and track.followers:
                    track.returning = True
                    self._tracks[publication.sid] = self._tracks[likeness(publication)] = track

    def participant_back(self, participant: ParticipantState) -> None:
        """It is in the room (again): those who watched it watch this one."""
        old = self._participants.pop(participant.identity, None)
        if old is None:
            return
        old.returning, old.successor = False, participant
        participant.watchers = old.watchers

    def track_back(self, publication: PublicationState, track: TrackState) -> None:
        """Media of a track comes (again): those who read the old one read this one."""
        old = self._tracks.pop(publication.sid, None) or self._tracks.get(likeness(publication))
        if old is None:
            return
        self._tracks = {key: held for key, held in self._tracks.items() if held is not old}
        old.returning = False
        track.followers = old.followers

    def restarted(self) -> None:
        """The restart is over: what does not come within a while, is gone."""
        if self._tracks or self._participants:
            self._stop_timer()
            self._timer = asyncio.get_running_loop().call_later(RETURN_GRACE_S, self.give_up)

    def give_up(self) -> None:
        """Nothing comes back any more. Harmless twice."""
        self._stop_timer()
        tracks, self._tracks = set(self._tracks.values()), {}
        participants, self._participants = self._participants, {}
        for track in tracks:
            track.returning = False
            track.changed()
        for participant in participants.values():
            participant.returning = False
            participant.tracks_changed()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def likeness(publication: PublicationState) -> tuple[str, int, int, str]:
    """What stays the same of a track when its publisher publishes it anew."""
    info = publication.info
    return (publication.participant.identity, info.type, info.source, info.name)
