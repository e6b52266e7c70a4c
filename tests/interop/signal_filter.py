"""A proxy of signalling that loses some of what the server says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
from aiohttp import web
from livekit.protocol import rtc as messages


class SignalFilter:
    """`url` stands for the server's; messages from it that `drop` is true of don't arrive."""

    def __init__(self, server_url: str, *, drop: Callable[[messages.SignalResponse], bool]) -> None:
        self._server_url = server_url
        self._drop = drop

    async def __aenter__(self) -> SignalFilter:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._pass_on)
        self._client = aiohttp.ClientSession()
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._client.close()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _pass_on(self, request: web.Request) -> web.WebSocketResponse:
        headers = {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
        async with self._client.ws_connect(self._server_url + request.path_qs, headers=headers) as server:
            client = web.WebSocketResponse()
            await client.prepare(request)
            outgoing = asyncio.ensure_future(self._from_client(client, server))
            try:
                async for message in server:
                    if not self._drop(messages.SignalResponse.FromString(message.data)):
                        await client.send_bytes(message.data)
            finally:
                outgoing.cancel()
                await client.close()
        return client

    async def _from_client(
        self, client: web.WebSocketResponse, server: aiohttp.ClientWebSocketResponse
    ) -> None:
        async for message in client:
            await server.send_bytes(message.data)
        await server.close()
