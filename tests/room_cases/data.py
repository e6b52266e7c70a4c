"""Data packets: order, loss, destinations, sizes and senders."""

from __future__ import annotations

import asyncio

import pytest
from room_tools import Rooms, running, within

from livekit import rtc
from livekit.rtc.participant import PublishDataError


async def test_data_keeps_order_topic_kind_and_sender(rooms: Rooms) -> None:
    sender, own = await rooms.join("sender")
    receiver, events = await rooms.join("receiver")
    for number in range(200):
        await within(sender.local_participant.publish_data(f"{number}", topic="numbers"))
    await events.wait("data_received", count=200)
    packets = [args[0] for args in events.of("data_received")]
    assert [p.data for p in packets] == [f"{n}".encode() for n in range(200)]
    assert {p.topic for p in packets} == {"numbers"}
    assert {p.kind for p in packets} == {rtc.DataPacketKind.KIND_RELIABLE}
    assert {p.participant for p in packets} == {receiver.remote_participants["sender"]}
    assert own.of("data_received") == []


async def test_lossy_data_and_an_empty_payload(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("receiver")

    async def repeat() -> None:
        while True:
            await sender.local_participant.publish_data(b"", reliable=False)
            await asyncio.sleep(0.02)

    task = asyncio.ensure_future(repeat())
    packet = (await events.wait("data_received"))[0]
    task.cancel()
    await asyncio.wait([task])
    assert (packet.data, packet.kind) == (b"", rtc.DataPacketKind.KIND_LOSSY)


async def test_the_latest_lossy_packets_win_and_the_others_are_counted(rooms: Rooms) -> None:
    sender, own = await rooms.join("sender")
    _, events = await rooms.join("receiver")
    await own.wait("participant_active")
    local = sender.local_participant
    for number in range(400):
        await local.publish_data(number.to_bytes(2, "big") + bytes(50_000), reliable=False)
    dropped = local.dropped_lossy_packets
    assert dropped > 0

    async def repeat() -> None:
        while True:
            await asyncio.sleep(0.02)
            await local.publish_data(b"last", reliable=False)

    async with running(repeat()):
        await events.wait("data_received", lambda packet: packet.data == b"last")
    packets = [packet.data for (packet,) in events.of("data_received")]
    numbers = [int.from_bytes(data[:2], "big") for data in packets if data != b"last"]
    assert numbers == sorted(numbers)
    assert len(numbers) <= 400 - dropped
    assert numbers[-1] > 300


async def test_data_reaches_only_its_destinations(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, one = await rooms.join("one")
    _, two = await rooms.join("two")
    _, three = await rooms.join("three")
    publish = sender.local_participant.publish_data
    await within(publish(b"for two and three", destination_identities=["two", "three", "nobody"]))
    await within(publish(b"for all"))
    for events, expected in ((one, [b"for all"]), (two, [b"for two and three", b"for all"]), (three, None)):
        await events.wait("data_received", lambda p: p.data == b"for all")
        if expected is not None:
            assert [args[0].data for args in events.of("data_received")] == expected
    assert len(three.of("data_received")) == 2


async def test_the_largest_packet_passes_and_a_larger_one_is_refused(rooms: Rooms) -> None:
    sender, _ = await rooms.join("sender")
    _, events = await rooms.join("receiver")
    with pytest.raises(PublishDataError, match="70"):
        await within(sender.local_participant.publish_data(bytes(70_000)))
    largest = bytes(range(256)) * 234  # 59,904 bytes
    await within(sender.local_participant.publish_data(largest))
    assert (await events.wait("data_received"))[0].data == largest


async def test_data_flows_both_ways_at_once(rooms: Rooms) -> None:
    a, a_events = await rooms.join("a")
    b, b_events = await rooms.join("b")

    async def send(room: rtc.Room, mark: bytes) -> None:
        for number in range(50):
            await room.local_participant.publish_data(mark + b"%d" % number * 200)

    await within(asyncio.gather(send(a, b"a"), send(b, b"b")))
    await a_events.wait("data_received", count=50)
    await b_events.wait("data_received", count=50)
    assert [args[0].data for args in b_events.of("data_received")] == [
        b"a" + b"%d" % n * 200 for n in range(50)
    ]


async def test_what_was_sent_before_leaving_arrives(rooms: Rooms) -> None:
    sizes = {"small": 10, "large": 20_000}
    senders = {name: (await rooms.join(name))[0] for name in sizes}
    _, events = await rooms.join("receiver")
    for visit, (name, size) in enumerate(sizes.items(), 1):
        for number in range(20):
            await within(senders[name].local_participant.publish_data(bytes([number]) * size))
        await senders[name].disconnect()
        await events.wait("participant_disconnected", count=visit)
    received = [args[0].data for args in events.of("data_received")]
    assert [data[0] for data in received] == [*range(20), *range(20)]
    assert [len(data) for data in received] == [10] * 20 + [20_000] * 20


async def test_a_hidden_participants_data_has_no_sender_that_is_unknown(rooms: Rooms) -> None:
    receiver, events = await rooms.join("receiver")
    hidden, _ = await rooms.join("hidden", hidden=True)
    await within(hidden.local_participant.publish_data(b"from nowhere"))
    packet = (await events.wait("data_received"))[0]
    assert packet.data == b"from nowhere"
    assert packet.participant is None
    assert receiver.remote_participants == {}
