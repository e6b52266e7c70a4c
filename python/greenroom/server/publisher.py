"""The publisher connection of a participant: its offers answered, its sections matched to the tracks it
added.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any

from livekit.protocol import rtc as messages

from greenroom import _engine
from greenroom.signalling.sdp import MediaKind, MediaSection, SdpError, SessionDescription, parse
from greenroom.signalling.server_description import (
    PublishedSection,
    acceptable_extensions,
    acceptable_payload_types,
    ordered_rids,
    publisher_answer,
)

from .publications import Publication
from .refusal import ProtocolViolation

if TYPE_CHECKING:
    from .media_connection import MediaPlane
    from .participant import Participant

_logger = logging.getLogger("greenroom.server")


class PublisherConnection:
    """The client offers, the server answers each offer in order."""

    def __init__(self, participant: Participant, plane: MediaPlane) -> None:
        self._participant = participant
        self._channels: dict[int, str] = {}
        self.connection = plane.connect(
            controlling=False,
            handlers={
                _engine.ICE_STATE: self._on_ice_state,
                _engine.CONNECTED: self._on_connected,
                _engine.FAILED: self._on_failed,
                _engine.CHANNEL_OPEN: self._on_channel_open,
                _engine.CHANNEL_MESSAGE: self._on_channel_message,
                _engine.CHANNEL_WRITABLE: lambda channel: participant.data.writable(channel),
            },
        )
        self._pending: dict[str, Publication] = {}
        """By cid: added, not yet seen in an offer."""
        self._by_mid: dict[str, Publication] = {}
        self._unmatched: dict[str, MediaSection] = {}
        """Sections with a track whose AddTrackRequest has not come yet."""
        self._session_id = secrets.randbits(62)
        self._session_version = 0

    # ---- tracks ----

    @property
    def track_count(self) -> int:
        return len(self._pending) + len(self._by_mid)

    def tracks(self) -> list[Publication]:
        """Of this participant, announced or not."""
        return [p for p in (*self._by_mid.values(), *self._pending.values()) if p.primary is None]

    def find(self, track_sid: str) -> Publication | None:
        """A track of this participant, announced or not."""
        return next((p for p in self.tracks() if p.sid == track_sid), None)

    def has_cid(self, cid: str) -> bool:
        return cid in self._pending or any(p.cid == cid for p in self._by_mid.values())

    def add(self, publication: Publication) -> None:
        """A track was added; its section may be in an offer already."""
        self._pending[publication.cid] = publication
        waiting = [s for s in self._unmatched.values() if s.kind is publication.kind]
        exact = [s for s in waiting if _is_same_track(s, publication)]
        sections = exact or (waiting if len(waiting) == 1 else [])
        if sections:
            section = sections[0]
            del self._unmatched[section.mid]
            del self._pending[publication.cid]
            self._bind(section, publication)
            self._announce()

    # ---- descriptions ----

    def handle_offer(self, offer: messages.SessionDescription) -> None:
        """Apply one offer and answer it. Raises ProtocolViolation when it can't be used."""
        try:
            description = parse(offer.sdp)
        except SdpError as error:
            raise ProtocolViolation(f"publisher offer: {error}") from error
        client_is_active = (description.transport and description.transport.setup) == "active"
        self.connection.set_remote(description, dtls_active=not client_is_active)
        published = self._match(description)
        single = self._participant.single
        down = single.take_offer(description) if single is not None else {}
        self._session_version += 1
        answer = publisher_answer(
            description,
            published,
            self.connection.local(),
            setup="passive" if client_is_active else "active",
            session_id=self._session_id,
            session_version=self._session_version,
            down=down,
        )
        tracks = {mid: section.track.track_sid for mid, section in down.items() if section.track is not None}
        self._participant.send(
            messages.SignalResponse(
                answer=messages.SessionDescription(
                    type="answer", sdp=answer.to_text(), id=offer.id, mid_to_track_id=tracks
                )
            )
        )
        if single is not None:
            single.answered()
        self._announce()

    def _match(self, description: SessionDescription) -> dict[str, PublishedSection]:
        self._drop_ended(description)
        self._unmatched.clear()
        for section in description.media:
            if section.kind is MediaKind.APPLICATION or section.rejected or not section.direction.sends:
                continue
            publication = self._by_mid.get(section.mid) or self._take_pending(section)
            if publication is not None:
                self._bind(section, publication)
            elif section.stream_and_track() is not None:
                self._unmatched[section.mid] = section
        return {mid: publication.section() for mid, publication in self._by_mid.items()}

    def _drop_ended(self, description: SessionDescription) -> None:
        sending = {
            section.mid: section
            for section in description.media
            if section.direction.sends and not section.rejected
        }
        for mid, publication in list(self._by_mid.items()):
            section = sending.get(mid)
            if section is None or not section.has_track or not _is_same_track(section, publication):
                del self._by_mid[mid]
                self._end(publication)

    def _end(self, publication: Publication) -> None:
        primary = publication.primary
        if primary is None:
            self._participant.unpublish(publication)
            return
        publication.close()
        if primary.backup is not None and primary.backup.track is publication:
            primary.backup.track = None
            self._participant.room.backup_ended(primary)

    def _take_pending(self, section: MediaSection) -> Publication | None:
        msid = section.stream_and_track()
        if msid is None:
            return None
        publication = self._pending.get(msid.track_id)
        if publication is None:
            # Some clients' libraries change the track id; with one candidate there is no doubt which is
            # meant.
            same_kind = [p for p in self._pending.values() if p.kind is section.kind]
            publication = same_kind[0] if len(same_kind) == 1 else None
        if publication is None or publication.kind is not section.kind:
            return None
        del self._pending[publication.cid]
        return publication

    def _bind(self, section: MediaSection, publication: Publication) -> None:
        payload_types = acceptable_payload_types(section, publication.section().wanted_codec)
        if not payload_types:
            _logger.info(
                "track %s of %s can't be forwarded: none of its codecs (%s) is supported",
                publication.sid,
                self._participant.identity,
                ", ".join(p.codec for p in section.payload_types),
            )
            self._pending[publication.cid] = publication
            return
        rids = ordered_rids(section, publication.declared_rids())
        try:
            publication.up_track = self.connection.transport.add_up_track(
                section.mid,
                kind=section.kind.value,
                payload_types=payload_types,
                header_extensions=acceptable_extensions(section, payload_types[0].codec),
                layers=section.receive_layers(),
                rids=rids,
            )
        except (_engine.EngineError, ValueError) as error:
            raise ProtocolViolation(f"section {section.mid} of the publisher offer: {error}") from error
        self._by_mid[section.mid] = publication
        if publication.mid != section.mid:
            msid = section.stream_and_track()
            track_id = msid.track_id if msid else ""
            publication.negotiated(section.mid, payload_types[0], track_id, rids)
            publication.up_track.set_muted(publication.info.muted)

    def _announce(self) -> None:
        if not self.connection.connected:
            return
        for publication in list(self._by_mid.values()):
            if not publication.announced:
                publication.announce()
                if publication.primary is None:
                    self._participant.publish(publication)
                else:
                    self._participant.room.backup_published(publication.primary)

    def revoke(self, publication: Publication) -> None:
        """The server ends a track; the client is told and renegotiates."""
        self._by_mid.pop(publication.mid, None)
        self._pending.pop(publication.cid, None)
        self._participant.send(
            messages.SignalResponse(
                track_unpublished=messages.TrackUnpublishedResponse(track_sid=publication.sid)
            )
        )
        self._participant.unpublish(publication)

    # ---- engine events ----

    def _on_connected(self, _: Any) -> None:
        self._participant.connection_up(self.connection)
        self._announce()

    def _on_ice_state(self, state: str) -> None:
        self._participant.path_changed(self.connection, state)

    def _on_failed(self, reason: str) -> None:
        self._participant.connection_lost(self.connection, reason)

    def _on_channel_open(self, payload: tuple[int, str]) -> None:
        channel, label = payload
        self._channels[channel] = label
        self.connection.channel_opened(channel, label)
        if not self._participant.subscriber_primary:
            self._participant.data.channel_opened(label, channel)

    def _on_channel_message(self, payload: tuple[int, bytes]) -> None:
        channel, message = payload
        self._participant.data_received(self._channels.get(channel, ""), message)

    def end_tracks(self) -> None:
        """Stop receiving whatever is published."""
        for publication in self._by_mid.values():
            publication.close()
        self._by_mid.clear()
        self._pending.clear()
        self._unmatched.clear()


def _is_same_track(section: MediaSection, publication: Publication) -> bool:
    msid = section.stream_and_track()
    if msid is None:
        return True
    return msid.track_id in (publication.cid, publication.sdp_cid)
