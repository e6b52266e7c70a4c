"""Calls of a client, as packets on the wire: both sides of them, and everything that can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from client_fakes import TIMEOUT_S, FakePeers, SignalServer, participant
from livekit.protocol import models

from greenroom import _engine
from greenroom.client import rpc_methods
from livekit import rtc

Code = rtc.RpcError.ErrorCode


class Wire:
    """The other side, packet by packet."""

    def __init__(self, peers: FakePeers) -> None:
        self._peers = peers
        peers.subscriber.fire(_engine.CHANNEL_OPEN, (10, "_reliable"))

    def deliver(self, sender: str, **value: Any) -> None:
        packet = models.DataPacket(participant_identity=sender, participant_sid=f"PA_{sender}", **value)
        self._peers.subscriber.fire(_engine.CHANNEL_MESSAGE, (10, packet.SerializeToString()))

    def ack(self, request_id: str, sender: str = "old") -> None:
        self.deliver(sender, rpc_ack=models.RpcAck(request_id=request_id))

    def respond(self, request_id: str, payload: str, sender: str = "old") -> None:
        self.deliver(sender, rpc_response=models.RpcResponse(request_id=request_id, payload=payload))

    def refuse(self, request_id: str, error: models.RpcError, sender: str = "old") -> None:
        self.deliver(sender, rpc_response=models.RpcResponse(request_id=request_id, error=error))

    def request(self, method: str, payload: str = "", sender: str = "old", **fields: Any) -> None:
        fields = {"id": "r", "version": 1, "response_timeout_ms": 8000, **fields}
        self.deliver(sender, rpc_request=models.RpcRequest(method=method, payload=payload, **fields))

    def request_stream(self, method: str, payload: bytes, sender: str = "bob", **attributes: str) -> None:
        header = models.DataStream.Header(
            stream_id="s", topic="lk.rpc_request", text_header={}, inline_content=payload
        )
        header.attributes.update(
            {
                "lk.rpc_request_id": "r",
                "lk.rpc_request_method": method,
                "lk.rpc_request_response_timeout_ms": "8000",
                "lk.rpc_request_version": "2",
                **{f"lk.rpc_request_{name}": value for name, value in attributes.items()},
            }
        )
        self.deliver(sender, stream_header=header)

    def respond_stream(self, request_id: str, payload: bytes, sender: str) -> None:
        header = models.DataStream.Header(
            stream_id="s", topic="lk.rpc_response", text_header={}, inline_content=payload
        )
        header.attributes["lk.rpc_request_id"] = request_id
        self.deliver(sender, stream_header=header)

    @property
    def sent(self) -> list[models.DataPacket]:
        return [models.DataPacket.FromString(data) for _, data in self._peers.publisher.sent]

    async def wait_sent(self, count: int) -> list[models.DataPacket]:
        async def wait() -> None:
            while len(self._peers.publisher.sent) < count:  # noqa: ASYNC110 - the fake has no event
                await asyncio.sleep(0.001)

        await asyncio.wait_for(wait(), TIMEOUT_S)
        return self.sent


@pytest.fixture
async def room(server: SignalServer, peers: FakePeers) -> AsyncIterator[rtc.Room]:
    server.join.other_participants.append(participant("bob", client_protocol=2))
    server.join.other_participants.append(participant("old", client_protocol=0))
    room = rtc.Room()
    await room.connect(server.url, "token")
    await asyncio.sleep(0.01)
    yield room
    await room.disconnect()


@pytest.fixture
def wire(room: rtc.Room, peers: FakePeers) -> Wire:
    return Wire(peers)


def calling(
    room: rtc.Room, destination: str = "old", payload: str = "p", **options: float
) -> asyncio.Task[str]:
    call = room.local_participant.perform_rpc(
        destination_identity=destination, method="m", payload=payload, **options
    )
    return asyncio.ensure_future(call)


async def fails(call: asyncio.Task[str]) -> rtc.RpcError:
    with pytest.raises(rtc.RpcError) as raised:
        await asyncio.wait_for(call, TIMEOUT_S)
    return raised.value


# ---- calling ----


async def test_a_call_to_an_old_peer_is_a_packet(room: rtc.Room, wire: Wire) -> None:
    call = calling(room)
    (packet,) = await wire.wait_sent(1)
    request = packet.rpc_request
    assert list(packet.destination_identities) == ["old"]
    assert (request.method, request.payload, request.version) == ("m", "p", 1)
    assert request.response_timeout_ms == 8000
    wire.ack(request.id)
    wire.respond(request.id, "answer")
    assert await asyncio.wait_for(call, TIMEOUT_S) == "answer"


async def test_a_call_to_a_new_peer_is_a_stream_without_a_limit(room: rtc.Room, wire: Wire) -> None:
    call = calling(room, "bob", response_timeout=5, max_round_trip_latency=1)
    (packet,) = await wire.wait_sent(1)
    header = packet.stream_header
    request_id = header.attributes["lk.rpc_request_id"]
    assert (header.topic, header.inline_content) == ("lk.rpc_request", b"p")
    assert header.attributes["lk.rpc_request_response_timeout_ms"] == "4000"
    wire.ack(request_id, "bob")
    wire.respond_stream(request_id, b"answer", "bob")
    assert await asyncio.wait_for(call, TIMEOUT_S) == "answer"
    call = calling(room, "bob", "x" * 100_000)
    await wire.wait_sent(9)
    call.cancel()


async def test_an_answer_is_taken_in_either_form_but_from_the_called_one_only(
    room: rtc.Room, wire: Wire
) -> None:
    call = calling(room)
    request_id = (await wire.wait_sent(1))[0].rpc_request.id
    wire.respond(request_id, "evil", sender="bob")
    wire.respond_stream(request_id, b"evil", "bob")
    wire.respond(request_id, "evil", sender="")
    wire.respond_stream(request_id, b"good", "old")
    assert await asyncio.wait_for(call, TIMEOUT_S) == "good"


async def test_a_hidden_participant_may_answer_without_its_name(room: rtc.Room, wire: Wire) -> None:
    call = calling(room, "hidden")
    request_id = (await wire.wait_sent(1))[0].rpc_request.id
    wire.respond(request_id, "answer", sender="")
    assert await asyncio.wait_for(call, TIMEOUT_S) == "answer"


async def test_no_ack_and_no_response_are_different_errors(room: rtc.Room, wire: Wire) -> None:
    error = await fails(calling(room, max_round_trip_latency=0.02))
    assert (error.code, error.message) == (Code.CONNECTION_TIMEOUT, "Connection timeout")
    call = calling(room, max_round_trip_latency=5, response_timeout=0.02)
    wire.ack((await wire.wait_sent(2))[1].rpc_request.id)
    assert (await fails(call)).code == Code.RESPONSE_TIMEOUT


async def test_errors_of_the_handler_arrive_as_they_are(room: rtc.Room, wire: Wire) -> None:
    call = calling(room)
    request_id = (await wire.wait_sent(1))[0].rpc_request.id
    wire.refuse(request_id, models.RpcError(code=7, message="no", data="why"))
    error = await fails(call)
    assert (error.code, error.message, error.data) == (7, "no", "why")


async def test_too_large_a_request_for_an_old_peer_is_not_sent(room: rtc.Room, wire: Wire) -> None:
    assert (await fails(calling(room, payload="é" * 7_681))).code == Code.REQUEST_PAYLOAD_TOO_LARGE
    assert wire.sent == []


async def test_a_peer_that_leaves_and_our_own_end_fail_calls_at_once(
    room: rtc.Room, wire: Wire, server: SignalServer
) -> None:
    first, second = calling(room), calling(room, "bob")
    await wire.wait_sent(2)
    await (await server.connection()).update(participant("old", state=models.ParticipantInfo.DISCONNECTED))
    assert (await fails(first)).code == Code.RECIPIENT_DISCONNECTED
    assert not second.done()
    await room.disconnect()
    assert (await fails(second)).code == Code.RECIPIENT_DISCONNECTED
    assert (await fails(calling(room))).code == Code.SEND_FAILED


async def test_an_old_server_can_not_do_it(server: SignalServer, peers: FakePeers) -> None:
    server.join.server_info.version = "1.7.9"
    room = rtc.Room()
    await room.connect(server.url, "token")
    assert (await fails(calling(room))).code == Code.UNSUPPORTED_SERVER
    await room.disconnect()


async def test_thousands_of_calls_find_their_own_answers(room: rtc.Room, wire: Wire) -> None:
    calls = [calling(room, payload=str(number)) for number in range(2_000)]
    for packet in reversed(await wire.wait_sent(2_000)):
        wire.ack(packet.rpc_request.id)
        wire.respond(packet.rpc_request.id, packet.rpc_request.payload * 2)
    answers = await asyncio.wait_for(asyncio.gather(*calls), TIMEOUT_S)
    assert answers == [str(number) * 2 for number in range(2_000)]
    assert not room._joined_session.data_kinds.calls._pending


async def test_calls_go_before_other_data_that_waits(room: rtc.Room, wire: Wire, peers: FakePeers) -> None:
    peers.publisher.full = True
    messages = [asyncio.ensure_future(room.local_participant.publish_data(bytes([n]))) for n in range(3)]
    await asyncio.sleep(0)
    call = calling(room)
    await asyncio.sleep(0.01)
    peers.publisher.full = False
    peers.publisher.fire(_engine.CHANNEL_WRITABLE, 1)
    await asyncio.wait_for(asyncio.gather(*messages), TIMEOUT_S)
    sent = await wire.wait_sent(4)
    assert [packet.WhichOneof("value") for packet in sent] == ["user", "rpc_request", "user", "user"]
    assert [packet.sequence for packet in sent] == [1, 2, 3, 4]
    wire.respond(sent[1].rpc_request.id, "")
    assert await asyncio.wait_for(call, TIMEOUT_S) == ""


# ---- being called ----


async def answer(wire: Wire, count: int = 2) -> models.DataPacket:
    ack, *_, response = await wire.wait_sent(count)
    assert ack.rpc_ack.request_id == "r", "the ack comes first"
    return response


@pytest.mark.parametrize("method", ["sync", "async", "awaitable"])
async def test_handlers_of_all_forms(room: rtc.Room, wire: Wire, method: str) -> None:
    local = room.local_participant
    seen: list[rtc.RpcInvocationData] = []

    @local.register_rpc_method("sync")
    def sync(data: rtc.RpcInvocationData) -> str:
        seen.append(data)
        return data.payload

    async def asynchronous(data: rtc.RpcInvocationData) -> str:
        return sync(data)

    local.register_rpc_method("async", asynchronous)
    local.register_rpc_method("awaitable", lambda data: asyncio.ensure_future(asynchronous(data)))
    wire.request(method, "hello")
    response = await answer(wire)
    assert response.rpc_response.payload == "hello"
    assert list(response.destination_identities) == ["old"]
    assert seen == [rtc.RpcInvocationData("r", "old", "hello", 8.0, method)]


async def test_a_call_that_comes_as_a_stream_is_answered_as_one(room: rtc.Room, wire: Wire) -> None:
    room.local_participant.register_rpc_method("m", lambda data: data.payload * 20_000)
    wire.request_stream("m", b"x")
    sent = await wire.wait_sent(3)
    assert sent[0].rpc_ack.request_id == "r"
    assert sent[1].stream_header.topic == "lk.rpc_response"
    assert sent[1].stream_header.attributes["lk.rpc_request_id"] == "r"


def own_error(_: rtc.RpcInvocationData) -> str:
    raise rtc.RpcError(5, "é" * 200, "x" * 20_000)


def broken(_: rtc.RpcInvocationData) -> str:
    raise ValueError("broken")


@pytest.mark.parametrize(
    ("handler", "fields", "code"),
    [
        (None, {}, Code.UNSUPPORTED_METHOD),
        (lambda _: "", {"version": 3}, Code.UNSUPPORTED_VERSION),
        (broken, {}, Code.APPLICATION_ERROR),
        (lambda _: 5, {}, Code.APPLICATION_ERROR),
        (lambda _: "x" * 15_361, {}, Code.RESPONSE_PAYLOAD_TOO_LARGE),
        (own_error, {}, 5),
        (lambda _: asyncio.sleep(60), {"response_timeout_ms": 10}, Code.RESPONSE_TIMEOUT),
    ],
)
async def test_calls_that_can_not_be_served_say_why(
    room: rtc.Room, wire: Wire, handler: Any, fields: dict[str, Any], code: int
) -> None:
    if handler is not None:
        room.local_participant.register_rpc_method("m", handler)
    wire.request("m", **fields)
    error = (await answer(wire)).rpc_response.error
    assert error.code == code
    assert error.message == (rtc.RpcError.ErrorMessage[Code(code)] if code > 5 else "é" * 128)
    assert len(error.data) == (15_360 if code == 5 else 0)


async def test_calls_that_are_too_many_even_to_be_refused_are_dropped(
    room: rtc.Room, wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rpc_methods, "MAX_RUNNING", 1)
    monkeypatch.setattr(rpc_methods, "MAX_REFUSED", 1)
    for name in ("first", "second", "third"):
        wire.request("m", id=name)
    wire.request_stream("m", b"", id="fourth")
    assert [record.getMessage() for record in caplog.records] == [
        "call third of 'old' is dropped: 2 are under way",
        "call fourth of 'bob' is dropped: 2 are under way",
    ]
    answers = [packet.rpc_response.request_id for packet in await wire.wait_sent(4)]
    assert sorted(filter(None, answers)) == ["first", "second"]


async def test_an_unknown_stream_version_is_refused(room: rtc.Room, wire: Wire) -> None:
    room.local_participant.register_rpc_method("m", lambda _: "")
    wire.request_stream("m", b"", version="9")
    assert (await answer(wire)).rpc_response.error.code == Code.UNSUPPORTED_VERSION


async def test_unregistered_and_replaced_methods(room: rtc.Room, wire: Wire) -> None:
    local = room.local_participant
    local.register_rpc_method("m", lambda _: "first")
    local.register_rpc_method("m", lambda _: None)
    wire.request("m")
    response = (await answer(wire)).rpc_response
    assert (response.WhichOneof("value"), response.payload) == ("payload", "")
    local.unregister_rpc_method("m")
    local.unregister_rpc_method("m")
    wire.request("m")
    assert (await wire.wait_sent(4))[3].rpc_response.error.code == Code.UNSUPPORTED_METHOD


@pytest.mark.parametrize("end", ["caller leaves", "we leave", "time is over"])
async def test_a_handler_is_told_why_it_is_cancelled(
    room: rtc.Room, wire: Wire, server: SignalServer, end: str
) -> None:
    started, ended, reasons = asyncio.Event(), asyncio.Event(), []

    async def wait(data: rtc.RpcInvocationData) -> str:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            reasons.append(data.cancel_reason)
            ended.set()
        return ""

    room.local_participant.register_rpc_method("m", wait)
    wire.request("m", response_timeout_ms=10 if end == "time is over" else 8000)
    await asyncio.wait_for(started.wait(), TIMEOUT_S)
    if end == "caller leaves":
        gone = participant("old", state=models.ParticipantInfo.DISCONNECTED)
        await (await server.connection()).update(gone)
        await asyncio.wait_for(ended.wait(), TIMEOUT_S)
    elif end == "time is over":
        await wire.wait_sent(2)
    await room.disconnect()
    expected = Code.RESPONSE_TIMEOUT if end == "time is over" else Code.RECIPIENT_DISCONNECTED
    assert reasons == [expected]
    answers = [p.rpc_response.error.code for p in wire.sent if p.WhichOneof("value") == "rpc_response"]
    assert answers == ([] if end == "caller leaves" else [expected])


async def test_a_handler_can_leave_the_room(room: rtc.Room, wire: Wire) -> None:
    left = asyncio.Event()

    async def leave(_: rtc.RpcInvocationData) -> str:
        await room.disconnect()
        left.set()
        return ""

    room.local_participant.register_rpc_method("m", leave)
    wire.request("m")
    await asyncio.wait_for(left.wait(), 1.5)


# ---- interceptors ----


class Noting(rtc.RpcInterceptor):
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    async def intercept_outgoing(self, call: rtc.RpcCallInfo, next: Any) -> str:
        self.log.append(f"{self.name} out {call.method}")
        call.payload += self.name
        return str(await next(call)) + self.name

    async def intercept_incoming(self, invocation: rtc.RpcInvocationData, next: Any) -> str | None:
        self.log.append(f"{self.name} in {invocation.method}")
        return str(await next(invocation)) + self.name


async def test_interceptors_wrap_calls_both_ways_the_first_outermost(room: rtc.Room, wire: Wire) -> None:
    local, log = room.local_participant, []
    first, second = Noting("1", log), Noting("2", log)
    local.add_rpc_interceptor(first)
    local.add_rpc_interceptor(second)
    local.register_rpc_method("m", lambda data: data.payload)
    call = calling(room, payload="p")
    request = (await wire.wait_sent(1))[0].rpc_request
    assert request.payload == "p12"
    wire.respond(request.id, "answer")
    assert await asyncio.wait_for(call, TIMEOUT_S) == "answer21"
    wire.request("m", "q")
    assert (await wire.wait_sent(3))[2].rpc_response.payload == "q21"
    local.remove_rpc_interceptor(first)
    local.remove_rpc_interceptor(first)
    wire.request("m", "q", id="r2")
    assert (await wire.wait_sent(5))[4].rpc_response.payload == "q2"
    assert log == ["1 out m", "2 out m", "1 in m", "2 in m", "2 in m"]


def test_built_in_errors_have_the_references_numbers_and_words() -> None:
    assert {int(code): rtc.RpcError._built_in(code).message for code in Code} == {
        1400: "Method not supported at destination",
        1401: "Recipient not found",
        1402: "Request payload too large",
        1403: "RPC not supported by server",
        1404: "Unsupported RPC version",
        1500: "Application error in method handler",
        1501: "Connection timeout",
        1502: "Response timeout",
        1503: "Recipient disconnected",
        1504: "Response payload too large",
        1505: "Failed to send",
    }
