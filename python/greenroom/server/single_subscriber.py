"""The receiving half of a participant that has one connection for both directions: which track is in which of the
sections that the client offers to receive on.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom import _engine
from greenroom.signalling.down_sections import (
    DownSection,
    can_carry_tracks,
    down_payload_types,
    sent_extensions,
)
from greenroom.signalling.media_parameters import HeaderExtension, PayloadType
from greenroom.signalling.sdp import MediaKind, SessionDescription

from .backup_codec import choose_codec
from .negotiation import Negotiation
from .refusal import ProtocolViolation
from .ssrcs import Ssrcs
from .subscriptions import offered_track

if TYPE_CHECKING:
    from .media_connection import MediaConnection
    from .participant import Participant
    from .subscriptions import Subscription

_logger = logging.getLogger("greenroom.server")


@dataclass
class _Section:
    """One m-line that the client receives on."""

    kind: MediaKind
    payload_types: list[PayloadType] = field(default_factory=list)
    extensions: list[HeaderExtension] = field(default_factory=list)
    subscription: Subscription | None = None
    used_before: bool = False
    ending: bool = False
    """Its track is gone, and the client has not been told yet: it takes the next track after that."""


class SingleSubscriber:
    """The client offers. When tracks wait for sections, or one has ended, it is asked for an offer with a
    MediaSectionsRequirement, which says how many sections are missing."""

    def __init__(self, participant: Participant, connection: MediaConnection) -> None:
        self._participant = participant
        self._loop = asyncio.get_running_loop()
        self.connection = connection
        self._sections: dict[str, _Section] = {}
        """By mid."""
        self._waiting: dict[Subscription, None] = {}
        """In the order they came; an ordered set."""
        self._requested: dict[MediaKind, int] = {}
        """Sections asked for since the last offer."""
        self._pace = Negotiation(first_id=1)
        self._timer: asyncio.TimerHandle | None = None
        self._ssrcs = Ssrcs()

    # ---- subscriptions ----

    def open_channels(self) -> None:
        """The client's channels serve both directions."""

    def add(self, subscription: Subscription) -> None:
        """The subscription gets a section with one of the next offers."""
        self._waiting[subscription] = None
        self.negotiate()

    def remove(self, subscription: Subscription) -> None:
        """Free the subscription's section."""
        self._waiting.pop(subscription, None)
        section = self._sections.get(subscription.mid)
        if section is None or section.subscription is not subscription:
            return
        section.subscription, section.ending = None, True
        self._ssrcs.free(subscription.ssrc, subscription.rtx_ssrc)
        self.negotiate()

    # ---- negotiation ----

    def negotiate(self, *, at_once: bool = False) -> None:
        """Ask for an offer soon; wishes that come together share one."""
        delay_s = self._pace.wish(self._loop.time(), at_once=at_once)
        if delay_s is not None:
            self._stop_timer()
            self._timer = self._loop.call_later(delay_s, self._ask)

    def resume(self) -> None:
        """The signal connection is a new one. The client offers, with an ICE restart, whatever we ask."""
        self._requested.clear()

    def _ask(self) -> None:
        self._timer = None
        self._pace.reset()
        if self.connection.closed:
            return
        audios, videos = (self._claim_missing(kind) for kind in (MediaKind.AUDIO, MediaKind.VIDEO))
        requirement = messages.MediaSectionsRequirement(num_audios=audios, num_videos=videos)
        self._participant.send(messages.SignalResponse(media_sections_requirement=requirement))

    def _claim_missing(self, kind: MediaKind) -> int:
        waiting = sum(s.publication.kind is kind for s in self._waiting)
        free = sum(s.kind is kind and s.subscription is None for s in self._sections.values())
        requested = self._requested.get(kind, 0)
        missing = max(0, waiting - free - requested)
        self._requested[kind] = requested + missing
        return missing

    def take_offer(self, offer: SessionDescription) -> dict[str, DownSection]:
        """Assign the sections of an offer. What each carries from the answer on, by mid."""
        self._requested.clear()
        offered = {section.mid: section for section in offer.media if can_carry_tracks(section)}
        for mid in [mid for mid in self._sections if mid not in offered]:
            self._lose(self._sections.pop(mid))
        for mid, media in offered.items():
            section = self._sections.setdefault(mid, _Section(media.kind))
            section.payload_types, section.extensions = down_payload_types(media), sent_extensions(media)
            if section.ending:
                section.ending = False
            elif section.subscription is None:
                self._assign(mid, section)
        return {
            mid: DownSection(
                offered_track(section.subscription), section.used_before, self._participant.holds_video_back
            )
            for mid, section in self._sections.items()
        }

    def _lose(self, section: _Section) -> None:
        subscription = section.subscription
        if subscription is not None:
            self._ssrcs.free(subscription.ssrc, subscription.rtx_ssrc)
            subscription.unbind()
            self._waiting[subscription] = None

    def _assign(self, mid: str, section: _Section) -> None:
        """Give the section the first track that it can carry; those that no section can carry are refused."""
        for subscription in [s for s in self._waiting if s.publication.kind is section.kind]:
            del self._waiting[subscription]
            payload_types, _ = choose_codec(subscription.publication, section.payload_types)
            if not payload_types:
                error = models.SubscriptionError.SE_CODEC_UNSUPPORTED
                self._participant.subscriptions.fail(subscription, error)
                continue
            has_rtx = payload_types[0].rtx_payload_type is not None
            subscription.mid = mid
            subscription.ssrc = self._ssrcs.take()
            subscription.rtx_ssrc = self._ssrcs.take() if has_rtx else None
            section.subscription, section.used_before = subscription, True
            return

    def answered(self) -> None:
        """The answer is on its way: send what it promises. Raises ProtocolViolation when the offer's parameters
        can't be used."""
        for mid, section in self._sections.items():
            subscription = section.subscription
            if subscription is not None and subscription.down_track is None:
                self._bind(mid, section, subscription)
        self._stop_timer()
        self._pace.reset()
        if self._waiting:
            self._ask()

    def _bind(self, mid: str, section: _Section, subscription: Subscription) -> None:
        if subscription.closed:
            return
        payload_types, backup = choose_codec(subscription.publication, section.payload_types)
        if backup is not None:
            self._participant.subscriptions.await_backup(subscription)
        up_track = subscription.source.up_track if subscription.source is not None else None
        if up_track is None:
            return  # the client is asked for another offer when the backup codec comes
        try:
            down_track = self.connection.transport.add_down_track(
                mid,
                up_track,
                ssrc=subscription.ssrc,
                rtx_ssrc=subscription.rtx_ssrc,
                payload_types=payload_types,
                header_extensions=section.extensions,
                frame_trailer=self._participant.room.frame_trailer(subscription.publication.info),
                playout_delay=self._participant.playout_delay(subscription.publication.info),
            )
        except (_engine.EngineError, ValueError) as error:
            raise ProtocolViolation(f"section {mid} of the offer: {error}") from error
        codec = payload_types[0].codec if payload_types else subscription.publication.codec
        self._participant.subscriptions.bound(subscription, down_track, codec)

    def handle_answer(self, answer: messages.SessionDescription) -> None:
        """There is nothing that a client of this mode could answer."""
        _logger.info("%s answered an offer that was never made", self._participant.identity)

    def stop_negotiating(self) -> None:
        """Nothing is asked for any more."""
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
