"""Where a client connects when its server does not work or names another. Names are resolved to this machine."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp.connector
import pytest
from aiohttp import web
from client_fakes import FakePeers, SignalServer
from livekit.protocol import rtc as proto

from greenroom.client import reconnect
from greenroom.client.addresses import Addresses, fetch_regions, is_cloud
from greenroom.client.errors import ServerUnreachableError
from livekit import rtc

TIMEOUT_S = 5


class _Resolver(aiohttp.abc.AbstractResolver):
    """Every name is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[Any]:
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def names_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiohttp.connector, "DefaultResolver", lambda *args, **options: _Resolver())
    monkeypatch.setattr(reconnect, "random_unit", lambda: 0.0)


class Cloud:
    """Answers /settings/regions and refuses everything else."""

    def __init__(self) -> None:
        self.answer: tuple[int, str] = (200, json.dumps({"regions": []}))
        self.asked: list[str | None] = []
        self.max_age_s = 0

    async def regions(self, request: web.Request) -> web.Response:
        self.asked.append(request.headers.get("Authorization"))
        status, text = self.answer
        return web.Response(status=status, text=text, headers={"Cache-Control": f"max-age={self.max_age_s}"})

    async def refuse(self, request: web.Request) -> web.Response:
        return web.Response(status=503, text="full")

    async def __aenter__(self) -> Cloud:
        app = web.Application()
        app.router.add_get("/settings/regions", self.regions)
        app.router.add_get("/rtc", self.refuse)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"ws://project.livekit.cloud:{self.port}"

    def name(self, *urls: str) -> None:
        regions = [{"region": str(n), "url": url, "distance": str(n)} for n, url in enumerate(urls)]
        self.answer = (200, json.dumps({"regions": regions}))


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Cloud() as cloud:
        yield cloud


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://project.livekit.cloud", True),
        ("https://project.livekit.run:443/path", True),
        ("wss://livekit.cloud.example.org", False),
        ("ws://127.0.0.1:7880", False),
    ],
)
def test_only_the_cloud_has_regions(url: str, expected: bool) -> None:
    assert is_cloud(url) is expected


async def test_regions_are_asked_for_with_the_token(cloud: Cloud) -> None:
    cloud.name("wss://a.livekit.cloud", "wss://b.livekit.cloud")
    cloud.max_age_s = 60
    assert await fetch_regions(cloud.url, "t") == (["wss://a.livekit.cloud", "wss://b.livekit.cloud"], 60.0)
    assert cloud.asked == ["Bearer t"]


@pytest.mark.parametrize(
    "answer",
    [
        *((404, ""), (200, "no json"), (200, "[]"), (200, '{"regions": 3}'), (200, "")),
        (200, '{"regions": [' + " " * 64 * 1024 + "]}"),
    ],
    ids=["404", "no json", "list", "number", "nothing", "large"],
)
async def test_regions_that_can_not_be_had_are_none(cloud: Cloud, answer: tuple[int, str]) -> None:
    cloud.answer = answer
    assert await fetch_regions(cloud.url, "t") == ([], 0.0)


async def test_an_answer_in_pieces_is_read_whole(cloud: Cloud) -> None:
    cloud.name(*(f"wss://{number}.livekit.cloud" for number in range(500)))
    urls, _ = await fetch_regions(cloud.url, "t")
    assert len(urls) == 500


async def test_each_region_is_tried_once_while_the_list_holds(cloud: Cloud) -> None:
    cloud.name("ws://a.livekit.cloud", "ws://b.livekit.cloud")
    addresses = Addresses(cloud.url)
    tried = []
    while await addresses.use_next("t"):
        tried.append(addresses.current)
    assert tried == ["ws://a.livekit.cloud", "ws://b.livekit.cloud"]
    assert len(cloud.asked) == 1


async def test_elsewhere_addresses_take_turns() -> None:
    addresses = Addresses("ws://home")
    assert not await addresses.use_next("t")
    addresses.named(["ws://home", "ws://a", "ws://a", "", "ws://b"])
    turns = []
    for _ in range(4):
        assert await addresses.use_next("t")
        turns.append(addresses.current)
    assert turns == ["ws://a", "ws://b", "ws://home", "ws://a"]


async def test_joining_goes_to_the_first_region_that_works(
    cloud: Cloud, server: SignalServer, peers: FakePeers
) -> None:
    cloud.name("ws://dead.livekit.cloud:1", f"ws://good.livekit.cloud:{server.port}")
    room = rtc.Room()
    await room.connect(cloud.url, "token")
    assert (await server.connection()).request.host == f"good.livekit.cloud:{server.port}"
    await room.disconnect()


async def test_without_a_region_that_works_the_last_error_is_raised(cloud: Cloud, peers: FakePeers) -> None:
    cloud.name("ws://dead.livekit.cloud:1")
    with pytest.raises(ServerUnreachableError, match=r"dead\.livekit\.cloud"):
        await rtc.Room().connect(cloud.url, "token")


async def test_the_join_names_the_address_to_come_back_to(server: SignalServer, peers: FakePeers) -> None:
    async with SignalServer() as other:
        other.join.CopyFrom(server.join)
        server.join.alternative_url = other.url
        room = rtc.Room()
        await room.connect(server.url, "token")
        back = asyncio.ensure_future(room.wait_for("reconnected", timeout=TIMEOUT_S))
        connection = await server.connection()
        await connection.send(leave=proto.LeaveRequest(action=proto.LeaveRequest.Action.RECONNECT))
        await back
        assert await other.connection()
        await room.disconnect()
