"""Data packets over the publisher's channels, and those that arrive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from livekit.protocol import models

from greenroom import _engine
from greenroom.signalling.client_description import MAX_MESSAGE_BYTES

from . import participants
from .data_encryption import ENCRYPTABLE, ENCRYPTED, DataDecryptor, seal
from .early_data import EarlyData
from .errors import PublishDataError
from .publisher import LOSSY, RELIABLE, Publisher
from .replay import ReplayBuffer
from .state import ParticipantState
from .turns import Turns
from .waiting import loop_time, wait_future

if TYPE_CHECKING:
    from .session import Session

_logger = logging.getLogger("livekit")

CHANNEL_TIMEOUT_S = 15.0
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Payload bytes of calls that wait for room in a channel; further calls fail at once."""
_SENDS_BETWEEN_YIELDS = 64
_HELD_BYTES = 16 * 1024
"""Bytes of messages that may wait for the end of a turn of the event loop, to go together."""
_ENGINE_WORD_TIMEOUT_S = 1.0
_FLUSH_LIMIT_S = 0.4
_FLUSH_POLL_S = 0.005
_SENDER_TTL_S = 30.0
_MAX_SENDERS = 10_000


class _ChannelGone(Exception):
    """The engine refused a send: the channel, or its connection, is closed."""


class DataSender:
    """One writer per channel: calls go out in the order they were made, and wait while the channel is
    full."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._turns: dict[str, Turns] = {RELIABLE: Turns(), LOSSY: Turns()}
        self._sequence = 0
        """Of the last reliable packet."""
        self._waiting: dict[str, int] = {RELIABLE: 0, LOSSY: 0}
        """Calls that wait for their turn, by channel: while there are any, nobody may overtake."""
        self._waiting_bytes = 0
        self._sent_without_yield = 0
        self._turn_peer: _engine.Peer | None = None
        """Where something was sent to in this turn of the event loop."""
        self._held_bytes = 0
        self._replay = ReplayBuffer()
        self._to_send_again: list[bytes] = []
        """Of a session that was lost: packets that nobody acknowledged."""
        self._doubtful_until = 0
        """The last packet that was sent before the path was known to be silent."""

    async def send(self, packet: models.DataPacket, *, reliable: bool, urgent: bool = False) -> None:
        """Hand one packet to its channel; while reconnecting, wait for the end of that. PublishDataError when
        it is too large, no channel opens, or too much waits already. `urgent` goes before others that wait."""
        if self._session.closed:
            raise PublishDataError("data can't be sent: the room is not connected; connect first")
        local = self._session.state.local.info
        if local.HasField("permission") and not local.permission.can_publish_data:
            # The server would drop it without a word.
            raise PublishDataError(
                f"{local.identity!r} may not send data; grant canPublishData in the token, or change the "
                "participant's permissions"
            )
        label = RELIABLE if reliable else LOSSY
        # An agent may speak for somebody else; servers put anybody else's own name there.
        packet.participant_identity = packet.participant_identity or self._session.state.local.identity
        seal(self._session.encryption, packet)
        size = packet.ByteSize()
        if (
            not self._waiting[label]
            and not self._session.reconnector.active
            and self._session.publisher.link.is_open(self._session.publisher.channels[label])
        ):
            self._check_size(size)
            try:
                if self._try_send(label, packet):
                    await self._yield_sometimes()
                    return
            except _ChannelGone:
                pass  # the way that waits finds out why
        await self._wait_and_send(label, packet, size, urgent)

    async def _wait_and_send(self, label: str, packet: models.DataPacket, size: int, urgent: bool) -> None:
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise PublishDataError(
                f"{self._waiting_bytes} bytes wait for the {label} channel already (limit "
                f"{MAX_WAITING_BYTES}); "
                "await earlier calls before making more"
            )
        self._waiting_bytes += size
        self._waiting[label] += 1
        try:
            await self._turns[label].take(urgent)
            try:
                while not await self._send_when_possible(label, packet, size):
                    await self._reconnected(label)
            finally:
                self._turns[label].release()
        finally:
            self._waiting[label] -= 1
            self._waiting_bytes -= size

    async def _send_when_possible(self, label: str, packet: models.DataPacket, size: int) -> bool:
        """False when the channel was lost and a new one is on its way."""
        await self._reconnected(label)
        publisher = self._session.publisher
        try:
            await self._open(label)
            self._check_size(size)
            while not self._try_send(label, packet):
                await publisher.link.channel_changed(publisher.channels[label])
                if self._session.reconnector.active:
                    return False
        except (_ChannelGone, ConnectionError) as error:
            if self._session.closed or not await self._is_lost(publisher):
                raise PublishDataError(f"the {label} data channel is gone: {error}") from error
            return False
        return True

    async def _is_lost(self, publisher: Publisher) -> bool:
        """Whether the connection has failed. The engine's word on it may come a moment after a refused call."""
        deadline = loop_time() + _ENGINE_WORD_TIMEOUT_S
        while publisher.link.alive and not self._session.reconnector.active:
            if loop_time() > deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    async def _reconnected(self, label: str) -> None:
        try:
            await self._session.reconnector.settled()
        except ConnectionError as error:
            raise PublishDataError(f"the {label} data channel is gone: {error}") from error

    def _try_send(self, label: str, packet: models.DataPacket) -> bool:
        if label == RELIABLE:
            packet.sequence = self._sequence + 1
        data = packet.SerializeToString()
        link, channel = self._session.publisher.link, self._session.publisher.channels[label]
        try:
            sent = self._hand_over(link.peer, channel, data)
        except _engine.EngineError as error:
            raise _ChannelGone(str(error)) from error
        if sent and label == RELIABLE:
            self._sequence += 1
            if self._replay.add(self._sequence, data):
                self._replay.trim(link.peer.buffered_amount(channel))
        return sent

    def _hand_over(self, peer: _engine.Peer, channel: int, data: bytes) -> bool:
        """The first message of a turn of the event loop goes at once; others of the turn follow together."""
        if self._turn_peer is not peer:
            self._turn_peer = peer
            asyncio.get_running_loop().call_soon(self._end_turn, peer)
            return peer.send(channel, data)
        self._held_bytes += len(data)
        hold = self._held_bytes < _HELD_BYTES
        if not hold:
            self._held_bytes = 0
        return peer.send(channel, data, hold=hold)

    def _end_turn(self, peer: _engine.Peer) -> None:
        self._turn_peer = None
        self._held_bytes = 0
        peer.flush()

    # ---- reconnecting ----

    async def replay(self, last_sequence: int) -> None:
        """After a resume: send again what the server has not seen. It drops what it has."""
        await self._send_all(self._replay.after(last_sequence))

    def forget_acknowledged(self) -> None:
        """The path is silent: note what got through while the engine can still tell. What was sent before may have
        arrived all the same, for the way there and the way back can die one by one; nobody can tell."""
        publisher = self._session.publisher
        if publisher.link.alive:
            with contextlib.suppress(_engine.EngineError):
                self._replay.trim(publisher.link.peer.buffered_amount(publisher.channels[RELIABLE]))
        self._doubtful_until = self._sequence

    def session_lost(self) -> None:
        """The session ends, and another follows: its sequence begins anew. What was sent into a path that was
        known to be dead will be sent again. Otherwise nobody can tell what the server passed on before it
        ended the session, and no packet may arrive twice."""
        if self._session.publisher.link.was_silent:
            self._to_send_again += self._replay.after(self._doubtful_until)
        self._replay.take()
        self._sequence = self._doubtful_until = 0

    async def send_again(self) -> None:
        """In the new session, before anything else."""
        while self._to_send_again:
            packet = models.DataPacket.FromString(self._to_send_again[0])
            packet.sequence = self._sequence + 1
            packet.participant_sid = ""
            data = packet.SerializeToString()
            await self._send_all([data])
            self._sequence += 1
            self._replay.add(self._sequence, data)
            del self._to_send_again[0]

    async def _send_all(self, packets: list[bytes]) -> None:
        if not packets:
            return
        await self._open(RELIABLE)
        publisher = self._session.publisher
        channel = publisher.channels[RELIABLE]
        for packet in packets:
            while not publisher.link.peer.send(channel, packet):
                await publisher.link.channel_changed(channel)

    def dropped(self, label: str) -> int:
        """What was given up for newer packets on a lossy channel of this session."""
        publisher = self._session.publisher
        return publisher.link.peer.dropped_messages(publisher.channels[label])

    async def opened(self, label: str) -> None:
        """Wait until a channel can be written to; negotiates when that was not done yet. PublishDataError if it fails."""
        await self._open(label)

    async def flush(self) -> None:
        """Before a polite end: wait, not long, until the server has what was sent reliably."""
        publisher = self._session.publisher
        channel = publisher.channels[RELIABLE]
        deadline = loop_time() + _FLUSH_LIMIT_S
        while publisher.link.is_up and publisher.link.is_open(channel) and loop_time() < deadline:
            try:
                if publisher.link.peer.buffered_amount(channel) == 0:
                    return
            except _engine.EngineError:
                return
            await asyncio.sleep(_FLUSH_POLL_S)

    async def _open(self, label: str) -> None:
        publisher = self._session.publisher
        channel = publisher.channels[label]
        if publisher.link.is_open(channel):
            return
        if not publisher.negotiated:
            publisher.negotiate()
        deadline = loop_time() + CHANNEL_TIMEOUT_S
        while not publisher.link.is_open(channel):
            try:
                await self._changed(label, publisher.link.channel_changed(channel), deadline - loop_time())
            except asyncio.TimeoutError as error:
                raise PublishDataError(
                    f"the {label} data channel did not open within {CHANNEL_TIMEOUT_S:g} s: no "
                    f"publisher media path; "
                    f"ICE is {publisher.link.ice_state}"
                ) from error

    async def _changed(
        self, label: str, future: asyncio.Future[None], timeout_s: float | None = None
    ) -> None:
        try:
            await (future if timeout_s is None else wait_future(future, timeout_s))
        except ConnectionError as error:
            raise PublishDataError(f"the {label} data channel is gone: {error}") from error

    def _check_size(self, size: int) -> None:
        limit = self._session.publisher.link.max_message_size
        limit = MAX_MESSAGE_BYTES if limit is None else limit
        # The sequence number is not set yet; it adds up to 7 bytes.
        if limit and size + 7 > limit:
            raise PublishDataError(
                f"data packet of {size} bytes exceeds the negotiated maximum message size of {limit} bytes; "
                "send less at once, or use a byte stream"
            )

    async def _yield_sometimes(self) -> None:
        # A loop that publishes without ever waiting would starve everything else on the event loop.
        self._sent_without_yield += 1
        if self._sent_without_yield >= _SENDS_BETWEEN_YIELDS:
            self._sent_without_yield = 0
            await asyncio.sleep(0)


_NAMES_ITS_SENDER = frozenset({"user", "sip_dtmf"})
"""Kinds whose event carries the sender's participant object; the others do with its identity."""


class DataReceiver:
    """Turns arriving messages into events by one table; drops what a sender's sequence shows to be a
    repeat."""

    def __init__(self, session: Session, early: EarlyData | None = None) -> None:
        self._session = session
        self.last_sequences: dict[str, tuple[int, float]] = {}
        """Last reliable sequence and when it came, by participant SID."""
        self.handlers: dict[str, Callable[[models.DataPacket, bool], None]] = {
            "user": self._user,
            "sip_dtmf": self._sip_dtmf,
            "transcription": self._transcription,
        }
        """By the name of the packet's value. Others are ignored."""
        self.early = early or EarlyData()
        self._decryptor = DataDecryptor(session)

    def take(self, label: str, data: bytes) -> None:
        """One message from a channel; the label alone says whether it is reliable."""
        if label not in (RELIABLE, LOSSY):
            return
        packet = models.DataPacket()
        try:
            packet.ParseFromString(data)
        except DecodeError as error:
            _logger.warning("skipped a data message of %d bytes that is no DataPacket: %s", len(data), error)
            return
        if label == RELIABLE and self._repeated(packet):
            return
        kind = packet.WhichOneof("value") or ""
        if kind == ENCRYPTED:
            self._decryptor.take(packet, label == RELIABLE, self._decrypted)
            return
        if kind in ENCRYPTABLE:
            participants.data_came(self._session, packet, encrypted=False)
        self._handle(packet, label == RELIABLE)

    def _decrypted(self, packet: models.DataPacket, reliable: bool) -> None:
        participants.data_came(self._session, packet, encrypted=True)
        self._handle(packet, reliable)

    def _handle(self, packet: models.DataPacket, reliable: bool) -> None:
        kind = packet.WhichOneof("value") or ""
        handler = self.handlers.get(kind)
        if handler is None:
            return
        identity, sid = packet.participant_identity, packet.participant_sid
        unknown = kind in _NAMES_ITS_SENDER and bool(identity) and self._sender(packet) is None
        if unknown and self.early.hold(identity, sid, packet.ByteSize(), partial(handler, packet, reliable)):
            return
        handler(packet, reliable)

    def start_anew(self) -> None:
        """Another session follows: senders count from 1 again, and what is held has lost its sender."""
        self.last_sequences.clear()
        self.early.close()
        self._decryptor.close()

    def close(self) -> None:
        self.early.close()
        self._decryptor.close()

    def _repeated(self, packet: models.DataPacket) -> bool:
        sid, sequence = packet.participant_sid, packet.sequence
        if not sid or not sequence:
            return False
        now = loop_time()
        last = self.last_sequences.get(sid)
        if last is not None and now - last[1] < _SENDER_TTL_S and sequence <= last[0]:
            return True
        if last is None and len(self.last_sequences) >= _MAX_SENDERS:
            fresh = {s: v for s, v in self.last_sequences.items() if now - v[1] < _SENDER_TTL_S}
            self.last_sequences = fresh if len(fresh) < _MAX_SENDERS else {}
        self.last_sequences[sid] = (sequence, now)
        return False

    def _sender(self, packet: models.DataPacket) -> ParticipantState | None:
        state = self._session.state
        return state.participant(identity=packet.participant_identity, sid=packet.participant_sid)

    def _user(self, packet: models.DataPacket, reliable: bool) -> None:
        user = packet.user
        sender = self._session.state.participant(
            identity=packet.participant_identity or user.participant_identity,
            sid=packet.participant_sid or user.participant_sid,
        )
        topic = user.topic if user.HasField("topic") else None
        facade = None if sender is None else sender.facade
        session = self._session
        session.emit("data_received", session.facade.make_data_packet(user.payload, reliable, facade, topic))

    def _sip_dtmf(self, packet: models.DataPacket, _: bool) -> None:
        sender = self._sender(packet)
        if sender is None and packet.participant_identity:
            return
        facade = None if sender is None else sender.facade
        tone = packet.sip_dtmf
        self._session.emit("sip_dtmf_received", self._session.facade.make_dtmf(tone.code, tone.digit, facade))

    def _transcription(self, packet: models.DataPacket, _: bool) -> None:
        transcription = packet.transcription
        participant = self._session.state.participant(identity=transcription.transcribed_participant_identity)
        publication = None if participant is None else participant.publications.get(transcription.track_id)
        self._session.emit(
            "transcription_received",
            [self._session.facade.make_segment(segment) for segment in transcription.segments],
            None if participant is None else participant.facade,
            None if publication is None else publication.facade,
        )
