"""Where a data packet goes, in the order of checks that livekit-server makes.

Known fields are changed in the parsed message, which keeps the unknown ones: newer clients' packets
pass unharmed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from livekit.protocol import models

from .data_flow import SenderFlow
from .data_sender import LOSSY, RELIABLE

if TYPE_CHECKING:
    from .participant import Participant
    from .room import Room

_logger = logging.getLogger("greenroom.server")

NONCE_BYTES = 16
REMEMBERED_NONCES = 100

_KINDS = {RELIABLE: models.DataPacket.Kind.RELIABLE, LOSSY: models.DataPacket.Kind.LOSSY}


@dataclass(frozen=True)
class _Cached:
    """A sequenced packet that somebody who is just joining has missed."""

    sender_sid: str
    sequence: int
    flow: SenderFlow
    destinations: frozenset[str]
    encoded: bytes


class DataRouter:
    """The data packets of one room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._kept: deque[_Cached] = deque()
        """For those in `_missed`: empty when nobody is joining. Beyond `Limits.replay_bytes` the oldest goes."""
        self._kept_bytes = 0
        self._missed: dict[str, dict[str, int]] = {}
        """Receiver SID to sender SID to the first sequence it missed while its channels were not open."""
        self._nonces: deque[bytes] = deque(maxlen=REMEMBERED_NONCES)

    def receive(self, sender: Participant, label: str, message: bytes) -> None:
        """A message that `sender` wrote on the channel `label`."""
        if label not in _KINDS or sender.closed or not sender.permission.can_publish_data:
            return
        counters = self._room.counters
        if len(message) > self._room.config.limits.data_message_bytes:
            counters["data_dropped_oversize"] += 1
            _logger.info("data packet of %d bytes from %s dropped: too large", len(message), sender.identity)
            return
        try:
            packet = models.DataPacket.FromString(message)
        except DecodeError:
            counters["data_dropped_malformed"] += 1
            _logger.info("data packet from %s dropped: it can't be decoded", sender.identity)
            return
        if label == RELIABLE and packet.sequence and not self._is_new(sender, packet.sequence):
            counters["data_dropped_repeated"] += 1
            return
        packet.participant_sid = sender.sid
        packet.kind = _KINDS[label]
        self._route(sender, label, packet)

    def send_from_server(self, label: str, packet: models.DataPacket) -> None:
        """A packet of the server's API: nobody's, in no sequence, to all that it names and are connected."""
        user = packet.user
        if self._is_repeated_nonce(user.nonce):
            return
        packet.kind = _KINDS[label]
        destinations = frozenset((*packet.destination_identities, *user.destination_sids))
        encoded = packet.SerializeToString()
        for receiver in self._receivers(None, destinations):
            if receiver.state == models.ParticipantInfo.State.ACTIVE:
                receiver.data.send(label, encoded)

    def _is_new(self, sender: Participant, sequence: int) -> bool:
        if sequence <= sender.last_reliable_sequence:
            return False
        sender.last_reliable_sequence = sequence
        return True

    def _route(self, sender: Participant, label: str, packet: models.DataPacket) -> None:
        value = packet.WhichOneof("value") or ""
        if _answers_the_server(sender, packet):
            return
        identity = "" if sender.hidden else sender.identity
        if value == "metrics":
            packet.participant_identity = identity
            self._pass_metrics(sender, label, packet)
            return
        rule = _RULES.get(value, _attribute)
        if not rule(sender, identity, packet):
            self._room.counters["data_dropped_not_allowed"] += 1
            return
        if value == "user" and self._is_repeated_nonce(packet.user.nonce):
            return
        self._room.announce(sender)
        destinations = frozenset(packet.destination_identities)
        destination_sids = frozenset(packet.user.destination_sids) if value == "user" else frozenset()
        encoded = packet.SerializeToString()
        sequence = packet.sequence if label == RELIABLE else 0
        missed = False
        for receiver in self._receivers(sender, destinations | destination_sids):
            if sequence and not receiver.data.established:
                missed = True
                self._missed.setdefault(receiver.sid, {}).setdefault(sender.sid, sequence)
            else:
                receiver.data.send(label, encoded, sender.flow)
        if missed:
            self._keep(_Cached(sender.sid, sequence, sender.flow, destinations | destination_sids, encoded))

    def _pass_metrics(self, sender: Participant, label: str, packet: models.DataPacket) -> None:
        """To those that may have them and are subscribed to the sender, as livekit-server's code says; it collects them
        first, and is built without that."""
        encoded = packet.SerializeToString()
        for receiver in self._receivers(sender, frozenset()):
            if (
                receiver.permission.can_subscribe_metrics
                and sender.sid in receiver.subscriptions.publisher_sids()
            ):
                receiver.data.send(label, encoded, sender.flow)

    def _is_repeated_nonce(self, nonce: bytes) -> bool:
        if len(nonce) != NONCE_BYTES:
            return False
        if nonce in self._nonces or not any(nonce):
            self._room.counters["data_dropped_repeated"] += 1
            return True
        self._nonces.append(nonce)
        return False

    def _receivers(self, sender: Participant | None, destinations: frozenset[str]) -> list[Participant]:
        return [
            p
            for p in self._room.started_participants()
            if p is not sender and (not destinations or p.identity in destinations or p.sid in destinations)
        ]

    # ---- participants that are just joining ----

    def _keep(self, cached: _Cached) -> None:
        self._kept.append(cached)
        self._kept_bytes += len(cached.encoded)
        while self._kept_bytes > self._room.config.limits.replay_bytes:
            self._kept_bytes -= len(self._kept.popleft().encoded)
            self._room.counters["data_dropped_joining"] += 1

    def established(self, receiver: Participant) -> None:
        """The receiver's channels opened: what it missed of each sender follows, then everything as it
        comes.
        """
        missed = self._missed.get(receiver.sid, {})
        for cached in self._kept if missed else ():
            first = missed.get(cached.sender_sid)
            if first is None or cached.sequence < first:
                continue
            if not cached.destinations or cached.destinations & {receiver.identity, receiver.sid}:
                receiver.data.send(RELIABLE, cached.encoded, cached.flow)
        self.forget(receiver)

    def forget(self, participant: Participant) -> None:
        """The participant misses nothing any more: it has everything, or is gone."""
        self._missed.pop(participant.sid, None)
        if not self._missed:
            self._kept.clear()
            self._kept_bytes = 0


# ---- one rule per kind of packet: set who it is from; False drops it ----

_Rule = Callable[["Participant", str, models.DataPacket], bool]


def _attribute(_: Participant, identity: str, packet: models.DataPacket) -> bool:
    packet.participant_identity = identity
    return True


def _user(sender: Participant, identity: str, packet: models.DataPacket) -> bool:
    user = packet.user
    user.participant_identity = identity
    user.participant_sid = "" if sender.hidden else sender.sid
    # Old clients name the destinations inside, new ones outside; both places then say the same.
    if user.destination_identities and not packet.destination_identities:
        packet.destination_identities.extend(user.destination_identities)
    elif packet.destination_identities and not user.destination_identities:
        user.destination_identities.extend(packet.destination_identities)
    return _attribute(sender, identity, packet)


def _transcription(sender: Participant, identity: str, packet: models.DataPacket) -> bool:
    return sender.is_agent and _attribute(sender, identity, packet)


def _chat_message(sender: Participant, identity: str, packet: models.DataPacket) -> bool:
    if _speaks_for_another(sender, packet):
        packet.chat_message.generated = True
        return True
    return _attribute(sender, identity, packet)


def _stream_header(sender: Participant, identity: str, packet: models.DataPacket) -> bool:
    sender.room.tell("stream_begun", packet)
    is_text = packet.stream_header.WhichOneof("content_header") == "text_header"
    if is_text and _speaks_for_another(sender, packet):
        packet.stream_header.text_header.generated = True
        return True
    return _attribute(sender, identity, packet)


def _answers_the_server(sender: Participant, packet: models.DataPacket) -> bool:
    """Whether the packet belongs to a call that the server made; nobody else is to see it then."""
    if packet.HasField("rpc_ack"):
        return sender.calls.acknowledge(packet.rpc_ack.request_id)
    return packet.HasField("rpc_response") and sender.calls.answer(packet.rpc_response)


def _speaks_for_another(sender: Participant, packet: models.DataPacket) -> bool:
    named = packet.participant_identity
    return sender.is_agent and bool(named) and named != sender.identity


_RULES: dict[str, _Rule] = {
    "user": _user,
    "transcription": _transcription,
    "chat_message": _chat_message,
    "stream_header": _stream_header,
}
"""All other kinds, unknown ones included, are forwarded under the sender's identity; metrics go their own way."""
