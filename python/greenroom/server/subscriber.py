"""The subscriber connection of a participant: the server's offers, and which track is in which section."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom import _engine
from greenroom.signalling.sdp import MediaKind, MediaSection, SdpError, parse
from greenroom.signalling.server_description import (
    OfferedSection,
    answered_extensions,
    answered_payload_types,
    subscriber_offer,
)

from .backup_codec import choose_codec
from .media_connection import DATA_TRACK
from .negotiation import Negotiation
from .refusal import ProtocolViolation
from .ssrcs import Ssrcs
from .subscriptions import offered_track

if TYPE_CHECKING:
    from .media_connection import MediaPlane
    from .participant import Participant
    from .subscriptions import Subscription

_logger = logging.getLogger("greenroom.server")

CHANNELS: tuple[tuple[str, bool, int | None], ...] = (
    ("_reliable", True, None),
    ("_lossy", False, 0),
    (DATA_TRACK, False, 0),
)
"""Label, ordered, max retransmits of the channels the server opens, in their order on the wire."""


@dataclass
class _Section:
    """One m-line. It is never removed: without a subscription it waits for the next track of its kind."""

    kind: MediaKind
    mid: str
    subscription: Subscription | None = None


@dataclass
class _Outstanding:
    """What the offer that waits for its answer said, so that the answer is not taken for something newer."""

    subscriptions: dict[str, Subscription] = field(default_factory=dict)


class SubscriberConnection:
    """The server offers; one offer is out at a time."""

    def __init__(self, participant: Participant, plane: MediaPlane) -> None:
        self._participant = participant
        self._loop = asyncio.get_running_loop()
        self._sections: list[_Section] = []
        self._outstanding = _Outstanding()
        self._negotiation = Negotiation(first_id=1 + secrets.randbelow(256))
        self._offer_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        self._session_id = secrets.randbits(62)
        self._ssrcs = Ssrcs()
        self.connection = plane.connect(
            controlling=True,
            handlers={
                _engine.ICE_STATE: self._on_ice_state,
                _engine.CONNECTED: self._on_connected,
                _engine.FAILED: self._on_failed,
                _engine.CHANNEL_OPEN: self._on_channel_open,
                _engine.CHANNEL_WRITABLE: lambda channel: participant.data.writable(channel),
            },
        )

    # ---- sections ----

    def open_channels(self) -> None:
        """Make the data channels; before the first offer, so that its first section is theirs."""
        self._sections.append(_Section(MediaKind.APPLICATION, "0"))
        for label, ordered, max_retransmits in CHANNELS:
            self.connection.transport.open_channel(label, ordered=ordered, max_retransmits=max_retransmits)

    def add(self, subscription: Subscription) -> None:
        """Give the subscription a section, a used one when there is one of its kind, and negotiate."""
        kind = subscription.publication.kind
        section = self._free_section(kind)
        if section is None:
            section = _Section(kind, str(len(self._sections)))
            self._sections.append(section)
        section.subscription = subscription
        subscription.mid = section.mid
        subscription.ssrc = self._ssrcs.take()
        subscription.rtx_ssrc = self._ssrcs.take() if kind is MediaKind.VIDEO else None
        self.negotiate()

    def remove(self, subscription: Subscription) -> None:
        """Free the subscription's section and negotiate."""
        for section in self._sections:
            if section.subscription is subscription:
                section.subscription = None
                self._ssrcs.free(subscription.ssrc, subscription.rtx_ssrc)
                self.negotiate()

    def _free_section(self, kind: MediaKind) -> _Section | None:
        if self._participant.protocol <= 3:
            return None  # such clients can't use a section again
        return next((s for s in self._sections if s.kind is kind and s.subscription is None), None)

    # ---- offers ----

    def negotiate(self, *, at_once: bool = False) -> None:
        """An offer goes out soon; wishes that come together share it."""
        delay = self._negotiation.wish(self._loop.time(), at_once=at_once)
        if delay == 0.0:
            self._cancel(self._offer_timer)
            self._offer()
        elif delay is not None:
            self._offer_timer = self._loop.call_later(delay, self._offer)

    def resume(self) -> None:
        """The signal connection is a new one: offer everything again, with an ICE restart."""
        self._cancel(self._answer_timer)
        self._negotiation.reset()
        self.connection.restart_ice()
        self.negotiate(at_once=True)

    def _offer(self) -> None:
        self._offer_timer = None
        if self.connection.closed:
            return
        offer_id = self._negotiation.offered()
        self._outstanding = _Outstanding(
            {s.mid: s.subscription for s in self._sections if s.subscription is not None}
        )
        description = subscriber_offer(
            [OfferedSection(s.kind, s.mid, offered_track(s.subscription)) for s in self._sections],
            self.connection.local(),
            session_id=self._session_id,
            session_version=offer_id,
            playout_delay=self._participant.holds_video_back,
        )
        tracks = {
            mid: subscription.publication.sid for mid, subscription in self._outstanding.subscriptions.items()
        }
        self._participant.send(
            messages.SignalResponse(
                offer=messages.SessionDescription(
                    type="offer", sdp=description.to_text(), id=offer_id, mid_to_track_id=tracks
                )
            )
        )
        self._answer_timer = self._loop.call_later(
            self._participant.room.config.answer_timeout_s, self._on_answer_missing
        )

    def handle_answer(self, answer: messages.SessionDescription) -> None:
        """Apply the answer to the outstanding offer. Raises ProtocolViolation when it can't be used."""
        again = self._negotiation.answered(answer.id)
        if again is None:
            _logger.info(
                "%s answered an offer that is not out (id %d)", self._participant.identity, answer.id
            )
            return
        self._cancel(self._answer_timer)
        try:
            description = parse(answer.sdp)
        except SdpError as error:
            raise ProtocolViolation(f"subscriber answer: {error}") from error
        client_is_passive = (description.transport and description.transport.setup) == "passive"
        self.connection.set_remote(description, dtls_active=client_is_passive, is_answer=True)
        outstanding, self._outstanding = self._outstanding, _Outstanding()
        for mid, subscription in outstanding.subscriptions.items():
            self._bind(subscription, description.section(mid))
        if again:
            self.negotiate()

    def _bind(self, subscription: Subscription, answer: MediaSection | None) -> None:
        publication = subscription.publication
        if subscription.closed or subscription.down_track is not None or publication.up_track is None:
            return
        taken = answered_payload_types(answer) if answer is not None and not answer.rejected else []
        payload_types, backup = choose_codec(publication, taken)
        if answer is None or not payload_types:
            self._participant.subscriptions.fail(subscription, models.SubscriptionError.SE_CODEC_UNSUPPORTED)
            return
        if backup is not None:
            self._participant.subscriptions.await_backup(subscription)
        up_track = subscription.source.up_track if subscription.source is not None else None
        if up_track is None:
            return  # negotiated again when the backup codec comes
        try:
            down_track = self.connection.transport.add_down_track(
                subscription.mid,
                up_track,
                ssrc=subscription.ssrc,
                rtx_ssrc=subscription.rtx_ssrc if payload_types[0].rtx_payload_type is not None else None,
                payload_types=payload_types,
                header_extensions=answered_extensions(answer),
                frame_trailer=self._participant.room.frame_trailer(publication.info),
                playout_delay=self._participant.playout_delay(publication.info),
            )
        except (_engine.EngineError, ValueError) as error:
            raise ProtocolViolation(
                f"section {subscription.mid} of the subscriber answer: {error}"
            ) from error
        self._participant.subscriptions.bound(subscription, down_track, payload_types[0].codec)

    def _on_answer_missing(self) -> None:
        if self.connection.connected:
            self._participant.restart_client(
                "an offer stayed without answer", models.DisconnectReason.STATE_MISMATCH
            )

    # ---- engine events ----

    def _on_connected(self, _: Any) -> None:
        self._participant.connection_up(self.connection)

    def _on_ice_state(self, state: str) -> None:
        self._participant.path_changed(self.connection, state)

    def _on_failed(self, reason: str) -> None:
        self._participant.connection_lost(self.connection, reason)

    def _on_channel_open(self, payload: tuple[int, str]) -> None:
        channel, label = payload
        self.connection.channel_opened(channel, label)
        if self._participant.subscriber_primary:
            self._participant.data.channel_opened(label, channel)

    def stop_negotiating(self) -> None:
        """No offer goes out any more."""
        self._cancel(self._offer_timer)
        self._cancel(self._answer_timer)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
