"""Calls, streams and small messages through the embedded server, with real connections."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from bulk_cases import *  # noqa: F403 - the tests
from room_tools import Events, Rooms, microphone, within

from livekit import rtc

Code = rtc.RpcError.ErrorCode


pytestmark = pytest.mark.usefixtures("nothing_left")


async def pair(rooms: Rooms) -> tuple[rtc.Room, Events, rtc.Room, Events]:
    first, first_events = await rooms.join("first")
    second, second_events = await rooms.join("second")
    await first_events.wait("participant_active")
    return first, first_events, second, second_events


class Collected:
    """Everything read from the streams of one topic, in the order the streams ended."""

    def __init__(self, room: rtc.Room, topic: str) -> None:
        self.results: asyncio.Queue[tuple[rtc.TextStreamInfo | rtc.ByteStreamInfo, str, bytes]] = (
            asyncio.Queue()
        )
        self._tasks: set[asyncio.Task[None]] = set()
        room.register_text_stream_handler(topic, self._start)
        room.register_byte_stream_handler(topic, self._start)

    def _start(self, reader: rtc.TextStreamReader | rtc.ByteStreamReader, _: str) -> None:
        task = asyncio.ensure_future(self._read(reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, reader: rtc.TextStreamReader | rtc.ByteStreamReader) -> None:
        digest, error = hashlib.sha256(), ""
        try:
            async for piece in reader:
                digest.update(piece.encode() if isinstance(piece, str) else piece)
        except rtc.StreamError as fault:
            error = fault.description
        self.results.put_nowait((reader.info, error, digest.digest()))


async def test_many_calls_at_once_while_a_file_is_under_way(rooms: Rooms, tmp_path: Path) -> None:
    first, _, second, _ = await pair(rooms)
    collected = Collected(second, "files")
    file = tmp_path / "file.bin"
    content = hashlib.shake_128(b"file").digest(3_000_000)
    file.write_bytes(content)
    second.local_participant.register_rpc_method("double", lambda data: data.payload * 2)
    sending = asyncio.ensure_future(first.local_participant.send_file(str(file), topic="files"))
    calls = [
        first.local_participant.perform_rpc(
            destination_identity="second", method="double", payload=str(number)
        )
        for number in range(2_000)
    ]
    assert await within(asyncio.gather(*calls)) == [str(number) * 2 for number in range(2_000)]
    info = await within(sending)
    assert (info.name, info.size) == ("file.bin", len(content))
    received, error, digest = await within(collected.results.get())
    assert (error, received.stream_id) == ("", info.stream_id)
    assert digest == hashlib.sha256(content).digest()


async def test_a_call_in_both_directions_with_a_long_answer(rooms: Rooms) -> None:
    first, _, second, _ = await pair(rooms)
    long = "größer " * 20_000

    async def back(data: rtc.RpcInvocationData) -> str:
        return await second.local_participant.perform_rpc(
            destination_identity=data.caller_identity, method="long", payload=data.payload
        )

    second.local_participant.register_rpc_method("back", back)
    first.local_participant.register_rpc_method("long", lambda data: data.payload + long)
    call = first.local_participant.perform_rpc(destination_identity="second", method="back", payload=long)
    assert await within(call) == long + long


async def test_those_who_leave_fail_calls_and_streams_at_once(rooms: Rooms) -> None:
    first, _, second, _ = await pair(rooms)
    collected = Collected(first, "half")
    started = asyncio.Event()

    async def stuck(_: rtc.RpcInvocationData) -> str:
        started.set()
        await asyncio.sleep(60)
        return ""

    second.local_participant.register_rpc_method("stuck", stuck)
    call = asyncio.ensure_future(
        first.local_participant.perform_rpc(destination_identity="second", method="stuck", payload="")
    )
    await within(started.wait())
    writer = await second.local_participant.stream_text(topic="half")
    await writer.write("half a te")
    await second.disconnect()
    with pytest.raises(rtc.RpcError) as raised:
        await within(call)
    assert raised.value.code == Code.RECIPIENT_DISCONNECTED
    _, error, _ = await within(collected.results.get())
    assert error == (
        "stream closed abnormally: Participant second unexpectedly disconnected in the middle of sending data"
    )
    with pytest.raises(rtc.StreamError):
        await writer.write("xt")


async def test_streams_reach_those_who_are_named_and_interleave(rooms: Rooms) -> None:
    first, events, second, _ = await pair(rooms)
    third, _ = await rooms.join("third")
    await events.wait("participant_active", lambda who: who.identity == "third")
    named, other = Collected(second, "t"), Collected(third, "t")
    local = first.local_participant
    one = await local.stream_text(topic="t", destination_identities=["second"], stream_id="one")
    two = await local.stream_bytes("two", topic="t", destination_identities=["second"], stream_id="two")
    for number in range(20):
        await one.write(f"é{number} " * 3_000)
        await two.write(bytes([number]) * 20_000)
    await two.aclose()
    await one.aclose()
    await local.send_text("for all", topic="t")
    texts = "".join(f"é{number} " * 3_000 for number in range(20)).encode()
    expected = {
        "one": hashlib.sha256(texts).digest(),
        "two": hashlib.sha256(b"".join(bytes([n]) * 20_000 for n in range(20))).digest(),
    }
    got = {}
    for _ in expected:
        info, error, digest = await within(named.results.get())
        assert not error
        got[info.stream_id] = digest
    assert got == expected
    _, _, digest = await within(other.results.get())
    assert digest == hashlib.sha256(b"for all").digest(), "the only stream the third one got"


async def test_tones_and_transcriptions_reach_their_events(rooms: Rooms) -> None:
    first, _, second, events = await pair(rooms)
    agent, agent_events = await rooms.join("agent", agent=True)
    await events.wait("participant_active", lambda who: who.identity == "agent")
    async with microphone(first) as (publication, _):
        await events.wait("track_published")
        await first.local_participant.publish_dtmf(code=5, digit="5")
        segments = [
            rtc.TranscriptionSegment(
                id="a", text="hel", start_time=0, end_time=10, language="en", final=False
            ),
            rtc.TranscriptionSegment(
                id="a", text="hello", start_time=0, end_time=20, language="en", final=True
            ),
        ]
        for segment in segments:
            await agent.local_participant.publish_transcription(
                rtc.Transcription(participant_identity="first", track_sid=publication.sid, segments=[segment])
            )
        tone = (await events.wait("sip_dtmf_received"))[0]
        assert tone == rtc.SipDTMF(5, "5", second.remote_participants["first"])
        await events.wait("transcription_received", count=2)
    got = events.of("transcription_received")
    assert [segment for args in got for segment in args[0]] == segments
    who, what = got[0][1], got[0][2]
    assert (who.identity, what.sid) == ("first", publication.sid)
    await agent_events.wait("sip_dtmf_received")
