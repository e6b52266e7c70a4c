"""One room on two livekit-server nodes that share Redis: who joins through either is in it, and stays in it when the node
that signalled, or the node that the room lived on, is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from reconnect_cases import RESUMED, Behind
from room_tools import Ear, Events, Rooms, microphone, within
from tcp_proxy import TcpProxy

from livekit import api, rtc

from .nodes import Cluster, Node, cluster, documented

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as running:
        yield running


class Spanning:
    """A room that lives on `home`: alice came through the first node, bob through the second, both behind balancers."""

    def __init__(self, nodes: Cluster, home: Node, alice: TcpProxy, bob: TcpProxy) -> None:
        self.nodes, self.home = nodes, home
        self.balancers = {"alice": alice, "bob": bob}
        self.rooms = Rooms(nodes.first.server)
        self.joined: dict[str, tuple[rtc.Room, Events]] = {}

    async def join(self) -> None:
        server = self.home.server
        async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as client:
            request = api.CreateRoomRequest(name=self.rooms.name, node_id=self.home.identity)
            await client.room.create_room(request)
        for identity, proxy in self.balancers.items():
            self.rooms.server = Behind(server, proxy)
            self.joined[identity] = await self.rooms.join(identity)
        assert self.nodes.home_of(self.rooms.name) == self.home.identity

    async def hear(self, identity: str, hz: float) -> None:
        """`identity` hears that tone now, on the newest track."""
        room, events = self.joined[identity]

        def track() -> rtc.RemoteAudioTrack | None:
            publications = [
                p for r in room.remote_participants.values() for p in r.track_publications.values()
            ]
            tracks = [p.track for p in publications if isinstance(p.track, rtc.RemoteAudioTrack)]
            return tracks[0] if tracks else None

        await events.until(lambda: track() is not None, "a track to hear")
        heard = track()
        assert heard is not None
        stream = rtc.AudioStream(heard)
        try:
            await Ear(stream).wait_for_tone(hz)
        finally:
            await stream.aclose()

    async def talk(self, text: str) -> None:
        """Data and a call, both ways."""
        for speaker, listener in (("alice", "bob"), ("bob", "alice")):
            room, _ = self.joined[speaker]
            _, events = self.joined[listener]
            payload = f"{text} of {speaker}".encode()
            await within(room.local_participant.publish_data(payload))
            await events.wait("data_received", lambda packet, sent=payload: packet.data == sent)
            answer = await within(
                room.local_participant.perform_rpc(
                    destination_identity=listener, method="shout", payload=text, response_timeout=10
                )
            )
            assert answer == text.upper()


@pytest.fixture(params=["first", "second"])
async def spanning(nodes: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[Spanning]:
    home: Node = getattr(nodes, request.param)
    async with contextlib.AsyncExitStack() as balancers:
        alice = await balancers.enter_async_context(TcpProxy(nodes.first.server.url))
        bob = await balancers.enter_async_context(TcpProxy(nodes.second.server.url))
        room = Spanning(nodes, home, alice, bob)
        await room.join()
        for joined, _ in room.joined.values():
            joined.local_participant.register_rpc_method("shout", lambda call: call.payload.upper())
        try:
            yield room
        finally:
            await room.rooms.leave()


async def test_who_joins_through_either_node_is_in_the_room(spanning: Spanning) -> None:
    (alice, _), (bob, _) = spanning.joined["alice"], spanning.joined["bob"]
    async with microphone(alice, 600), microphone(bob, 900):
        await spanning.hear("bob", 600)
        await spanning.hear("alice", 900)
        await spanning.talk("before")


async def test_a_node_goes_away_and_both_go_on_through_the_other(spanning: Spanning) -> None:
    """When the room lived on the node that stays, the session of the client that came through the other is resumed and
    nobody else notices; when it lived on the one that went, both start anew, in the same room."""
    nodes, (alice, alice_events), (bob, bob_events) = spanning.nodes, *spanning.joined.values()
    survives = spanning.home is nodes.second
    async with microphone(alice, 600), microphone(bob, 900):
        await spanning.hear("bob", 600)
        await spanning.hear("alice", 900)
        told = len(alice_events.all), len(bob_events.all)
        spanning.balancers["alice"].lead_to(nodes.second.server.url)
        nodes.first.crash()
        await alice_events.wait("reconnected")
        if survives:
            since = [
                name
                for name, _ in alice_events.all[told[0] :]
                if name in (*RESUMED, "local_track_republished")
            ]
            assert since == RESUMED
            seen = {name for name, _ in bob_events.all[told[1] :]}
            assert not seen & {"reconnecting", "participant_disconnected", "track_unpublished"}
        else:
            await bob_events.wait("reconnected")
            assert alice_events.of("local_track_republished")
            assert nodes.home_of(spanning.rooms.name) == nodes.second.identity
        await spanning.hear("bob", 600)
        await spanning.hear("alice", 900)
        await spanning.talk("after")


async def test_the_guides_program_runs_on_both_nodes(nodes: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "meet.py"
    script.write_text(documented("python"))
    server = nodes.first.server
    environment = {
        **os.environ,
        "LIVEKIT_URL": server.url,
        "LIVEKIT_OTHER_URL": nodes.second.server.url,
        "LIVEKIT_API_KEY": server.api_key,
        "LIVEKIT_API_SECRET": server.api_secret,
    }
    ran = await asyncio.create_subprocess_exec(
        sys.executable, script, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await within(ran.communicate(), 40)
    assert ran.returncode == 0, errors.decode()
    assert nodes.home_of("lobby") in (nodes.first.identity, nodes.second.identity)


def test_the_guides_configuration_is_one_that_serve_reads(tmp_path: Path) -> None:
    """But for what only many nodes need, which it names."""
    path = tmp_path / "node.yaml"
    path.write_text(documented("yaml"))
    command = [sys.executable, "-m", "greenroom", "serve", "--check", "--config", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    assert "redis" in ran.stdout + ran.stderr
