"""One room: who is in it, what they publish, and who is told of what."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import room as room_messages
from livekit.protocol import rtc as messages

from greenroom.signalling.server_description import PUBLISH_MIME_TYPES

from . import ids
from .config import ServerConfig
from .data_router import DataRouter
from .data_tracks import DataTrack
from .join_response import join_response, leave_request
from .participant import Participant, State
from .permissions import is_dependent, kind_of
from .quality import Qualities
from .refusal import Refusal
from .room_listener import Listeners
from .speakers import Speakers
from .updates import ParticipantUpdates
from .ways import Ways

if TYPE_CHECKING:
    from .join_request import JoinRequest
    from .media_connection import MediaPlane
    from .publications import Publication
    from .websocket import Session

_logger = logging.getLogger("greenroom.server")

DisconnectReason = models.DisconnectReason
QUALITY_INTERVAL_S = 5.0
"""Each participant's connection quality is measured this often."""


class Room:
    """Made on the first join. `on_closed` is called once, when it ends by itself or is closed."""

    def __init__(
        self,
        name: str,
        settings: room_messages.RoomConfiguration,
        *,
        config: ServerConfig,
        plane: MediaPlane,
        node_id: str,
        counters: Counter[str],
        on_closed: Callable[[Room], None],
        listeners: Listeners,
    ) -> None:
        self.name = name
        self.sid = ids.room_sid()
        self.config = config
        self.plane = plane
        self.node_id = node_id
        self.counters = counters
        self.sif_trailer = ids.sif_trailer()
        self.metadata = settings.metadata
        self.agents = list(settings.agents)
        """Those that its settings send into it."""
        self.max_participants = settings.max_participants or config.max_participants
        self.empty_timeout_s = settings.empty_timeout or config.empty_timeout_s
        self.departure_timeout_s = settings.departure_timeout or config.departure_timeout_s
        self.sync_streams = settings.sync_streams or config.sync_streams
        self.playout_delay_ms = _playout_delay_ms(settings, config)
        """The least and greatest that subscribers are asked to hold video back; None: as they like."""
        self.created_at_ms = time.time_ns() // 1_000_000
        self.closed = False
        self.ways = Ways(config.ice_servers, has_tcp=plane.has_tcp)
        self.speakers = Speakers(self)
        self.qualities = Qualities(self)
        self._loop = asyncio.get_running_loop()
        self.data = DataRouter(self)
        self._on_closed = on_closed
        self.tell = listeners.tell
        self._participants: dict[str, Participant] = {}
        """By identity, those whose signal connection is not up yet included."""
        self._started: list[Participant] | None = None
        self._publications: dict[str, Publication] = {}
        self.data_tracks: dict[str, DataTrack] = {}
        """By SID."""
        self._updates = ParticipantUpdates(self)
        self._speaker_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._was_joined = False
        """Somebody who counts was here: from then on the departure timeout is what ends it."""
        self._quality_timer = self._loop.call_later(QUALITY_INTERVAL_S, self._quality_tick)
        self._wait_idle(self.empty_timeout_s)

    # ---- what is in it ----

    def started_participants(self) -> list[Participant]:
        """Those who take part. The list stays as it is when somebody comes or goes."""
        if self._started is None:
            self._started = [p for p in self._participants.values() if p.started]
        return self._started

    def forget_started(self) -> None:
        """A participant's state changed."""
        self._started = None

    def participant(self, identity: str) -> Participant | None:
        return self._participants.get(identity)

    def publication(self, track_sid: str) -> Publication | None:
        """An announced track."""
        return self._publications.get(track_sid)

    def announced_publications(self) -> list[Publication]:
        return list(self._publications.values())

    def frame_trailer(self, track: models.TrackInfo) -> bytes:
        """What ends the frames that this server makes itself: something in encrypted tracks only."""
        return self.sif_trailer if track.encryption != models.Encryption.Type.NONE else b""

    def info(self) -> models.Room:
        participants, publishers = self.count()
        return models.Room(
            sid=self.sid,
            name=self.name,
            empty_timeout=self.empty_timeout_s,
            departure_timeout=self.departure_timeout_s,
            max_participants=self.max_participants,
            creation_time=self.created_at_ms // 1000,
            creation_time_ms=self.created_at_ms,
            metadata=self.metadata,
            num_participants=participants,
            num_publishers=publishers,
            active_recording=self.is_recorded(),
            enabled_codecs=[models.Codec(mime=mime) for mime in (*PUBLISH_MIME_TYPES, "video/rtx")],
        )

    def count(self) -> tuple[int, int]:
        """Participants and publishers, those left out that do not count."""
        counted = [p for p in self.started_participants() if not p.dependent]
        return len(counted), sum(1 for p in counted if p.has_published)

    def is_recorded(self) -> bool:
        egress = models.ParticipantInfo.Kind.EGRESS
        return any(p.permission.recorder or p.kind == egress for p in self.started_participants())

    # ---- joining ----

    def join(self, request: JoinRequest) -> Participant:
        """Admit a participant, before its signal connection is accepted. Raises Refusal when the room
        is full.

        An older session of the same identity ends here.
        """
        self._check_room_for(request)
        participant = Participant(self, request)
        existing = self._participants.get(request.identity)
        if existing is not None:
            self.remove(existing, DisconnectReason.DUPLICATE_IDENTITY, replaced=True)
        self._participants[participant.identity] = participant
        self._was_joined = self._was_joined or not participant.dependent
        self._stop_idle_timer()
        return participant

    def _check_room_for(self, request: JoinRequest) -> None:
        dependent = is_dependent(kind_of(request.claims.kind), request.grant.permission())
        if dependent or not self.max_participants:
            return
        others = [
            p for p in self._participants.values() if not p.dependent and p.identity != request.identity
        ]
        if len(others) >= self.max_participants:
            _logger.info(
                "%s was refused: room %s is full (max_participants %d)",
                request.identity,
                self.name,
                self.max_participants,
            )
            raise Refusal(500, "connection closed by media")

    def start(self, participant: Participant, session: Session) -> None:
        """The participant's signal connection is up."""
        recorded = self.is_recorded()
        others = [p.info() for p in self.started_participants() if not p.hidden]
        participant.start(session, join_response(self, participant, others))
        self.changed(participant)
        if self.is_recorded() != recorded:
            self.send_room_update()
        self.tell("participant_joined", participant)

    def became_active(self, participant: Participant) -> None:
        """The participant's media connection is up."""
        self.changed(participant)
        self.tell("participant_active", participant)

    def resume(self, participant: Participant, session: Session) -> None:
        """A started participant has a new signal connection."""
        participant.resume(session)

    def send_snapshot(self, receiver: Participant) -> None:
        """All that `receiver` may know of the room, itself included."""
        present = [p.info() for p in self.started_participants() if not p.hidden or p is receiver]
        self._updates.send(present, [receiver])
        receiver.send(messages.SignalResponse(room_update=messages.RoomUpdate(room=self.info())))

    # ---- leaving ----

    def remove(
        self,
        participant: Participant,
        reason: DisconnectReason,
        *,
        action: messages.LeaveRequest.Action = messages.LeaveRequest.Action.DISCONNECT,
        replaced: bool = False,
    ) -> None:
        """End a participant's session; it is told with a leave, the others with an update. Harmless twice.

        `replaced`: a new session of the same identity follows, whose update is all that current clients need.
        """
        if participant.closed:
            return
        recorded = self.is_recorded()
        was_started = participant.started
        was_visible = was_started and participant.was_shown
        if self._participants.get(participant.identity) is participant:
            del self._participants[participant.identity]
        leave = leave_request(participant.protocol, reason, action)
        participant.send(messages.SignalResponse(leave=leave))
        participant.enter(State.DISCONNECTED)
        participant.disconnect_reason = reason
        participant.version += 1
        was_publisher = participant.is_publisher
        for publication in list(participant.publications.values()):
            participant.publications.pop(publication.sid, None)
            self._end_publication(publication)
        participant.close()
        self.data.forget(participant)
        self.speakers.left(participant)
        self.qualities.left(participant)
        if self.is_recorded() != recorded:
            self.send_room_update()
        if was_visible and replaced:
            self._updates.replaced(participant)
        elif was_visible:
            self._updates.left(participant, at_once=was_publisher)
        if was_started:
            self.tell("participant_left", participant)
        if self._was_joined and not replaced and all(p.dependent for p in self._participants.values()):
            self._wait_idle(self.departure_timeout_s)

    # ---- updates ----

    def changed(self, participant: Participant, *, at_once: bool = False) -> None:
        """Something about the participant is different: it and the others are told."""
        participant.version += 1
        if participant.started:
            participant.was_shown = participant.was_shown or not participant.hidden
            self._updates.changed(participant, at_once=at_once)

    def announce(self, participant: Participant) -> None:
        """Tell the others now what a batch would have told them of this participant."""
        self._updates.announce(participant)

    def send_room_update(self) -> None:
        """Tell everybody what the room's own data is now."""
        update = messages.SignalResponse(
            room_update=messages.RoomUpdate(room=self.info())
        ).SerializeToString()
        for participant in self.started_participants():
            participant.send_encoded(update)

    # ---- tracks ----

    def track_published(self, publication: Publication) -> None:
        """A track's media path is up: everybody learns of it, and those who want it are subscribed."""
        self._publications[publication.sid] = publication
        self.changed(publication.publisher, at_once=True)
        self.reconcile(publication)
        self.tell("track_published", publication)
        if self._speaker_timer is None and publication.info.source == models.TrackSource.MICROPHONE:
            self._speaker_timer = self._loop.call_later(self.config.speaker_interval_s, self._speaker_tick)

    def track_unpublished(self, publication: Publication, *, announced: bool) -> None:
        self._end_publication(publication)
        if announced:
            self.changed(publication.publisher, at_once=True)

    def _end_publication(self, publication: Publication) -> None:
        if self._publications.pop(publication.sid, None) is None:
            return
        for participant in self.started_participants():
            participant.subscriptions.ended(publication)
        self.qualities.ended(publication)
        self.tell("track_unpublished", publication)

    def reconcile(self, publication: Publication) -> None:
        """Subscriptions of this track follow wishes and permissions again."""
        for participant in self.started_participants():
            if participant is not publication.publisher:
                participant.subscriptions.reconcile(publication)

    def backup_published(self, publication: Publication) -> None:
        """The backup codec of a track came up: those who wait for it get it."""
        self.changed(publication.publisher, at_once=True)
        for participant in self.started_participants():
            participant.subscriptions.backup_published(publication)

    def backup_ended(self, publication: Publication) -> None:
        """Its publisher no longer sends it."""
        for participant in self.started_participants():
            participant.subscriptions.backup_ended(publication)

    def now_s(self) -> float:
        """On the clock of the loop, which is virtual in a simulation."""
        return self._loop.time()

    def _quality_tick(self) -> None:
        interval_s = QUALITY_INTERVAL_S / max(1, len(self.started_participants()))
        self._quality_timer = self._loop.call_later(interval_s, self._quality_tick)
        self.qualities.measure_next()

    def _speaker_tick(self) -> None:
        self.speakers.tick()
        has_microphone = any(
            p.info.source == models.TrackSource.MICROPHONE for p in self._publications.values()
        )
        self._speaker_timer = (
            self._loop.call_later(self.config.speaker_interval_s, self._speaker_tick)
            if has_microphone
            else None
        )

    # ---- the end ----

    def _wait_idle(self, timeout_s: float) -> None:
        self._stop_idle_timer()
        if not self.closed:
            self._idle_timer = self._loop.call_later(timeout_s, self.close, DisconnectReason.ROOM_CLOSED)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None and any(not p.dependent for p in self._participants.values()):
            self._idle_timer.cancel()
            self._idle_timer = None

    def close(self, reason: DisconnectReason) -> None:
        """End the room: everybody in it gets a leave with `reason`. Harmless twice."""
        if self.closed:
            return
        self.closed = True
        for participant in list(self._participants.values()):
            self.remove(participant, reason)
        self._updates.close()
        for timer in (self._speaker_timer, self._quality_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._on_closed(self)


def _playout_delay_ms(
    settings: room_messages.RoomConfiguration, config: ServerConfig
) -> tuple[int, int] | None:
    if settings.min_playout_delay or settings.max_playout_delay:
        return settings.min_playout_delay, settings.max_playout_delay
    usual = config.playout_delay
    return (usual.min_ms, usual.max_ms) if usual.enabled else None
