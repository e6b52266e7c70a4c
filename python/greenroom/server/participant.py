"""One participant's session in a room: its state, profile, permissions, tracks and connections.

The session outlives its signal connection (`Session`): a signal connection can be lost and another attached.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

from . import ids, tokens
from .data_flow import SenderFlow
from .data_sender import RELIABLE, DataSender
from .data_subscriptions import DataSubscriptions
from .data_tracks import DataTracks
from .join_response import leave_request, server_info
from .permissions import KIND_DETAIL_NAMES, is_dependent, kind_of
from .publisher import PublisherConnection
from .quality import mean_opinion, quality_of
from .server_calls import ServerCalls
from .single_subscriber import SingleSubscriber
from .subscriber import SubscriberConnection
from .subscriptions import Subscriptions
from .ways import Way

if TYPE_CHECKING:
    from .join_request import JoinRequest
    from .media_connection import MediaConnection
    from .publications import Publication
    from .room import Room
    from .websocket import Session

_logger = logging.getLogger("greenroom.server")

State = models.ParticipantInfo.State
REFRESH_INTERVAL_S = 300.0
RESUME_GRACE_S = 5.0
"""How long a participant whose media path is dead may take to resume."""
REVIVAL_S = 30.0
"""How long the path may then take to come back."""
LOST_RESUME_S = 5.0
"""How long a simulated failure of the next resume stays armed."""


class Participant:
    """Made when a join is accepted; started when its signal connection is up; closed once, by its room."""

    def __init__(self, room: Room, request: JoinRequest) -> None:
        self.room = room
        self.sid = ids.participant_sid()
        self.identity = request.identity
        self.claims = request.claims
        self.protocol = request.protocol
        self.client = request.client
        self.adaptive_stream = request.adaptive_stream
        self.permission = request.grant.permission()
        self.kind = kind_of(self.claims.kind)
        self.name = self.claims.name
        self.metadata = self.claims.metadata
        self.attributes = dict(request.attributes)
        self.state: State = State.JOINING
        self.started = False
        """Greeted, and not gone yet: it takes part."""
        self.closed = False
        self.version = 0
        self.joined_at_ms = time.time_ns() // 1_000_000
        self.disconnect_reason: models.DisconnectReason = models.DisconnectReason.UNKNOWN_REASON
        self.subscriber_primary = (
            self.protocol > 2 and self.permission.can_subscribe and not request.single_connection
        )
        self.last_reliable_sequence = 0
        self.session: Session | None = None
        self.publications: dict[str, Publication] = {}
        self.has_published = False
        """As livekit-server counts publishers: it stays so when the last track ends."""
        self._subscription_permission: messages.SubscriptionPermission | None = None
        self._rated: dict[str, models.ConnectionQuality] = {}
        """What the client was last told of each participant."""
        self.was_shown = False
        """Others know of it: a permission may hide it later, and they must still learn that it left."""
        self.was_active = False
        """Its media connection was up at some time."""
        self._refresh_timer: asyncio.TimerHandle | None = None
        self._join_timer: asyncio.TimerHandle | None = None
        self._grace_timer: asyncio.TimerHandle | None = None
        self._lost_resume: tuple[bool, float] | None = None
        """A simulated failure: whether it comes before any message, and until when it is armed."""
        self.publisher = PublisherConnection(self, room.plane)
        self.single = SingleSubscriber(self, self.publisher.connection) if request.single_connection else None
        """The receiving half of a client with one connection for both directions; None for one with two."""
        self.subscriber = self.single or SubscriberConnection(self, room.plane)
        allow_pause = room.config.allow_pause if request.allow_pause is None else request.allow_pause
        self.subscriber.connection.transport.set_bandwidth_policy(
            congestion_control=room.config.congestion_control, allow_pause=allow_pause
        )
        tcp_only = room.ways.of(self.identity) is Way.TCP
        self.publisher.connection.tcp_only = self.subscriber.connection.tcp_only = tcp_only
        self.flow = SenderFlow(self.publisher.connection)
        self.data = DataSender(self._send_data, room.config.limits, room.counters)
        self.data.on_established = lambda: room.data.established(self)
        self.calls = ServerCalls(lambda packet: self.data.send(RELIABLE, packet))
        self.subscriptions = Subscriptions(self, automatic=request.auto_subscribe)
        self.data_tracks = DataTracks(self)
        self.data_subscriptions = DataSubscriptions(self, automatic=request.auto_subscribe_data_track)

    # ---- what it is ----

    @property
    def hidden(self) -> bool:
        return bool(self.permission.hidden)

    @property
    def dependent(self) -> bool:
        """Not counted, and not keeping the room open."""
        return is_dependent(self.kind, self.permission)

    @property
    def is_publisher(self) -> bool:
        """It publishes tracks, of media or data."""
        return bool(self.publications) or bool(self.data_tracks)

    @property
    def primary(self) -> SubscriberConnection | SingleSubscriber | PublisherConnection:
        """The connection that what is sent to the participant goes over."""
        return self.subscriber if self.subscriber_primary else self.publisher

    @property
    def syncs_streams(self) -> bool:
        """Whether it is told that tracks belong to one stream; as on livekit-server, Firefox is not."""
        is_firefox = self.client.browser.lower() == "firefox"
        return self.room.sync_streams and self.protocol > 9 and not is_firefox

    @property
    def holds_video_back(self) -> bool:
        """Whether it is asked for a playout delay; as on livekit-server, not Firefox where it would part picture and sound."""
        is_firefox = self.client.browser.lower() == "firefox"
        return self.room.playout_delay_ms is not None and not (is_firefox and self.room.sync_streams)

    def playout_delay(self, track: models.TrackInfo) -> tuple[int, int, bool] | None:
        """The limits for one track, and whether the delay follows jitter between them."""
        if self.room.playout_delay_ms is None or not self.holds_video_back:
            return None
        return (*self.room.playout_delay_ms, track.source != models.TrackSource.SCREEN_SHARE)

    @property
    def is_agent(self) -> bool:
        return self.kind == models.ParticipantInfo.Kind.AGENT or self.permission.agent

    def enter(self, state: State) -> None:
        """Go to the next state; there is no way back."""
        self.state = state
        self.started = state in (State.JOINED, State.ACTIVE)
        self.closed = state == State.DISCONNECTED
        self.room.forget_started()

    def info(self) -> models.ParticipantInfo:
        """What others are told."""
        return models.ParticipantInfo(
            sid=self.sid,
            identity=self.identity,
            state=self.state,
            tracks=[p.info for p in self.publications.values()],
            metadata=self.metadata,
            joined_at=self.joined_at_ms // 1000,
            joined_at_ms=self.joined_at_ms,
            name=self.name,
            version=self.version,
            permission=self.permission,
            is_publisher=self.has_published,
            kind=self.kind,
            kind_details=[d.upper() for d in self.claims.kind_details if d in KIND_DETAIL_NAMES],
            attributes=self.attributes,
            data_tracks=self.data_tracks.infos(),
            disconnect_reason=self.disconnect_reason,
            client_protocol=self.client.client_protocol,
            capabilities=self.client.capabilities,
        )

    # ---- signalling ----

    def send(self, response: messages.SignalResponse) -> None:
        """Queue one message; without a signal connection it is lost (a resume sends the whole state anew)."""
        if self.session is not None:
            self.session.send(response.SerializeToString())

    def send_encoded(self, response: bytes) -> None:
        if self.session is not None:
            self.session.send(response)

    def start(self, session: Session, join: messages.JoinResponse) -> None:
        """The signal connection is up: greet, and begin to negotiate."""
        self.session = session
        self.send(messages.SignalResponse(join=join))
        self.enter(State.JOINED)
        self.version += 1
        self.send_refresh_token()
        loop = asyncio.get_running_loop()
        self._join_timer = loop.call_later(self.room.config.join_timeout_s, self._join_timed_out)
        if self.subscriber_primary:
            self.subscriber.open_channels()
        for publication in self.room.announced_publications():
            if publication.publisher is not self:
                self.subscriptions.reconcile(publication)
        for track in self.room.data_tracks.values():
            self.data_subscriptions.reconcile(track)
        if self.subscriber_primary:
            self.subscriber.negotiate(at_once=True)

    def resume(self, session: Session) -> None:
        """A new signal connection takes over: whatever may have been lost is told anew."""
        if self.session is not None:
            self.session.finish()
        self.session = session
        if self._grace_timer is not None:
            self._begin_grace(REVIVAL_S)
        reconnect = messages.ReconnectResponse(
            ice_servers=self.room.ways.ice_servers(self.identity, self.sid),
            client_configuration=self.room.ways.client_configuration(self.identity),
            server_info=server_info(self.room.node_id, self.room.config.region),
            last_message_seq=self.last_reliable_sequence,
        )
        self.send(messages.SignalResponse(reconnect=reconnect))
        self.room.send_snapshot(self)
        self.data_subscriptions.resumed()
        for publication in self.publications.values():
            publication.repeat_quality()
        self.send_refresh_token()
        if self.subscriber_primary or self.single is not None:
            self.subscriber.resume()
        if self.takes_lost_resume(before_messages=False):
            session.finish()

    def arm_lost_resume(self, *, before_messages: bool) -> None:
        """Let the next resume fail, should it come within LOST_RESUME_S."""
        deadline_s = asyncio.get_running_loop().time() + LOST_RESUME_S
        self._lost_resume = (before_messages, deadline_s)

    def takes_lost_resume(self, *, before_messages: bool) -> bool:
        """Whether a failure of this kind is armed; it happens once."""
        if self._lost_resume is None or self._lost_resume[0] != before_messages:
            return False
        _, deadline_s = self._lost_resume
        self._lost_resume = None
        return asyncio.get_running_loop().time() < deadline_s

    def _join_timed_out(self) -> None:
        if self.state == State.JOINED:
            self.room.remove(self, models.DisconnectReason.JOIN_FAILURE)

    def send_refresh_token(self) -> None:
        """Send a newer token now, and again every five minutes."""
        if self._refresh_timer is not None:
            self._refresh_timer.cancel()
        key, secret = next(iter(self.room.config.keys.items()))
        token = tokens.refresh(self.claims, key, secret)
        self.send(messages.SignalResponse(refresh_token=token))
        loop = asyncio.get_running_loop()
        self._refresh_timer = loop.call_later(REFRESH_INTERVAL_S, self.send_refresh_token)

    def session_ended(self, session: Session) -> None:
        """The signal connection was lost without a leave."""
        if self.session is not session:
            return
        self.session = None
        if self.closed:
            return
        if self._grace_timer is not None:
            self._begin_grace(RESUME_GRACE_S)
        if not self.was_active:
            self.room.remove(self, models.DisconnectReason.SIGNAL_CLOSE)

    # ---- connections ----

    def _is_primary(self, connection: MediaConnection) -> bool:
        return self.primary.connection is connection

    def connection_up(self, connection: MediaConnection) -> None:
        if not self._is_primary(connection) or self.state != State.JOINED:
            return
        self.was_active = True
        self.enter(State.ACTIVE)
        self.rate(self.sid)
        self.room.became_active(self)

    def path_changed(self, connection: MediaConnection, ice_state: str) -> None:
        """A media path came up, died or was closed by the client (whose leave may have been lost). A resume revives
        it, within a grace time."""
        ended = ice_state in ("failed", "closed")
        if ice_state == "connected":
            self._end_grace()
        elif ended and self.was_active and not self.closed and self._grace_timer is None:
            _logger.info("the media path of %s in room %s is %s", self.identity, self.room.name, ice_state)
            if ice_state == "failed":
                self._ask_to_resume()
            self._begin_grace(RESUME_GRACE_S)

    def _ask_to_resume(self) -> None:
        session = self.session
        if session is None:
            return
        if self.protocol > 12:
            action = messages.LeaveRequest.Action.RESUME
            leave = leave_request(self.protocol, models.DisconnectReason.CONNECTION_TIMEOUT, action)
            self.send(messages.SignalResponse(leave=leave))
            session.retire()
        else:
            session.finish()  # older clients know no leave that is to be followed by a resume
        self.session = None

    def _begin_grace(self, limit_s: float) -> None:
        self._end_grace()
        loop = asyncio.get_running_loop()
        self._grace_timer = loop.call_later(limit_s, self._lost_for_good, "its media path did not come back")

    def _end_grace(self) -> None:
        if self._grace_timer is not None:
            self._grace_timer.cancel()
            self._grace_timer = None

    def connection_lost(self, connection: MediaConnection, reason: str) -> None:
        """A media connection failed for good: the client starts anew, or is gone."""
        connection.connected = False
        self._lost_for_good(f"a media connection failed: {reason}")

    def _lost_for_good(self, why: str) -> None:
        if self.closed:
            return
        if self.session is None:
            self.room.remove(self, models.DisconnectReason.CONNECTION_TIMEOUT)
        else:
            self.restart_client(why, models.DisconnectReason.CONNECTION_TIMEOUT)

    def restart_client(self, why: str, reason: models.DisconnectReason) -> None:
        """End this session and ask the client for a new one."""
        _logger.info("%s in room %s has to start anew: %s", self.identity, self.room.name, why)
        self.room.counters["sessions_restarted"] += 1
        self.room.remove(self, reason, action=messages.LeaveRequest.Action.RECONNECT)

    def rate(self, participant_sid: str) -> None:
        """Tell the connection quality of a participant, when that is news."""
        score = self.room.qualities.score(participant_sid)
        quality = quality_of(score)
        if quality == models.ConnectionQuality.LOST and self.protocol <= 10:
            quality = models.ConnectionQuality.POOR  # these don't know of LOST
        if self._rated.get(participant_sid) == quality or self.protocol <= 4:
            return
        self._rated[participant_sid] = quality
        info = messages.ConnectionQualityInfo(
            participant_sid=participant_sid, quality=quality, score=mean_opinion(score)
        )
        self.send(
            messages.SignalResponse(connection_quality=messages.ConnectionQualityUpdate(updates=[info]))
        )

    # ---- publishing ----

    def publish(self, publication: Publication) -> None:
        """The track's media path is up: everybody is told, and those who want it are subscribed."""
        self.publications[publication.sid] = publication
        self.has_published = True
        self.room.track_published(publication)

    def unpublish(self, publication: Publication) -> None:
        """The track ended."""
        was_announced = self.publications.pop(publication.sid, None) is not None
        self.room.track_unpublished(publication, announced=was_announced)
        publication.close()

    def first_subscriber(self, publication: Publication) -> None:
        """Somebody receives the track."""
        if publication.first_subscriber_reported:
            return
        publication.first_subscriber_reported = True
        self.send(
            messages.SignalResponse(track_subscribed=messages.TrackSubscribed(track_sid=publication.sid))
        )

    def set_subscription_permission(self, permission: messages.SubscriptionPermission) -> None:
        """Who may subscribe to this participant's tracks from now on; running subscriptions follow."""
        self._subscription_permission = None if permission.all_participants else permission
        for publication in self.publications.values():
            self.room.reconcile(publication)
        for track in self.data_tracks.tracks():
            self.data_tracks.reconcile(track)

    def allows(self, subscriber: Participant, track_sid: str) -> bool:
        """Whether this publisher lets `subscriber` have the track."""
        permission = self._subscription_permission
        if permission is None or subscriber.permission.recorder:
            return True
        for entry in permission.track_permissions:
            if subscriber.sid == entry.participant_sid or subscriber.identity == entry.participant_identity:
                return entry.all_tracks or track_sid in entry.track_sids
        return False

    def update_profile(
        self,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: dict[str, str] | None = None,
    ) -> None:
        """Change what is given; an attribute with an empty value is deleted. Everybody is told at once."""
        self.name = self.name if name is None else name
        self.metadata = self.metadata if metadata is None else metadata
        for key, value in (attributes or {}).items():
            if value:
                self.attributes[key] = value
            else:
                self.attributes.pop(key, None)
        self.claims = tokens.with_profile(
            self.claims, name=self.name, metadata=self.metadata, attributes=self.attributes
        )
        self.room.changed(self, at_once=True)
        self.send_refresh_token()

    # ---- data ----

    def _send_data(self, channel: int, message: bytes) -> bool:
        connection = self.primary.connection
        return connection.closed or connection.send(channel, message)

    def data_received(self, label: str, message: bytes) -> None:
        """A message came on one of the client's channels."""
        self.room.data.receive(self, label, message)
        self.flow.handled(len(message))

    # ---- the end ----

    def close(self) -> None:
        """Stop everything; the room has told everybody. Called once, by the room.

        The media connections are closed after the signal connection: a client that sees them go before the
        leave arrives would take it for a failure.
        """
        for timer in (self._refresh_timer, self._join_timer, self._grace_timer):
            if timer is not None:
                timer.cancel()
        self.subscriptions.close()
        self.data_tracks.close()
        self.data_subscriptions.close()
        self.calls.close()
        self.data.close()
        self.flow.close()
        self.publisher.end_tracks()
        self.subscriber.stop_negotiating()
        self.publications.clear()
        session, self.session = self.session, None
        if session is None:
            self._close_connections()
        else:
            session.on_ended = self._close_connections
            session.finish()

    def _close_connections(self) -> None:
        self.publisher.connection.close()
        self.subscriber.connection.close()
