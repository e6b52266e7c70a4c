"""What the user asked of remote tracks, kept over a restart: the tracks' state is made anew there."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livekit.protocol import models
from livekit.protocol import rtc as proto

from .returning import likeness
from .state import DEFAULT_SETTINGS, ParticipantState, PublicationState, TrackSettings

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("livekit")

MAX_WISHES = 10_000
"""More than a room has tracks; the rest is forgotten."""
_ANY_FPS = 240
"""More than a track has."""


@dataclass(frozen=True)
class _Wish:
    subscribed: bool
    settings: TrackSettings


class Wishes:
    """By track SID, which stays when only we restarted; or by what the track is, when its publisher did too."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: dict[Any, _Wish] = {}

    def remember(self, participants: Iterable[ParticipantState]) -> None:
        """Keep what differs from the default."""
        default = self._session.options.auto_subscribe
        for participant in participants:
            for publication in participant.publications.values():
                if publication.wanted == default and publication.settings == DEFAULT_SETTINGS:
                    continue
                if len(self._kept) + 2 > MAX_WISHES:
                    _logger.warning(
                        "what was asked of remote tracks is forgotten from %s on: %d wishes are kept already",
                        *(publication.sid, len(self._kept)),
                    )
                    return
                wish = _Wish(publication.wanted, publication.settings)
                self._kept[publication.sid] = self._kept[likeness(publication)] = wish

    def restore(self, publication: PublicationState) -> None:
        """A track is known (again): ask for it what was asked before."""
        if not self._kept:
            return
        like = self._kept.pop(likeness(publication), None)
        wish = self._kept.pop(publication.sid, None) or like
        if wish is None:
            return
        if wish.subscribed != publication.wanted:
            set_subscribed(self._session, publication, wish.subscribed)
        change_settings(self._session, publication, wish.settings)


def set_subscribed(session: Session, publication: PublicationState, subscribed: bool) -> None:
    """Ask the server to send the track, or to stop."""
    publication.wanted = subscribed
    tracks = models.ParticipantTracks(
        participant_sid=publication.participant.sid, track_sids=[publication.sid]
    )
    session.send(
        "subscription",
        proto.UpdateSubscription(
            track_sids=[publication.sid], subscribe=subscribed, participant_tracks=[tracks]
        ),
    )


def change_settings(session: Session, publication: PublicationState, settings: TrackSettings) -> None:
    """Tell the server how the track is wanted, when that is news."""
    if settings == publication.settings:
        return
    # For livekit-server 1.13 no rate is no news: what was limited before would stay so.
    unlimited = _ANY_FPS if publication.settings.fps else 0
    publication.settings = settings
    message = proto.UpdateTrackSettings(
        track_sids=[publication.sid],
        disabled=not settings.enabled,
        quality=settings.quality,  # type: ignore[arg-type]
        width=settings.width,
        height=settings.height,
        fps=settings.fps or unlimited,
        priority=settings.priority,
    )
    session.send("track_setting", message)
