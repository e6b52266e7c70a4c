"""The publisher connection: we offer, one offer at a time; wishes that come meanwhile go into the next."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.signalling.client_description import (
    PUBLISHING,
    AcceptedTrack,
    MediaProfile,
    OfferedTrack,
    ReceivingSection,
    publisher_offer,
    read_answer_track,
    read_transport,
)
from greenroom.signalling.media_parameters import PayloadType
from greenroom.signalling.sdp import MediaKind, SdpError, SessionDescription, parse

from .errors import PublishTrackError
from .network import Network
from .peer_link import DATA_TRACK, PeerLink

_logger = logging.getLogger("livekit")

ANSWER_TIMEOUT_S = 15.0
RELIABLE, LOSSY = "_reliable", "_lossy"

MAX_RECEIVING_SECTIONS = 150
"""Of one kind: an offer of all stays below what servers take (512 KiB here)."""

AnswerCallback = Callable[[SessionDescription, proto.SessionDescription], None]
StartSender = Callable[[_engine.Peer, OfferedTrack, AcceptedTrack], None]
"""Adds the sender to the engine's peer, with what the server's answer allows."""


@dataclass(eq=False)
class _Sender:
    """An m-line that we send on."""

    track: OfferedTrack
    start: StartSender
    answered: asyncio.Future[None]
    free: bool = False
    """The track has ended, and the server knows: the m-line can take another of the same codec."""


class Publisher:
    """Has the three data channels from the start, so that the first offer holds them.

    `on_answer(description, answer)` is called with each answer once it is applied.
    """

    def __init__(
        self,
        *,
        network: Network | None,
        send_offer: Callable[[proto.SessionDescription], None],
        on_message: Callable[[str, bytes], None],
        on_failed: Callable[[str], None],
        on_ice_state: Callable[[str], None] = lambda state: None,
        on_addresses: Callable[[frozenset[str]], None] = lambda addresses: None,
        on_answer: AnswerCallback = lambda description, answer: None,
        profile: MediaProfile = PUBLISHING,
    ) -> None:
        self.link = PeerLink(
            "publisher",
            controlling=True,
            payload_types=profile.payload_types,
            extensions=profile.extensions,
            network=network,
            on_message=on_message,
            on_failed=on_failed,
            on_ice_state=on_ice_state,
            on_addresses=on_addresses,
        )
        self.channels = {
            RELIABLE: self.link.open_channel(RELIABLE),
            LOSSY: self.link.open_channel(LOSSY, ordered=False, max_retransmits=0),
            DATA_TRACK: self.link.open_channel(DATA_TRACK, ordered=False, max_retransmits=0),
        }
        self.last_offer: proto.SessionDescription | None = None
        self.last_answer: proto.SessionDescription | None = None
        self._send_offer = send_offer
        self._on_answer = on_answer
        self._profile = profile
        self._sections: list[_Sender | ReceivingSection] = []
        """In the order of m-lines, after that of the data channels. None ever goes."""
        self._session_id = secrets.randbits(62)
        self._offer_id = 0
        self._outstanding: SessionDescription | None = None
        self._negotiate_again = False
        self._answer_timer: asyncio.TimerHandle | None = None
        self._closed: PublishTrackError | None = None

    @property
    def negotiated(self) -> bool:
        """An offer has been made."""
        return self._offer_id > 0

    @property
    def _senders(self) -> list[_Sender]:
        return [section for section in self._sections if isinstance(section, _Sender)]

    @property
    def receiving_mids(self) -> frozenset[str]:
        """Of the sections that the server may put tracks into."""
        return frozenset(s.mid for s in self._sections if isinstance(s, ReceivingSection))

    def next_mid(self, payload: PayloadType) -> str:
        """Of the m-line that the next track of this codec goes into."""
        # Only of the same codec: livekit-server keeps a section to those codecs that its first track left there.
        free = next((s for s in self._senders if s.free and s.track.payload == payload), None)
        return self._new_mid() if free is None else free.track.mid

    def _new_mid(self) -> str:
        return str(len(self._sections) + 1)

    def add_track(self, track: OfferedTrack, start: StartSender) -> asyncio.Future[None]:
        """Put a track into the next offer, at the mid that `next_mid` has just given. The future resolves when
        its answer is applied; PublishTrackError if refused, or closed already."""
        sender = _Sender(track, start, asyncio.get_running_loop().create_future())
        if self._closed is not None:
            sender.answered.set_exception(self._closed)
            return sender.answered
        if track.mid == self._new_mid():
            self._sections.append(sender)
        else:
            self._sections[int(track.mid) - 1] = sender
        self.negotiate()
        return sender.answered

    def remove_track(self, cid: str) -> None:
        """End a track's section with the next offer. Nothing for an unknown track."""
        for sender in self._senders:
            if sender.track.cid == cid and sender.track.layers:
                sender.track = sender.track.ended()
                sender.answered.cancel()
                self.link.peer.remove_sender(sender.track.mid)
                self.negotiate()

    def receive_on(self, kind: MediaKind, count: int) -> None:
        """Offer so many more sections, from the next offer on, for the server to put tracks into."""
        known = sum(isinstance(s, ReceivingSection) and s.kind is kind for s in self._sections)
        if known + count > MAX_RECEIVING_SECTIONS:
            _logger.warning(
                "the server asks for %d more %s sections; %d is the most", count, kind.value, known
            )
            count = MAX_RECEIVING_SECTIONS - known
        for _ in range(count):
            self._sections.append(ReceivingSection(self._new_mid(), kind))

    def negotiate(self) -> None:
        """Offer now, or as soon as the outstanding offer is answered."""
        if self._outstanding is not None:
            self._negotiate_again = True
            return
        self._send_offer(self.make_offer())

    def make_offer(self) -> proto.SessionDescription:
        """The next offer, which is outstanding from here on."""
        self._offer_id += 1
        description = publisher_offer(
            self.link.local_transport,
            [s.track if isinstance(s, _Sender) else s for s in self._sections],
            session_id=self._session_id,
            version=self._offer_id,
            profile=self._profile,
        )
        self._outstanding = description
        self._answer_timer = asyncio.get_running_loop().call_later(ANSWER_TIMEOUT_S, self._unanswered)
        self.last_offer = proto.SessionDescription(type="offer", sdp=description.to_text(), id=self._offer_id)
        return self.last_offer

    def restart(self) -> None:
        """A new signal connection: offer again, with an ICE restart. An answer to an earlier offer is lost.
        Nothing when no offer was made."""
        if not self.negotiated:
            return
        if self._answer_timer is not None:
            self._answer_timer.cancel()
        self._outstanding = None
        self._negotiate_again = False
        self.link.restart_ice()
        self.negotiate()

    def take_answer(self, answer: proto.SessionDescription) -> None:
        """Apply the server's answer. One for another offer, or that can't be read, is logged and skipped."""
        if self._outstanding is None or (answer.id and answer.id != self._offer_id):
            _logger.warning(
                "publisher: skipped an answer to offer %d; the last is %d", answer.id, self._offer_id
            )
            return
        try:
            description = parse(answer.sdp)
            self.link.set_remote(read_transport(description, ours_is_offer=True))
        except (SdpError, _engine.EngineError) as error:
            _logger.warning("publisher: the server's answer can't be used: %s", error)
            self._finish(f"the server's answer can't be used: {error}")
            return
        self.last_answer = answer
        for sender in self._senders:
            offered = self._outstanding.section(sender.track.mid)
            if offered is None:
                continue
            if not sender.answered.done() and offered.msid is not None:
                self._start(sender, description)
            elif not sender.track.layers and offered.msid is None:
                sender.free = True
        self._on_answer(description, answer)
        self._finish("")

    def close(self, why: str = "the session ended", reason: str = "session_ended") -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
        self._fail_waiting(why, reason)
        self._closed = PublishTrackError(f"publishing failed: {why}", reason)
        self.link.close()

    def _start(self, sender: _Sender, answer: SessionDescription) -> None:
        accepted = read_answer_track(answer, sender.track)
        codec = sender.track.payload.codec
        if accepted is None:
            sender.answered.set_exception(
                PublishTrackError(
                    f"the server's answer does not take codec {codec!r}; publish with another, or "
                    f"enable it there",
                    "codec_refused",
                )
            )
            return
        try:
            sender.start(self.link.peer, sender.track, accepted)
        except _engine.EngineError as error:
            sender.answered.set_exception(PublishTrackError(f"sending {codec!r} failed: {error}", "engine"))
        else:
            sender.answered.set_result(None)

    def _finish(self, error: str) -> None:
        self._outstanding = None
        if self._answer_timer is not None:
            self._answer_timer.cancel()
        if error:
            self._fail_waiting(error, "negotiation_failed")
        again, self._negotiate_again = self._negotiate_again, False
        if again:
            self.negotiate()

    def _unanswered(self) -> None:
        _logger.warning("publisher: no answer to offer %d within %g s", self._offer_id, ANSWER_TIMEOUT_S)
        self._finish(f"the server did not answer within {ANSWER_TIMEOUT_S:g} s")

    def _fail_waiting(self, message: str, reason: str) -> None:
        for sender in self._senders:
            if not sender.answered.done():
                sender.answered.set_exception(PublishTrackError(f"publishing failed: {message}", reason))
                sender.answered.exception()
