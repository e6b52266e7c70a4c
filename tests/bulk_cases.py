"""Calls beside a large stream to the same participant: cases that hold on every server. `rooms` is the fixture that joins."""

from __future__ import annotations

import asyncio

import pytest
from room_tools import Rooms, within

from livekit import rtc


async def test_calls_are_not_stuck_behind_a_hundred_megabytes(rooms: Rooms) -> None:
    first, events = await rooms.join("first")
    second, _ = await rooms.join("second")
    await events.wait("participant_active")
    second.local_participant.register_rpc_method("echo", lambda data: data.payload)
    received, flowing = 0, asyncio.Event()

    async def read(reader: rtc.ByteStreamReader) -> None:
        nonlocal received
        async for piece in reader:
            received += len(piece)
            if received > 3_000_000:
                flowing.set()

    reading: list[asyncio.Future[None]] = []
    second.register_byte_stream_handler("bulk", lambda r, _: reading.append(asyncio.ensure_future(read(r))))
    total = 100_000_000
    writer = await first.local_participant.stream_bytes("bulk", total_size=total, topic="bulk")
    writing = asyncio.ensure_future(writer.write(bytes(total)))
    await within(flowing.wait())
    for number in range(10):
        answer = await within(
            first.local_participant.perform_rpc(
                destination_identity="second", method="echo", payload=str(number)
            )
        )
        assert answer == str(number)
    # All came back while most of the stream was still to be sent.
    assert not writing.done()
    assert received < total / 2
    writing.cancel()
    await asyncio.wait([writing])
    await writer.aclose(reason="enough")
    with pytest.raises(rtc.StreamError, match="enough"):
        await within(reading[0])
