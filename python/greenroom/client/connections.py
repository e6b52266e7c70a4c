"""The peer connections of a session: one for each direction (LiveKit's `/rtc`), or one for both (`/rtc/v1`)."""

from __future__ import annotations

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from livekit.protocol import rtc as proto

from greenroom import _engine
from greenroom.signalling.client_description import BOTH_WAYS
from greenroom.signalling.sdp import MediaKind, SdpError, SessionDescription

from .network import Network
from .peer_link import PeerLink
from .publisher import Publisher
from .receivers import Receivers, StartedCallback, StoppedCallback
from .subscriber import Subscriber

_logger = logging.getLogger("livekit")

FIRST_SECTIONS = {MediaKind.AUDIO: 3, MediaKind.VIDEO: 3}
"""Offered with the join, so that the first tracks need no further offer."""
OFFER_TIMEOUT_S = 1.0
"""For the server's offer that restarts ICE; without one a connection that is up is taken as it is."""


@dataclass(frozen=True)
class Hooks:
    """What a session hears of its peer connections; `send(kind, message)` is the way to the server."""

    send: Callable[[str, Any], None]
    on_message: Callable[[str, bytes], None]
    on_failed: Callable[[str, str], None]
    """(which connection, why)"""
    on_ice_state: Callable[[str, str], None]
    """(which connection, state)"""
    on_addresses: Callable[[frozenset[str]], None]
    """Those of this machine have changed, to these."""
    on_started: StartedCallback
    on_stopped: StoppedCallback


def trickle(send: Callable[[str, Any], None], link_name: str, candidate: str) -> None:
    """Tell the server one of our candidates."""
    target = proto.SignalTarget.PUBLISHER if link_name == "publisher" else proto.SignalTarget.SUBSCRIBER
    init = json.dumps({"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0})
    send("trickle", proto.TrickleRequest(target=target, candidateInit=init))


class Connections(ABC):
    """Made anew for each join of the server."""

    publisher: Publisher
    primary: PeerLink
    """Whose connection makes us a participant."""
    receiving: PeerLink
    """What remote tracks come over."""

    @property
    @abstractmethod
    def links(self) -> tuple[PeerLink, ...]: ...

    @abstractmethod
    def begin(self, join: proto.JoinResponse) -> None:
        """Signalling is up: negotiate what has to be."""

    @abstractmethod
    def take_offer(self, offer: proto.SessionDescription) -> None:
        """The server's offer. One that can't be used is logged."""

    @abstractmethod
    def take_requirement(self, requirement: proto.MediaSectionsRequirement) -> None:
        """The server wants an offer, with so many more sections to put tracks into."""

    def take_answer(self, answer: proto.SessionDescription) -> None:
        """The server's answer to our last offer."""
        self.publisher.take_answer(answer)

    def take_candidate(self, trickle: proto.TrickleRequest) -> None:
        """A candidate of the server."""
        is_publisher = trickle.target == proto.SignalTarget.PUBLISHER
        (self.publisher.link if is_publisher else self.receiving).add_trickled(trickle)

    @abstractmethod
    def restart_ice(self) -> Callable[[], Coroutine[Any, Any, None]]:
        """The signal connection is a new one. Call, and await, the result once that one is being heard: it
        returns when media flows again. ConnectionError when it can't."""

    @abstractmethod
    def described(self) -> tuple[proto.SessionDescription | None, proto.SessionDescription | None]:
        """The last offer and answer of the connection that remote tracks come over."""

    @property
    def can_resume(self) -> bool:
        """All can go on: a closed one takes a new session."""
        return all(link.alive for link in self.links)

    @abstractmethod
    def close(self, why: str = "the session ended", reason: str = "session_ended") -> None:
        """Free everything. Harmless twice."""


class DualConnections(Connections):
    """We offer on the publisher's, the server on the subscriber's."""

    def __init__(self, hooks: Hooks, join: proto.JoinResponse, network: Network) -> None:
        self._send = hooks.send
        self.publisher = Publisher(
            network=network,
            send_offer=lambda offer: hooks.send("offer", offer),
            on_message=hooks.on_message,
            on_failed=lambda why: hooks.on_failed("publisher", why),
            on_ice_state=lambda state: hooks.on_ice_state("publisher", state),
            on_addresses=hooks.on_addresses,
        )
        self.subscriber = Subscriber(
            network=network,
            on_message=hooks.on_message,
            on_failed=lambda why: hooks.on_failed("subscriber", why),
            on_ice_state=lambda state: hooks.on_ice_state("subscriber", state),
            on_started=hooks.on_started,
            on_stopped=hooks.on_stopped,
        )
        self.receiving = self.subscriber.link
        self.primary = self.subscriber.link if join.subscriber_primary else self.publisher.link

    @property
    def links(self) -> tuple[PeerLink, ...]:
        return self.publisher.link, self.subscriber.link

    def begin(self, join: proto.JoinResponse) -> None:
        if join.fast_publish or not join.subscriber_primary:
            self.publisher.negotiate()

    def take_offer(self, offer: proto.SessionDescription) -> None:
        try:
            self._send("answer", self.subscriber.answer(offer))
        except (SdpError, _engine.EngineError) as error:
            _logger.warning("subscriber: offer %d can't be used: %s", offer.id, error)

    def take_requirement(self, requirement: proto.MediaSectionsRequirement) -> None:
        _logger.warning("the server asks for sections on a connection that it offers itself; ignored")

    def restart_ice(self) -> Callable[[], Coroutine[Any, Any, None]]:
        offer = self.subscriber.next_offer() if self.subscriber.negotiated else None

        async def back() -> None:
            self.publisher.restart()
            if offer is not None:
                # A server whose side needs no restart, or that subscribes us to nothing, may offer nothing.
                await asyncio.wait([offer], timeout=OFFER_TIMEOUT_S)
                await self.subscriber.link.up()
            if self.publisher.negotiated:
                await self.publisher.link.up()

        return back

    def described(self) -> tuple[proto.SessionDescription | None, proto.SessionDescription | None]:
        return self.subscriber.last_offer, self.subscriber.last_answer

    def close(self, why: str = "the session ended", reason: str = "session_ended") -> None:
        self.publisher.close(why, reason)
        self.subscriber.close()


class SingleConnection(Connections):
    """We offer, also sections that the server puts tracks into.

    Made before the join, which carries its first offer; `gather` follows when the server has accepted.
    """

    def __init__(self, hooks: Hooks) -> None:
        self._send = hooks.send
        self.publisher = Publisher(
            network=None,
            send_offer=lambda offer: hooks.send("offer", offer),
            on_message=hooks.on_message,
            on_failed=lambda why: hooks.on_failed("peer", why),
            on_ice_state=lambda state: hooks.on_ice_state("peer", state),
            on_addresses=hooks.on_addresses,
            on_answer=self._bind,
            profile=BOTH_WAYS,
        )
        self._receivers = Receivers(
            self.publisher.link, on_started=hooks.on_started, on_stopped=hooks.on_stopped
        )
        self.primary = self.receiving = self.publisher.link
        for kind, count in FIRST_SECTIONS.items():
            self.publisher.receive_on(kind, count)
        self.first_offer = self.publisher.make_offer()

    @property
    def links(self) -> tuple[PeerLink, ...]:
        return (self.publisher.link,)

    def gather(self, network: Network) -> None:
        """Bind sockets. EngineError when none can be bound."""
        self.publisher.link.gather(network)

    def begin(self, join: proto.JoinResponse) -> None:
        for candidate in self.publisher.link.local_transport.candidates:
            trickle(self._send, self.publisher.link.name, candidate)

    def take_offer(self, offer: proto.SessionDescription) -> None:
        _logger.warning("the server offers on a connection that we offer on; offer %d is ignored", offer.id)

    def take_requirement(self, requirement: proto.MediaSectionsRequirement) -> None:
        self.publisher.receive_on(MediaKind.AUDIO, requirement.num_audios)
        self.publisher.receive_on(MediaKind.VIDEO, requirement.num_videos)
        self.publisher.negotiate()

    def _bind(self, description: SessionDescription, answer: proto.SessionDescription) -> None:
        ours = self.publisher.receiving_mids
        sections = [s for s in description.media if s.mid in ours and not s.rejected]
        try:
            self._receivers.bind(sections, dict(answer.mid_to_track_id))
        except _engine.EngineError as error:
            _logger.warning("answer %d can't be used to receive: %s", answer.id, error)

    def restart_ice(self) -> Callable[[], Coroutine[Any, Any, None]]:
        async def back() -> None:
            self.publisher.restart()
            await self.publisher.link.up()

        return back

    def described(self) -> tuple[proto.SessionDescription | None, proto.SessionDescription | None]:
        return self.publisher.last_offer, self.publisher.last_answer

    def close(self, why: str = "the session ended", reason: str = "session_ended") -> None:
        self._receivers.close()
        self.publisher.close(why, reason)
