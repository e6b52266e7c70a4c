"""A server on the real engine: its ports while it runs, and nothing once it has stopped."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading

import pytest

import greenroom
from greenroom import _engine


def open_sockets() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


async def test_ports_are_bound_while_it_runs_and_free_after() -> None:
    async with greenroom.Server() as server:
        assert server.port > 0
        assert server.udp_port > 0
        assert server.tcp_port
        taken = (server.port, server.udp_port, server.tcp_port)
        with pytest.raises(OSError, match=str(server.udp_port)):
            async with greenroom.Server(udp_port=server.udp_port):
                pass

    port, udp_port, tcp_port = taken
    async with greenroom.Server(port=port, udp_port=udp_port, tcp_port=tcp_port) as again:
        assert (again.port, again.udp_port, again.tcp_port) == taken


async def test_stopping_leaves_nothing() -> None:
    async with greenroom.Server():
        pass
    _engine.shutdown()
    gc.collect()
    sockets, threads = open_sockets(), threading.active_count()

    for _ in range(3):
        async with greenroom.Server():
            pass
    _engine.shutdown()
    gc.collect()

    assert open_sockets() <= sockets
    assert threading.active_count() <= threads
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_without_tcp() -> None:
    async with greenroom.Server(tcp_port=None) as server:
        assert server.tcp_port is None


async def test_several_at_once() -> None:
    async with greenroom.Server() as first, greenroom.Server() as second:
        assert len({first.port, second.port}) == 2
        assert first.udp_port != second.udp_port


async def test_all_addresses() -> None:
    async with greenroom.Server(host="0.0.0.0") as server:
        assert server.url == f"ws://127.0.0.1:{server.port}"
        with socket.create_connection(("127.0.0.1", server.port), timeout=5):
            pass
