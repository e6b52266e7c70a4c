"""The subscriber connection: the server offers, we answer each offer at once and in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.signalling.client_description import (
    SUBSCRIBE_EXTENSIONS,
    SUBSCRIBE_PAYLOADS,
    read_transport,
    subscriber_answer,
)
from greenroom.signalling.sdp import SessionDescription, parse
from greenroom.signalling.stream_id import carried_track

from .network import Network
from .peer_link import PeerLink

_logger = logging.getLogger("livekit")


@dataclass(frozen=True)
class _Binding:
    """What one m-line carries: a new track or new SSRCs make a new binding."""

    track_sid: str
    ssrc: int
    rtx_ssrc: int | None


class Subscriber:
    """`on_started(track_sid, receiver)` and `on_stopped(track_sid, receiver)` tell what the m-lines carry."""

    def __init__(
        self,
        *,
        network: Network,
        on_message: Callable[[str, bytes], None],
        on_failed: Callable[[str], None],
        on_started: Callable[[str, _engine.Receiver], None],
        on_stopped: Callable[[str, _engine.Receiver], None],
        on_ice_state: Callable[[str], None] = lambda state: None,
    ) -> None:
        self.link = PeerLink(
            "subscriber",
            controlling=False,
            payload_types=SUBSCRIBE_PAYLOADS,
            extensions=SUBSCRIBE_EXTENSIONS,
            network=network,
            on_message=on_message,
            on_failed=on_failed,
            on_ice_state=on_ice_state,
        )
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._bound: dict[str, tuple[_Binding, _engine.Receiver]] = {}
        self._version = 0
        self._problems: set[str] = set()
        self.last_offer: proto.SessionDescription | None = None
        self.last_answer: proto.SessionDescription | None = None
        self._offer_waiters: list[asyncio.Future[None]] = []

    @property
    def negotiated(self) -> bool:
        """An offer has been answered."""
        return self.last_answer is not None

    def next_offer(self) -> asyncio.Future[None]:
        """Resolves when the next offer has been answered."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._offer_waiters.append(future)
        return future

    def answer(self, offer: proto.SessionDescription) -> proto.SessionDescription:
        """Apply one offer and make its answer. SdpError or EngineError when the offer can't be used."""
        description = parse(offer.sdp)
        self.link.set_remote(read_transport(description, ours_is_offer=False))
        self._version += 1
        answer, problems = subscriber_answer(
            description, self.link.local_transport, session_id=1, version=self._version
        )
        for problem in set(problems) - self._problems:
            _logger.warning("subscriber: a codec can't be received: %s", problem)
        self._problems.update(problems)
        self._bind(description, answer, dict(offer.mid_to_track_id))
        self.last_offer = offer
        self.last_answer = proto.SessionDescription(type="answer", sdp=answer.to_text(), id=offer.id)
        waiters, self._offer_waiters = self._offer_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return self.last_answer

    def close(self) -> None:
        self._bound.clear()
        self.link.close()

    def _bind(
        self, offer: SessionDescription, answer: SessionDescription, mid_to_track_id: dict[str, str]
    ) -> None:
        wanted: dict[str, tuple[_Binding, str]] = {}
        for section in offer.media:
            carried = carried_track(section, mid_to_track_id)
            layers = section.receive_layers()
            answered = answer.section(section.mid)
            if carried is None or not layers or answered is None or answered.rejected:
                continue
            wanted[section.mid] = (
                _Binding(carried[1], layers[0].ssrc, layers[0].rtx_ssrc),
                section.kind.value,
            )
        moved = {binding.track_sid for binding, _ in wanted.values()}
        for mid, (bound, receiver) in list(self._bound.items()):
            if mid in wanted and wanted[mid][0] == bound:
                continue
            del self._bound[mid]
            if mid not in wanted:
                self.link.peer.remove_receiver(mid)
            if bound.track_sid not in moved:
                self._on_stopped(bound.track_sid, receiver)
        for mid, (binding, kind) in wanted.items():
            if mid not in self._bound:
                receiver = self.link.peer.add_receiver(
                    mid, kind=kind, ssrc=binding.ssrc, rtx_ssrc=binding.rtx_ssrc
                )
                self._bound[mid] = (binding, receiver)
                self._on_started(binding.track_sid, receiver)
