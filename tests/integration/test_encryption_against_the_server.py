"""What the server sees of an encrypted room."""

from __future__ import annotations

from typing import Any

import pytest
from encryption_cases import encrypted
from room_tools import Rooms, within

import greenroom
from greenroom.server.data_router import DataRouter
from livekit import rtc

_SECRET = "the launch code is 0000"


async def test_no_message_call_or_stream_passes_the_server_in_the_clear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []
    receive = DataRouter.receive

    def spy(router: DataRouter, *args: Any) -> Any:
        seen.extend(bytes(arg) for arg in args if isinstance(arg, bytes))
        return receive(router, *args)

    monkeypatch.setattr(DataRouter, "receive", spy)
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        alice, _ = await rooms.join("alice", encrypted())
        bob, events = await rooms.join("bob", encrypted())

        async def echo(data: rtc.RpcInvocationData) -> str:
            return data.payload

        bob.local_participant.register_rpc_method(_SECRET[:20], echo)
        local = alice.local_participant
        await local.publish_data(_SECRET, topic=_SECRET)
        await local.publish_data(_SECRET, reliable=False)
        call = local.perform_rpc(destination_identity="bob", method=_SECRET[:20], payload=_SECRET)
        assert await within(call) == _SECRET
        await local.send_text(_SECRET * 100, topic=_SECRET, attributes={"code": _SECRET})
        await events.wait("data_received")
        await rooms.leave()
    assert len(seen) >= 6
    assert not any(_SECRET[:12].encode() in message for message in seen)
