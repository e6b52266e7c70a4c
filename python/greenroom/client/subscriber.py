"""The subscriber connection: the server offers, we answer each offer at once and in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from livekit.protocol import rtc as proto

from greenroom.signalling.client_description import (
    SUBSCRIBE_EXTENSIONS,
    SUBSCRIBE_PAYLOADS,
    read_transport,
    subscriber_answer,
)
from greenroom.signalling.sdp import parse

from .network import Network
from .peer_link import PeerLink
from .receivers import Receivers, StartedCallback, StoppedCallback

_logger = logging.getLogger("livekit")


class Subscriber:
    """`on_started` and `on_stopped` tell what the m-lines carry."""

    def __init__(
        self,
        *,
        network: Network,
        on_message: Callable[[str, bytes], None],
        on_failed: Callable[[str], None],
        on_started: StartedCallback,
        on_stopped: StoppedCallback,
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
        self._receivers = Receivers(self.link, on_started=on_started, on_stopped=on_stopped)
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
        taken = {section.mid for section in answer.media if not section.rejected}
        self._receivers.bind(
            [section for section in description.media if section.mid in taken], dict(offer.mid_to_track_id)
        )
        self.last_offer = offer
        self.last_answer = proto.SessionDescription(type="answer", sdp=answer.to_text(), id=offer.id)
        waiters, self._offer_waiters = self._offer_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return self.last_answer

    def close(self) -> None:
        self._receivers.close()
        self.link.close()
