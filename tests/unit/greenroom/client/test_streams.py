"""Data streams of a client: what it sends, what readers get, and who can spoil it."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from client_fakes import TIMEOUT_S, FakePeers, SignalServer, participant
from livekit.protocol import models

from greenroom import _engine
from greenroom.client import streams_incoming
from greenroom.signalling.stream_framing import CHUNK_BYTES, DEFLATE_CAPABILITY, deflate
from livekit import rtc

Stream = models.DataStream


class Wire:
    """What peers send to our client and get from it."""

    def __init__(self, peers: FakePeers) -> None:
        self._peers = peers
        peers.subscriber.fire(_engine.CHANNEL_OPEN, (10, "_reliable"))

    def deliver(self, sender: str = "bob", **value: Any) -> None:
        packet = models.DataPacket(participant_identity=sender, participant_sid=f"PA_{sender}", **value)
        self._peers.subscriber.fire(_engine.CHANNEL_MESSAGE, (10, packet.SerializeToString()))

    def open(self, stream_id: str = "s", sender: str = "bob", name: str | None = None, **fields: Any) -> None:
        kind: dict[str, Any] = {"text_header": {}} if name is None else {"byte_header": {"name": name}}
        header = Stream.Header(stream_id=stream_id, topic="t", **kind, **fields)
        self.deliver(sender, stream_header=header)

    def chunk(self, index: int, content: bytes, stream_id: str = "s", sender: str = "bob") -> None:
        chunk = Stream.Chunk(stream_id=stream_id, chunk_index=index, content=content)
        self.deliver(sender, stream_chunk=chunk)

    def end(self, stream_id: str = "s", sender: str = "bob", **fields: Any) -> None:
        self.deliver(sender, stream_trailer=Stream.Trailer(stream_id=stream_id, **fields))

    @property
    def sent(self) -> list[models.DataPacket]:
        return [models.DataPacket.FromString(data) for _, data in self._peers.publisher.sent]


class Handed:
    """Readers that the room handed out."""

    def __init__(self, room: rtc.Room) -> None:
        self.texts: list[tuple[rtc.TextStreamReader, str]] = []
        self.bytes: list[tuple[rtc.ByteStreamReader, str]] = []
        room.register_text_stream_handler("t", lambda *args: self.texts.append(args))
        room.register_byte_stream_handler("t", lambda *args: self.bytes.append(args))


@pytest.fixture
async def room(server: SignalServer, peers: FakePeers) -> AsyncIterator[rtc.Room]:
    modern = {"client_protocol": 2, "capabilities": [DEFLATE_CAPABILITY]}
    server.join.other_participants.append(participant("bob", **modern))
    server.join.other_participants.append(participant("old", client_protocol=0))
    room = rtc.Room()
    await room.connect(server.url, "token")
    yield room
    await room.disconnect()


@pytest.fixture
def handed(room: rtc.Room) -> Handed:
    return Handed(room)


@pytest.fixture
def wire(room: rtc.Room, handed: Handed, peers: FakePeers) -> Wire:
    return Wire(peers)


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


# ---- receiving ----


async def test_pieces_are_read_as_they_come(wire: Wire, handed: Handed) -> None:
    await settle()
    wire.open(attributes={"a": "1"}, timestamp=5, total_length=7, mime_type="text/plain")
    reader, sender = handed.texts[0]
    assert (sender, reader.info.size, reader.info.timestamp) == ("bob", 7, 5)
    first = asyncio.ensure_future(reader.__anext__())
    await settle()
    wire.chunk(0, b"abc")
    assert await asyncio.wait_for(first, TIMEOUT_S) == "abc"
    wire.chunk(1, b"")
    wire.chunk(2, b"defg")
    wire.end(attributes={"b": "2"})
    assert [piece async for piece in reader] == ["defg"]
    assert reader.info.attributes == {"a": "1", "b": "2"}
    assert [piece async for piece in reader] == []


async def test_nobody_else_can_write_into_a_stream(wire: Wire, handed: Handed) -> None:
    await settle()
    wire.open()
    wire.chunk(0, b"good")
    wire.chunk(1, b"evil", sender="old")
    wire.end(sender="old", reason="evil")
    wire.open(sender="old")
    wire.chunk(0, b"own", sender="old")
    wire.open()
    wire.chunk(1, b" still")
    wire.end()
    wire.end(sender="old")
    assert [(await reader.read_all(), sender) for reader, sender in handed.texts] == [
        ("good still", "bob"),
        ("own", "old"),
    ]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda wire: wire.chunk(2, b"x"), "chunk 1 is missing"),
        (lambda wire: wire.chunk(1, b"xxxxxxxxxx"), "exceeded total length"),
        (lambda wire: wire.end(), "incomplete"),
        (lambda wire: wire.end(reason="why"), "stream closed abnormally: why"),
        (lambda wire: wire.chunk(1, b"\xff"), "no UTF-8"),
    ],
)
async def test_what_came_is_read_before_a_fault_is_raised(
    wire: Wire, handed: Handed, spoil: Any, message: str
) -> None:
    await settle()
    wire.open(total_length=5)
    wire.chunk(0, b"abc")
    spoil(wire)
    wire.chunk(1, b"de")
    wire.end()
    reader = handed.texts[0][0]
    assert await reader.__anext__() == "abc"
    for _ in range(2):
        with pytest.raises(rtc.StreamError, match=message):
            await reader.__anext__()


async def test_a_sender_that_leaves_ends_its_streams(
    wire: Wire, handed: Handed, server: SignalServer, room: rtc.Room
) -> None:
    await settle()
    wire.open()
    wire.open(sender="old")
    wire.chunk(0, b"abc")
    reading = asyncio.ensure_future(handed.texts[0][0].read_all())
    gone = participant("bob", state=models.ParticipantInfo.DISCONNECTED)
    await (await server.connection()).update(gone)
    with pytest.raises(rtc.StreamError, match="Participant bob unexpectedly disconnected in the middle"):
        await asyncio.wait_for(reading, TIMEOUT_S)
    wire.end(sender="old")
    assert await handed.texts[1][0].read_all() == ""


async def test_our_own_end_ends_readers_after_what_came(wire: Wire, handed: Handed, room: rtc.Room) -> None:
    await settle()
    wire.open()
    wire.chunk(0, b"abc")
    await room.disconnect()
    reader = handed.texts[0][0]
    assert await reader.__anext__() == "abc"
    with pytest.raises(rtc.StreamError, match="Disconnected while receiving"):
        await reader.__anext__()


async def test_hostile_names_reserved_topics_and_unknown_topics_reach_no_handler(
    wire: Wire, handed: Handed
) -> None:
    await settle()
    wire.open(name="../../etc/passwd")
    wire.open("good", name="passwd")
    wire.deliver(stream_header=Stream.Header(stream_id="u", topic="unknown", text_header={}))
    wire.deliver(stream_header=Stream.Header(stream_id="r", topic="lk.rpc_response", text_header={}))
    assert [reader.info.stream_id for reader, _ in handed.bytes] == ["good"]
    assert handed.texts == []


async def test_a_whole_stream_in_one_packet(wire: Wire, handed: Handed) -> None:
    await settle()
    wire.open(inline_content=b"abc", total_length=3)
    wire.open("z", name="f", inline_content=deflate(b"abc"), compression=Stream.CompressionType.DEFLATE_RAW)
    wire.open("e", inline_content=b"")
    wire.open("l", inline_content=b"abc", total_length=4)
    assert await handed.texts[0][0].read_all() == "abc"
    assert [piece async for piece in handed.bytes[0][0]] == [b"abc"]
    assert await handed.texts[1][0].read_all() == ""
    with pytest.raises(rtc.StreamError, match="incomplete"):
        await handed.texts[2][0].read_all()


async def test_a_slow_reader_loses_its_own_stream_only(
    wire: Wire, handed: Handed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_incoming, "MAX_UNREAD_BYTES", 10_000)
    await settle()
    wire.open("slow", name="f")
    wire.open("quick", name="f")
    (slow, _), (quick, _) = handed.bytes
    for index in range(20):
        wire.chunk(index, bytes(1000), "slow")
        wire.chunk(index, bytes(1000), "quick")
        assert len(await quick.__anext__()) == 1000
    with pytest.raises(rtc.StreamError, match="the reader is too slow"):
        await slow.__anext__()
    wire.end("quick")
    assert [piece async for piece in quick] == []


async def test_a_closed_or_dropped_reader_frees_what_it_left_unread(
    wire: Wire, handed: Handed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_incoming, "MAX_UNREAD_BYTES", 10_000)
    await settle()
    for number in range(10):
        wire.open(f"{number}", name="f")
        wire.chunk(0, bytes(4000), f"{number}")
        reader, _ = handed.bytes.pop()
        if number % 2:
            wire.end(f"{number}")
        else:
            reader.close()
            assert [piece async for piece in reader] == []
        del reader
    wire.open("last", name="f")
    wire.chunk(0, bytes(9000), "last")
    assert len(await handed.bytes[0][0].__anext__()) == 9000


async def test_handlers_are_one_per_topic_and_kind(room: rtc.Room, handed: Handed) -> None:
    with pytest.raises(ValueError, match="text stream handler for topic 't' already set"):
        room.register_text_stream_handler("t", lambda *_: None)
    room.unregister_text_stream_handler("t")
    room.unregister_text_stream_handler("never")
    room.register_text_stream_handler("t", lambda *_: None)
    with pytest.raises(ValueError, match="byte stream handler for topic 't' already set"):
        room.register_byte_stream_handler("t", lambda *_: None)


# ---- sending ----


async def test_a_written_text_is_split_between_characters_and_named_destinations_get_it_all(
    room: rtc.Room, wire: Wire
) -> None:
    text = "€" * 7_000
    writer = await room.local_participant.stream_text(
        topic="t", destination_identities=["bob"], attributes={"a": "1"}, reply_to_id="r", stream_id="mine"
    )
    await writer.write(text)
    await writer.aclose(attributes={"b": "2"})
    header, *chunks, trailer = wire.sent
    assert all(list(packet.destination_identities) == ["bob"] for packet in wire.sent)
    assert header.stream_header.text_header.reply_to_stream_id == "r"
    assert (writer.info.stream_id, header.stream_header.stream_id) == ("mine", "mine")
    assert [packet.stream_chunk.chunk_index for packet in chunks] == [0, 1]
    assert all(len(packet.stream_chunk.content) <= CHUNK_BYTES for packet in chunks)
    assert "".join(packet.stream_chunk.content.decode() for packet in chunks) == text
    assert (trailer.stream_trailer.reason, dict(trailer.stream_trailer.attributes)) == ("", {"b": "2"})
    with pytest.raises(RuntimeError, match="Cannot write after stream is closed"):
        await writer.write("x")
    with pytest.raises(RuntimeError, match="Stream already closed"):
        await writer.aclose()


async def test_concurrent_writes_stay_whole_under_back_pressure(
    room: rtc.Room, wire: Wire, peers: FakePeers
) -> None:
    writer = await room.local_participant.stream_bytes("n", topic="t", total_size=90_000)
    peers.publisher.full = True
    writes = [asyncio.ensure_future(writer.write(bytes([n]) * 30_000)) for n in range(3)]
    await settle()
    assert len(wire.sent) == 1, "nothing is queued beyond the channel"
    assert not any(write.done() for write in writes)
    peers.publisher.full = False
    peers.publisher.fire(_engine.CHANNEL_WRITABLE, 1)
    await asyncio.wait_for(asyncio.gather(*writes), TIMEOUT_S)
    await writer.aclose()
    content = b"".join(packet.stream_chunk.content for packet in wire.sent[1:-1])
    assert content == b"".join(bytes([n]) * 30_000 for n in range(3))
    assert wire.sent[0].stream_header.total_length == 90_000


async def test_everyone_modern_gets_one_packet_and_others_get_pieces(room: rtc.Room, wire: Wire) -> None:
    me = room.local_participant
    await me.send_text("hi", topic="t", destination_identities=["bob"])
    await me.send_text("hi " * 10_000, topic="t", destination_identities=["bob"])
    await me.send_text("hi", topic="t")
    await me.send_text("hi", topic="t", destination_identities=["nobody"])
    kinds = [packet.WhichOneof("value") for packet in wire.sent]
    pieces = ["stream_header", "stream_chunk", "stream_trailer"]
    assert kinds == ["stream_header", "stream_header", *pieces, *pieces]
    assert wire.sent[0].stream_header.inline_content == b"hi"
    assert wire.sent[1].stream_header.inline_content == deflate(b"hi " * 10_000)
    assert wire.sent[1].stream_header.total_length == 30_000


async def test_files_are_sent_whole_and_compressed_only_where_it_helps(
    room: rtc.Room, wire: Wire, tmp_path: Path
) -> None:
    file = tmp_path / "words.txt"
    file.write_bytes(b"words " * 100_000)
    info = await room.local_participant.send_file(str(file), topic="t", destination_identities=["bob"])
    assert (info.name, info.mime_type, info.size) == ("words.txt", "text/plain", 600_000)
    header, *chunks, _ = wire.sent
    assert header.stream_header.compression == Stream.CompressionType.DEFLATE_RAW
    assert b"".join(p.stream_chunk.content for p in chunks) == deflate(file.read_bytes())
    await room.local_participant.send_file(str(file), topic="t")
    assert wire.sent[-1].stream_trailer.reason == ""
    assert sum(len(p.stream_chunk.content) for p in wire.sent) > 600_000
    with pytest.raises(FileNotFoundError):
        await room.local_participant.send_file(str(tmp_path / "missing"))


async def test_a_file_takes_little_memory_whatever_its_size(
    room: rtc.Room, peers: FakePeers, tmp_path: Path
) -> None:
    file = tmp_path / "large.bin"
    size = 64 * 1024 * 1024
    with file.open("wb") as writing:
        writing.truncate(size)
    sent_bytes = 0

    def send(channel: int, data: bytes, *, hold: bool = False) -> bool:
        nonlocal sent_bytes
        sent_bytes += len(data)
        return True

    peers.publisher.send = send  # type: ignore[method-assign]
    # Nothing is acknowledged at once: what might be sent again is kept, within its bound.
    peers.publisher.unacknowledged = 500_000
    tracemalloc.start()
    try:
        await room.local_participant.send_file(str(file), topic="t", compress=False)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent_bytes > size
    assert peak_bytes < 8_000_000


async def test_a_header_that_is_too_large_says_so(room: rtc.Room) -> None:
    with pytest.raises(rtc.StreamError, match="stream header exceeds maximum size"):
        await room.local_participant.send_text("x", topic="t", attributes={"a": "x" * 20_000})


async def test_a_dropped_writer_ends_its_stream_as_broken(room: rtc.Room, wire: Wire) -> None:
    writer = await room.local_participant.stream_text(topic="t")
    await writer.write("half")
    del writer
    await settle()
    assert "dropped" in wire.sent[-1].stream_trailer.reason


async def test_sending_after_the_end_is_a_stream_error(room: rtc.Room) -> None:
    writer = await room.local_participant.stream_text(topic="t")
    await room.disconnect()
    with pytest.raises(rtc.StreamError):
        await writer.write("x")
    with pytest.raises(rtc.StreamError):
        await room.local_participant.send_text("x")
