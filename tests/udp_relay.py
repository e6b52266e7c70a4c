"""A UDP relay on loopback in front of a server's media port, which a test can block, or make lossy or narrow."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast
from unittest import mock

import greenroom
from greenroom.server.media_connection import MediaConnection

RELAY_ADDRESS = "127.0.0.2"
"""Another loopback address than the server's, so that the port can be the same."""
QUEUE_S = 0.3
"""What a narrow link holds back; more is lost."""


class UdpRelay:
    """Forwards between `RELAY_ADDRESS:port` and `127.0.0.1:port`; while `blocked`, it forwards nothing, and a part of `loss`
    is lost each way. The losses follow from the seed and the order in which packets come."""

    def __init__(self, port: int, *, seed: int = 0) -> None:
        self._port = port
        self._random = random.Random(seed)
        self.blocked = False
        self._blocked: set[Any] = set()
        self.loss = 0.0
        self.down_bps = 0.0
        """What each client can receive, in bits a second; 0: no limit."""
        self.dropped = 0
        """Of what clients sent; `lost` counts both ways."""
        self.lost = 0
        self.delivered = 0
        """To clients."""
        self._ways: dict[Any, asyncio.DatagramTransport] = {}

    async def __aenter__(self) -> UdpRelay:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._from_client), local_addr=(RELAY_ADDRESS, self._port)
        )
        self._front = cast(asyncio.DatagramTransport, transport)
        self._opening: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._opening:
            task.cancel()
        if self._opening:
            await asyncio.wait(self._opening)
        self._front.close()
        for way in self._ways.values():
            way.close()
        await asyncio.sleep(0)  # transports are closed by the loop

    def rebind(self) -> None:
        """From now on every client is seen to come from another port, as when a NAT has forgotten it."""
        for way in self._ways.values():
            way.close()
        self._ways.clear()

    @contextlib.contextmanager
    def newcomers(self) -> Iterator[set[Any]]:
        """The clients that come first within this block; complete at its end."""
        known, clients = set(self._ways), set[Any]()
        yield clients
        clients.update(self._ways.keys() - known)

    def block(self, clients: set[Any]) -> None:
        """Forward nothing of these alone."""
        self._blocked.update(clients)

    def unblock(self, clients: set[Any]) -> None:
        self._blocked.difference_update(clients)

    def _blocks(self, client: Any) -> bool:
        return self.blocked or client in self._blocked

    def _from_client(self, data: bytes, client: Any) -> None:
        if self._blocks(client):
            self.dropped += 1
        elif self._loses():
            pass
        elif client in self._ways:
            self._ways[client].sendto(data)
        elif len(self._opening) < 64:
            task = asyncio.ensure_future(self._open(client, data))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _loses(self) -> bool:
        loses = self._random.random() < self.loss
        self.lost += loses
        return loses

    async def _open(self, client: Any, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        free_at = 0.0

        def back(answer: bytes, _: Any) -> None:
            nonlocal free_at
            if self._blocks(client) or self._loses():
                return
            if not self.down_bps:
                self._deliver(answer, client)
                return
            begins = max(free_at, loop.time())
            if begins > loop.time() + QUEUE_S:
                self.lost += 1
                return
            free_at = begins + len(answer) * 8 / self.down_bps
            loop.call_at(free_at, self._deliver, answer, client)

        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(back), remote_addr=("127.0.0.1", self._port)
        )
        way = cast(asyncio.DatagramTransport, transport)
        if client in self._ways:
            way.close()
        else:
            self._ways[client] = way
        self._ways[client].sendto(data)

    def _deliver(self, answer: bytes, client: Any) -> None:
        if not self._front.is_closing():
            self.delivered += 1
            self._front.sendto(answer, client)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, receive: Any) -> None:
        self.datagram_received = receive  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def server_behind_relay(*, seed: int = 0) -> AsyncIterator[tuple[greenroom.Server, UdpRelay]]:
    """A server that nobody's media reaches but through the relay. It uses no address that clients tell it, as if all were
    behind NATs: it would find the way around the relay."""
    server = greenroom.Server(advertised_addresses=(RELAY_ADDRESS,), tcp_port=None)
    no_addresses = mock.patch.object(MediaConnection, "_add", return_value=None)
    # How long a client may take to come back says nothing on a busy machine.
    patient = mock.patch("greenroom.server.participant.RESUME_GRACE_S", 30)
    with no_addresses, patient:
        async with server, UdpRelay(server.udp_port, seed=seed) as relay:
            yield server, relay
