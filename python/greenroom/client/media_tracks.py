"""Joining what arrives on the subscriber connection with the publications that signalling tells of.

Either can come first: a receiver without a publication waits (`unannounced`) for the participant's update that names
its track.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models

from greenroom import _engine
from greenroom.signalling.client_description import SUBSCRIBE_PAYLOADS

from .state import PublicationState, TrackState
from .unannounced import Unannounced

if TYPE_CHECKING:
    from .session import Session


_CODECS = frozenset({*(payload.codec for payload in SUBSCRIBE_PAYLOADS), "red"})
"""What can be received; servers take the redundancy of RED away from who does not know it."""


def can_receive(info: models.TrackInfo) -> bool:
    """Whether the track comes in a codec of ours, or may: its server does not say which yet."""
    codecs = {
        mime.lower().rpartition("/")[2] for mime in (info.mime_type, *(c.mime_type for c in info.codecs))
    }
    return not codecs - {""} or not codecs.isdisjoint(_CODECS)


class MediaTracks:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._unannounced = Unannounced(self._failed, is_deaf=lambda: session.reconnector.active)

    def started(self, participant_sid: str, track_sid: str, receiver: _engine.Receiver) -> None:
        """The server sends this track now (or again, on another receiver)."""
        publication = self._session.state.publication(track_sid)
        if publication is None or publication.participant.is_local:
            self._unannounced.hold(participant_sid, track_sid, receiver)
            return
        self._attach(publication, receiver)

    def stopped(self, track_sid: str, receiver: _engine.Receiver) -> None:
        """The server sends this track no longer on this receiver."""
        self._unannounced.stopped(track_sid, receiver)
        publication = self._session.state.publication(track_sid)
        if (
            publication is not None
            and publication.track is not None
            and publication.track.receiver is receiver
        ):
            self.detach(publication)

    def attach_waiting(self, publication: PublicationState) -> None:
        """The publication is known now; its media may have come before."""
        receiver = self._unannounced.take(publication.sid)
        if receiver is not None:
            self._attach(publication, receiver)

    def detach(self, publication: PublicationState) -> None:
        """The track ends for this client: off the publication first, then the event. Nothing when not
        subscribed."""
        track, publication.track = publication.track, None
        if track is None:
            return
        self._session.encryption.forget(publication.participant.identity, publication.sid)
        track.set_receiver(None)
        publication.participant.tracks_changed()
        self._session.emit(
            "track_unsubscribed", track.facade, publication.facade, publication.participant.facade
        )

    def close(self) -> None:
        """The connections are gone, and what waited on them. A new session may follow."""
        self._unannounced.clear()

    def _failed(self, participant_sid: str, track_sid: str, error: str) -> None:
        participant = self._session.state.by_sid.get(participant_sid)
        if participant is not None and not participant.is_local:
            self._session.emit("track_subscription_failed", participant.facade, track_sid, error)

    def _attach(self, publication: PublicationState, receiver: _engine.Receiver) -> None:
        if not can_receive(publication.info):
            return  # its section has codecs of ours all the same; the server finds out and says so
        track = publication.track
        self._session.encryption.protect(publication, receiver)
        if track is not None:
            track.set_receiver(receiver)
            return
        info = publication.info
        track = TrackState(
            kind=info.type, name=info.name, sid=info.sid, muted=info.muted, publication=publication
        )
        track.facade = self._session.facade.make_track(track)
        publication.track = track
        self._session.returning.track_back(publication, track)
        track.set_receiver(receiver)
        publication.participant.tracks_changed()
        self._session.emit(
            "track_subscribed", track.facade, publication.facade, publication.participant.facade
        )
