"""Starting and closing a server: ports, several in one process, nothing left behind."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
from aiohttp import ClientConnectorError
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness

from greenroom.server import PlayoutDelayConfig, Server, ServerConfig


async def test_close_says_goodbye_and_leaves_nothing() -> None:
    tasks = asyncio.all_tasks()
    async with Harness() as harness:
        clients = [await harness.join(f"p{n}", room=f"room{n % 2}") for n in range(4)]
        began = time.monotonic()

        await harness.server.stop()

        assert time.monotonic() - began < 1.0
        for client in clients:
            leave = await client.expect("leave")
            assert leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
            assert leave.action == messages.LeaveRequest.Action.DISCONNECT
        assert harness.sfu.closed
        assert all(transport.closed for transport in harness.sfu.transports)
        assert harness.port.callbacks == {}
        with pytest.raises(ClientConnectorError):
            await harness.http.get(harness.server.http_url)
    assert asyncio.all_tasks() - tasks == set()


async def test_client_that_ignores_the_goodbye_does_not_delay_it(harness: Harness) -> None:
    client = await harness.join("anna")
    transport = client.websocket._response.connection.transport  # type: ignore[union-attr]
    transport.pause_reading()
    began = time.monotonic()

    await harness.server.stop()

    assert time.monotonic() - began < 1.0


async def test_close_twice_is_harmless(harness: Harness) -> None:
    await harness.server.stop()
    await harness.server.stop()


async def test_several_servers_in_one_process() -> None:
    async with Harness() as first, Harness() as second:
        assert first.server.port != second.server.port
        assert first.server.url == f"ws://127.0.0.1:{first.server.port}"
        assert first.server.http_url == f"http://127.0.0.1:{first.server.port}"
        await first.join("anna")
        assert second.server.rooms.get("room") is None
        stranger = first.server.token("room", "bob")
        async with second.http.get(
            second.server.http_url + "/rtc/validate", params={"access_token": stranger}
        ) as r:
            assert r.status == 401


async def test_port_in_use_is_reported_and_frees_the_media_ports(harness: Harness) -> None:
    other = Harness(port=harness.server.port)

    with pytest.raises(OSError, match=str(harness.server.port)):
        await other.server.start()

    assert other.sfu.closed


async def test_restart_of_the_same_object() -> None:
    harness = Harness()
    async with harness:
        await harness.join("anna")
    harness.sfu.closed = False
    async with harness:
        await harness.join("anna")


def test_config_needs_keys() -> None:
    with pytest.raises(ValueError, match="at least one API key"):
        ServerConfig(keys={})
    with pytest.raises(ValueError, match="secret is empty"):
        ServerConfig(keys={"key": ""})
    with pytest.raises(ValueError, match="udp_port is 70000"):
        ServerConfig(keys={"key": "secret"}, udp_port=70_000)


@pytest.mark.parametrize("empty", [{"api_key": "key", "api_secret": ""}, {"api_key": ""}])
def test_an_empty_key_or_secret_is_refused(empty: dict[str, str]) -> None:
    """As of a variable that is not set: nobody has the key that would be made up."""
    with pytest.raises(ValueError, match="is empty"):
        Server(**empty)


async def test_a_server_describes_itself() -> None:
    server = Server(api_key="key", api_secret="secret")
    assert repr(server) == "greenroom.Server(url=ws://127.0.0.1:0, not running)"
    async with server:
        assert repr(server) == f"greenroom.Server(url={server.url}, rooms=0)"
    assert repr(server).endswith(", not running)")


def test_unknown_grant_is_named() -> None:
    with pytest.raises(TypeError, match="unknown grant 'can_fly'"):
        Server().token("room", "anna", can_fly=True)


@pytest.mark.parametrize(
    ("grants", "kind", "message"),
    [
        ({"room": None}, TypeError, "room is None: it must be a string"),
        ({"identity": 7}, TypeError, "identity is 7: it must be a string"),
        (
            {"kind": "robot"},
            ValueError,
            "kind is 'robot': it must be one of standard, ingress, egress, sip, agent, connector, bridge",
        ),
        ({"kind": ["agent"]}, ValueError, "kind is ['agent']: it must be one of "),
    ],
)
def test_what_a_token_can_not_say_is_named(grants: dict[str, Any], kind: type, message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        Server().token(**{"room": "lobby", "identity": "anna", **grants})


@pytest.mark.parametrize(
    ("delay", "keys"),
    [
        ({"min_ms": 100}, "playout_delay.min"),
        ({"max_ms": 100}, "playout_delay.max"),
        ({"min_ms": 100, "max_ms": 2000}, "playout_delay.min and playout_delay.max"),
        ({"min_ms": 100, "enabled": True}, ""),
        ({}, ""),
    ],
)
async def test_a_playout_delay_that_is_not_enabled_is_warned_of_once(
    delay: dict[str, Any], keys: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Harness(playout_delay=PlayoutDelayConfig(**delay)):
        pass
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert (
        warned
        == [
            f"{keys}: set without playout_delay.enabled, so no delay is asked of subscribers; "
            "set that to true, or leave the delay out"
        ][: bool(keys)]
    )


async def test_rooms_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        _ = Server().rooms
