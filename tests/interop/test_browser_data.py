"""Data, remote calls, text and byte streams, transcriptions, chat messages and metrics between livekit-client in Chromium and
our SDK, on the embedded server, over one peer connection and two."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit.protocol import models
from room_tools import Events, Packets, microphone, send_packet, within

from livekit import rtc

from .browser import Page
from .browser.rooms import SINGLE, TWO, BrowserRooms, OpenPage
from .servers import RoomServer

FILE_BYTES = 300_000
LONG = "words " * 20_000


@pytest.fixture
async def rooms(embedded: RoomServer, open_page: OpenPage) -> AsyncIterator[BrowserRooms]:
    rooms = BrowserRooms(embedded, open_page)
    yield rooms
    await rooms.leave()


@pytest.fixture(params=[TWO, SINGLE], ids=["two", "single"])
async def pair(request: pytest.FixtureRequest, rooms: BrowserRooms) -> tuple[rtc.Room, Events, Page]:
    """Our SDK and a browser in one room."""
    alice, events = await rooms.join("alice")
    page = await rooms.browse("browser", **request.param)
    await events.wait("participant_active")
    return alice, events, page


Pair = tuple[rtc.Room, Events, Page]


def content(size: int) -> bytes:
    return bytes(index % 251 for index in range(size))


async def test_data_goes_both_ways_in_order(pair: Pair) -> None:
    alice, events, page = pair
    for number in range(50):
        await alice.local_participant.publish_data(f"python {number}", topic="count")
        await page.call("sendData", f"javascript {number}", "count")
    packets = await page.call("got", "packets", 50)
    assert [packet[:3] for packet in packets] == [[f"python {n}", "alice", "count"] for n in range(50)]
    await events.wait("data_received", count=50)
    received = [packet for (packet,) in events.of("data_received")]
    assert [packet.data.decode() for packet in received] == [f"javascript {n}" for n in range(50)]
    assert {(packet.topic, packet.participant.identity) for packet in received} == {("count", "browser")}


async def test_lossy_data_and_data_for_one_alone(pair: Pair, rooms: BrowserRooms) -> None:
    alice, events, page = pair
    third = await rooms.browse("third")
    await third.call("sendData", "for alice", "private", True, ["alice"])
    await alice.local_participant.publish_data("for third", topic="private", destination_identities=["third"])
    await page.call("sendData", "lossy of javascript", "all", False)
    await alice.local_participant.publish_data("lossy of python", topic="all", reliable=False)
    (packet,) = await events.wait("data_received", lambda packet: packet.topic == "all")
    assert (packet.kind, packet.data) == (rtc.DataPacketKind.KIND_LOSSY, b"lossy of javascript")
    (packet,) = await events.wait("data_received", lambda packet: packet.topic == "private")
    assert (packet.data, packet.participant.identity) == (b"for alice", "third")
    got = {tuple(packet[:3]) for packet in await third.call("got", "packets", 3)}
    assert got == {
        ("for third", "alice", "private"),
        ("lossy of python", "alice", "all"),
        ("lossy of javascript", "browser", "all"),
    }
    assert [packet[0] for packet in await page.call("got", "packets", 1)] == ["lossy of python"]


async def test_calls_go_both_ways_and_so_do_their_errors(pair: Pair) -> None:
    alice, _, page = pair
    local = alice.local_participant

    async def greet(data: rtc.RpcInvocationData) -> str:
        if data.payload == "fail":
            raise rtc.RpcError(2001, "not today", "details")
        return f"alice greets {data.caller_identity}: {data.payload}"

    local.register_rpc_method("greet", greet)
    long = "x" * 14_000
    for payload in ("hello", "", long):
        assert await page.call("callPeer", "alice", "greet", payload) == [f"alice greets browser: {payload}"]
        answer = await local.perform_rpc(destination_identity="browser", method="greet", payload=payload)
        assert answer == f"browser greets alice: {payload}"
    assert await page.call("callPeer", "alice", "greet", "fail") == [2001, "not today", "details"]
    assert (await page.call("callPeer", "alice", "unknown", ""))[
        0
    ] == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD
    with pytest.raises(rtc.RpcError) as refused:
        await local.perform_rpc(destination_identity="browser", method="greet", payload="fail")
    assert (refused.value.code, refused.value.message, refused.value.data) == (2000, "as you wish", "details")
    with pytest.raises(rtc.RpcError) as unknown:
        await local.perform_rpc(destination_identity="browser", method="unknown", payload="")
    assert unknown.value.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD


async def test_texts_go_both_ways(pair: Pair) -> None:
    alice, _, page = pair
    texts, reading = asyncio.Queue[Any](), set[asyncio.Task[None]]()

    async def read(reader: rtc.TextStreamReader, identity: str) -> None:
        text = await reader.read_all()
        texts.put_nowait((text, identity, dict(reader.info.attributes or {})))

    alice.register_text_stream_handler(
        "words", lambda reader, identity: reading.add(asyncio.ensure_future(read(reader, identity)))
    )
    await page.call("sendText", LONG, "words", {"language": "en"})
    assert await within(texts.get()) == (LONG, "browser", {"language": "en"})
    await page.call("streamText", ["ä", "ö" * 20_000, "ü"])
    assert (await within(texts.get()))[0] == "ä" + "ö" * 20_000 + "ü"
    await alice.local_participant.send_text(LONG, topic="words", attributes={"language": "de"})
    writer = await alice.local_participant.stream_text(topic="words")
    for part in ("one ", "two ", "three"):
        await writer.write(part)
    await writer.aclose()
    first, second = await page.call("got", "texts", 2)
    assert first[:3] == [LONG, "alice", "words"]
    assert first[3]["language"] == "de"
    assert second[0] == "one two three"


async def test_files_go_both_ways(pair: Pair, tmp_path: Any) -> None:
    alice, _, page = pair
    files, reading = asyncio.Queue[Any](), set[asyncio.Task[None]]()

    async def read(reader: rtc.ByteStreamReader, identity: str) -> None:
        chunks = [chunk async for chunk in reader]
        info = reader.info
        files.put_nowait((b"".join(chunks), identity, info.name, info.mime_type, info.size))

    alice.register_byte_stream_handler(
        "file", lambda reader, identity: reading.add(asyncio.ensure_future(read(reader, identity)))
    )
    data = content(FILE_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    assert await page.call("sendFile", "numbers.txt", FILE_BYTES) == digest
    assert await within(files.get()) == (data, "browser", "numbers.txt", "text/plain", FILE_BYTES)
    path = tmp_path / "ours.txt"
    path.write_bytes(data)
    await alice.local_participant.send_file(str(path), topic="file")
    ((seen, size, identity, name, kind, announced),) = await page.call("got", "files", 1)
    assert (seen, size, identity, name) == (digest, FILE_BYTES, "alice", "ours.txt")
    assert (kind, announced) == ("text/plain", FILE_BYTES)


async def test_transcriptions_reach_the_browser_and_come_from_it(pair: Pair, rooms: BrowserRooms) -> None:
    alice, _, page = pair
    agent, _ = await rooms.join(
        "agent", kind="agent"
    )  # servers pass transcription packets on for agents alone
    texts, reading = asyncio.Queue[Any](), set[asyncio.Task[None]]()

    async def read(reader: rtc.TextStreamReader) -> None:
        texts.put_nowait((await reader.read_all(), dict(reader.info.attributes or {})))

    agent.register_text_stream_handler(
        "lk.transcription", lambda reader, _: reading.add(asyncio.ensure_future(read(reader)))
    )
    async with microphone(alice, 1000) as (publication, _):
        await page.call("waitFor", "trackSubscribed")
        segment = rtc.TranscriptionSegment(
            "SG_1", "hello", start_time=0, end_time=0, language="en", final=True
        )
        transcription = rtc.Transcription("alice", publication.sid, [segment])
        await agent.local_participant.publish_transcription(transcription)
        ((segments, speaker, track),) = await page.call("got", "transcriptions", 1)
        assert segments == [{"id": "SG_1", "text": "hello", "final": True, "language": "en"}]
        assert (speaker, track) == ("alice", publication.sid)
        attributes = {"lk.transcription_final": "true", "lk.transcribed_track_id": publication.sid}
        await agent.local_participant.send_text("spoken", topic="lk.transcription", attributes=attributes)
        ((text, identity, topic, seen),) = await page.call("got", "texts", 1)
        assert (text, identity, topic) == ("spoken", "agent", "lk.transcription")
        assert attributes.items() <= seen.items()
        await page.call("sendText", "heard", "lk.transcription", attributes)
        text, seen = await within(texts.get())
        assert text == "heard"
        assert attributes.items() <= seen.items()


async def test_a_text_names_the_files_that_belong_to_it(pair: Pair) -> None:
    alice, _, page = pair
    texts, files, reading = asyncio.Queue[Any](), asyncio.Queue[Any](), set[asyncio.Task[None]]()

    async def read(reader: rtc.TextStreamReader | rtc.ByteStreamReader, into: asyncio.Queue[Any]) -> None:
        into.put_nowait(([part async for part in reader], reader.info))

    alice.register_text_stream_handler(
        "words", lambda reader, _: reading.add(asyncio.ensure_future(read(reader, texts)))
    )
    alice.register_byte_stream_handler(
        "words", lambda reader, _: reading.add(asyncio.ensure_future(read(reader, files)))
    )
    assert await page.call("sendTextWithFiles", "look", ["one.txt", "two.txt"]) == 1
    parts, text = await within(texts.get())
    assert "".join(parts) == "look"
    got = [await within(files.get()) for _ in range(2)]
    assert sorted(info.stream_id for _, info in got) == sorted(text.attachments)
    assert {info.name: b"".join(parts) for parts, info in got} == {
        "one.txt": b"one.txt",
        "two.txt": b"two.txt",
    }


async def test_chat_messages_go_both_ways(pair: Pair) -> None:
    """As packets on our side: like the official SDK for Python, ours has no calls or events for them."""
    alice, _, page = pair
    packets = Packets(alice, "chat_message")
    number = await page.call("chat", "hé", "hö")
    said, edited = await packets.next(), await packets.next()
    assert [p.participant_identity for p in (said, edited)] == ["browser"] * 2
    assert [(p.chat_message.id, p.chat_message.message) for p in (said, edited)] == [
        (number, "hé"),
        (number, "hö"),
    ]
    assert edited.chat_message.edit_timestamp > 0
    answer = models.ChatMessage(id="1", timestamp=said.chat_message.timestamp, message="hello")
    await send_packet(alice, models.DataPacket(chat_message=answer))
    answer.message, answer.edit_timestamp = "hallo", answer.timestamp + 1
    await send_packet(alice, models.DataPacket(chat_message=answer))
    got = await page.call("got", "chats", 4)
    assert got[2:] == [["hello", "alice", "1", False], ["hallo", "alice", "1", True]]


async def test_metrics_reach_a_browser_that_may_have_them(rooms: BrowserRooms) -> None:
    alice, _ = await rooms.join("alice")
    allowed = await rooms.browse("allowed", grants={"can_subscribe_metrics": True})
    other = await rooms.browse("other")
    packet = models.DataPacket()
    packet.metrics.str_data.append("own label")
    async with microphone(alice):
        for page in (allowed, other):
            await page.call("waitFor", "trackSubscribed")
        await send_packet(alice, packet)
        await alice.local_participant.publish_data("behind them", topic="count")
        assert await allowed.call("got", "metrics", 1) == [[["own label"], "alice"]]
        await other.call("got", "packets", 1)
        assert await other.call("got", "metrics", 0) == []


async def test_three_browsers_say_everything_to_each_other(rooms: BrowserRooms) -> None:
    _, events = await rooms.join("alice")
    modes = {"anna": TWO, "berta": SINGLE, "cleo": SINGLE}
    pages = {name: await rooms.browse(name, **mode) for name, mode in modes.items()}
    await events.wait("participant_active", count=len(pages))
    digest = hashlib.sha256(content(FILE_BYTES)).hexdigest()

    async def say(name: str, page: Page) -> None:
        await page.call("sendData", f"data of {name}", "all")
        await page.call("sendText", f"{name}: {LONG}")
        assert await page.call("sendFile", f"{name}.txt", FILE_BYTES) == digest
        for other in pages.keys() - {name}:
            assert await page.call("callPeer", other, "greet", "hello") == [f"{other} greets {name}: hello"]

    async def judge(name: str, page: Page) -> None:
        others = sorted(pages.keys() - {name})
        packets, texts, files = [await page.call("got", kind, 2) for kind in ("packets", "texts", "files")]
        assert sorted(packet[:2] for packet in packets) == [[f"data of {other}", other] for other in others]
        assert sorted(text[:2] for text in texts) == [[f"{other}: {LONG}", other] for other in others]
        told = [[digest, FILE_BYTES, other, f"{other}.txt"] for other in others]
        assert sorted(file[:4] for file in files) == told

    await asyncio.gather(*(say(*each) for each in pages.items()))
    await asyncio.gather(*(judge(*each) for each in pages.items()))
