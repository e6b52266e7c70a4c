"""A TCP proxy on loopback that a test cuts: what goes through it is signalling, media goes past it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


class TcpProxy:
    """`url` stands for the server's. While `refusing`, connections are closed as soon as they come."""

    def __init__(self, server_url: str) -> None:
        self.lead_to(server_url)
        self._writers: set[asyncio.StreamWriter] = set()
        self._to_server: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.refusing = False
        self.connections = 0
        """Accepted so far, refused ones included."""
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> TcpProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def lead_to(self, server_url: str) -> None:
        """New connections go to another server from now on, as behind a load balancer."""
        parts = urlsplit(server_url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)

    def cut(self) -> None:
        """Reset every connection, without a word of the websocket protocol."""
        for writer in list(self._writers):
            writer.transport.abort()

    def inject(self, data: bytes) -> None:
        """Say something to the server in the client's place, between what it says itself."""
        for writer in self._to_server:
            writer.write(data)

    async def reached(self, connections: int) -> None:
        """Return when so many connections have been accepted."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: self.connections >= connections), 30)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            async with self._changed:
                self.connections += 1
                self._changed.notify_all()
            if not self.refusing:
                await self._serve(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            return
        self._writers.add(up_writer)
        self._to_server.add(up_writer)
        ways = [
            asyncio.ensure_future(_pump(reader, up_writer)),
            asyncio.ensure_future(_pump(up_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self._writers.discard(up_writer)
            self._to_server.discard(up_writer)
            up_writer.transport.abort()
            await asyncio.wait(ways)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
