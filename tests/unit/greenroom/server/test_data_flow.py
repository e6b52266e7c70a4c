"""When a sender of reliable data is held, and by whom; how senders share a receiver that is behind."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from greenroom.server import Limits, data_flow
from greenroom.server.data_flow import BEHIND_BYTES, LEAST_WINDOW_BYTES, WINDOW_BYTES, SenderFlow
from greenroom.server.data_sender import RELIABLE, DataSender

MESSAGE = bytes(16 * 1024)
PER_BEHIND = BEHIND_BYTES // len(MESSAGE)
CHANNEL = 1


class Sender:
    """Someone whose messages go to receivers, until it is held."""

    def __init__(self, name: bytes = b"") -> None:
        self.message = name + MESSAGE[len(name) :]
        self.windows: list[int] = []
        self.released = [0, 0]
        self.opened = asyncio.Event()
        self.flow = SenderFlow(self)

    def release(self, messages: int, bytes: int) -> None:
        self.released[0] += messages
        self.released[1] += bytes

    def limit_receive_window(self, bytes: int) -> None:
        self.windows.append(bytes)
        if bytes:
            self.opened.set()

    @property
    def held(self) -> bool:
        return bool(self.windows) and self.windows[-1] == 0

    def send(self, *receivers: Receiver) -> None:
        for receiver in receivers:
            receiver.sender.send(RELIABLE, self.message, self.flow)
        self.flow.handled(len(self.message))

    def send_until_held(self, *receivers: Receiver, most: int = 1000) -> int:
        """How many messages that took; `most` when it was not held."""
        for number in range(most):
            if self.held:
                return number
            self.send(*receivers)
        return most


class Receiver:
    def __init__(self, limits: Limits | None = None) -> None:
        self.got: list[bytes] = []
        self.room = 0
        """Messages that its channel still takes."""
        self.counters: Counter[str] = Counter()
        self.sender = DataSender(self._take, limits or Limits(), self.counters)
        self.sender.channel_opened(RELIABLE, CHANNEL)

    def _take(self, _: int, message: bytes) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.got.append(message)
        return True

    def take(self, count: int) -> None:
        self.room += count
        self.sender.writable(CHANNEL)


async def test_who_sends_faster_than_its_receiver_takes_is_held_and_goes_on() -> None:
    sender, slow = Sender(), Receiver()
    assert sender.send_until_held(slow) == PER_BEHIND + 1
    slow.take(PER_BEHIND // 2)
    assert sender.held
    slow.take(1)
    assert sender.windows == [0, WINDOW_BYTES // 2]
    # Each hold halves what may be under way, down to a bound.
    for _ in range(10):
        sender.send_until_held(slow)
        slow.take(PER_BEHIND)
    assert sender.windows[-1] == LEAST_WINDOW_BYTES
    slow.take(10_000)
    for _ in range(4 * WINDOW_BYTES // len(MESSAGE)):
        sender.send(slow)
    assert sender.windows[-6:] == [LEAST_WINDOW_BYTES << n for n in range(6)]
    assert not slow.counters


async def test_what_was_handled_is_released_in_batches() -> None:
    sender, fast = Sender(), Receiver()
    fast.take(1000)
    for _ in range(100):
        sender.send(fast)
    messages, size = sender.released
    assert (messages, size) == (100, 100 * len(MESSAGE))
    assert sender.windows == []


async def test_a_slow_receiver_of_a_broadcast_does_not_hold_the_sender() -> None:
    sender, slow, fast = Sender(), Receiver(), Receiver()
    fast.take(10_000)
    assert sender.send_until_held(slow, fast, most=500) == 500
    slow.take(10_000)
    assert slow.got == fast.got


async def test_a_slow_receiver_of_its_own_stream_does_not_hold_streams_to_others() -> None:
    sender, slow, fast = Sender(), Receiver(), Receiver()
    fast.take(10_000)
    for _ in range(500):
        sender.send(slow)
        sender.send(fast)
    assert not sender.held
    assert len(fast.got) == 500


async def test_a_message_now_and_then_to_somebody_else_does_not_open_the_window() -> None:
    sender, slow, other = Sender(), Receiver(), Receiver()
    other.take(10_000)
    sender.send_until_held(slow)
    for _ in range(20):
        other.sender.send(RELIABLE, bytes(100), sender.flow)
        sender.send(slow)
    assert sender.held


async def test_what_was_sent_for_the_sake_of_others_is_not_held_against_a_slow_one() -> None:
    sender, slow, fast = Sender(), Receiver(), Receiver()
    fast.take(10_000)
    for _ in range(500):
        sender.send(slow, fast)
    # From here on to the slow one alone, which is 8 MB behind: at its pace, without waiting for all of that.
    sender.send_until_held(slow)
    assert sender.held
    slow.take(PER_BEHIND)
    assert not sender.held


async def test_a_stalled_receiver_holds_nobody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_flow, "CHECK_INTERVAL_S", 0.01)
    sender, stalled = Sender(), Receiver(Limits(data_backlog_bytes=4 * BEHIND_BYTES))
    sender.send_until_held(stalled)
    await asyncio.wait_for(sender.opened.wait(), 5)
    assert sender.send_until_held(stalled, most=100) == 100
    assert stalled.counters["data_dropped_receiver_slow"] > 30
    sender.flow.close()


async def test_a_receiver_that_leaves_lets_go() -> None:
    sender, slow = Sender(), Receiver()
    sender.send_until_held(slow)
    slow.sender.close()
    assert not sender.held
    assert not sender.flow.engaged


async def test_senders_to_a_slow_receiver_take_turns() -> None:
    bulk, other, slow = Sender(b"bulk"), Sender(b"other"), Receiver()
    for _ in range(50):
        bulk.send(slow)
    other.send(slow)
    other.send(slow)
    slow.take(5)
    assert [message[:4] for message in slow.got] == [b"bulk", b"othe", b"bulk", b"othe", b"bulk"]


async def test_beyond_the_bound_those_with_more_than_their_share_lose() -> None:
    bulk, other, slow = (
        Sender(b"bulk"),
        Sender(b"other"),
        Receiver(Limits(data_backlog_bytes=len(MESSAGE) * 10)),
    )
    for _ in range(20):
        bulk.send(slow)
    other.send(slow)
    assert slow.counters["data_dropped_receiver_slow"] == 10
    slow.take(100)
    assert Counter(message[:4] for message in slow.got) == {b"bulk": 10, b"othe": 1}
