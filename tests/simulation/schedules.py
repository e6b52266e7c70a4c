"""Random programs of rooms under random faults, and what must be true when the faults are over.

python tests/simulation/schedules.py SEED     repeats one, with its story
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from greenroom.client import errors
from greenroom.testing import Host, Simulation
from livekit import rtc

if TYPE_CHECKING:
    from greenroom.testing.server import SimulatedServer

ROOM = "room"
SETTLE_LIMIT_S = 120.0
PROBE_LIMIT_S = 60.0
"""SCTP repeats what it sent into a dead path after 10 s at the latest, and then has to hear of it."""
_REFUSALS = (
    rtc.ConnectError,
    errors.PublishTrackError,
    errors.UnpublishTrackError,
    errors.PublishDataError,
    errors.RequestError,
    ConnectionError,
    asyncio.TimeoutError,
)
"""What an action may raise while the network is bad, or the session goes."""


@dataclass
class Sent:
    """A reliable message whose `publish_data` returned."""

    number: int
    sender_sid: str
    receivers: dict[str, str]
    """Who was in the room, for as long as sending took, with their SIDs."""


@dataclass
class Client:
    """One participant's story: what it does happens one after the other."""

    name: str
    host: Host
    room: rtc.Room | None = None
    tracks: list[str] = field(default_factory=list)
    """SIDs of publications that it asked for; stale after a restart."""
    sent: list[Sent] = field(default_factory=list)
    next_number: int = 0
    received: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """By sender: numbers and the own SID at that time, in order of arrival."""
    probes: set[str] = field(default_factory=set)
    ended: list[str] = field(default_factory=list)
    """Disconnections that nobody asked for."""

    @property
    def joined(self) -> bool:
        return self.room is not None and self.room.isconnected()

    @property
    def sid(self) -> str:
        return self.room.local_participant.sid if self.room is not None and self.joined else ""

    @property
    def settled(self) -> bool:
        return self.room is None or self.room.connection_state != rtc.ConnectionState.CONN_RECONNECTING


class Schedule:
    """One seed's program."""

    def __init__(
        self, simulation: Simulation, server: SimulatedServer, on_room: Callable[[rtc.Room], None]
    ) -> None:
        self._on_room = on_room
        self.simulation = simulation
        self.server = server
        self.random: random.Random = simulation.random
        count = self.random.randint(2, 4)
        self.clients = [Client(f"c{n}", simulation.host(f"c{n}")) for n in range(count)]
        self.sources: list[rtc.AudioSource] = []
        self._actions: dict[Callable[[Client], Awaitable[None]], int] = {
            self._send: 8,
            self._change_profile: 4,
            self._publish: 4,
            self._unpublish: 2,
            self._mute: 3,
            self._leave: 1,
        }
        self._faults: dict[Callable[[Host], Awaitable[None]], int] = {
            self._worse_line: 4,
            self._blackhole: 3,
            self._rebind_client: 2,
            self._cut: 3,
            self._restart_server: 1,
        }

    # ---- the program ----

    async def run(self) -> None:
        for client in self.clients:
            client.host.set_link(
                delay_s=self.random.choice([0.002, 0.02, 0.08]), jitter_s=self.random.choice([0, 0.01])
            )
        await asyncio.gather(*(self._join(client) for client in self.clients))
        faults = asyncio.ensure_future(self._break_things())
        try:
            await asyncio.gather(*(self._live(client) for client in self.clients))
            await faults
        finally:
            faults.cancel()
        self._heal()
        await self._settle()
        await self._probe()

    async def _live(self, client: Client) -> None:
        for _ in range(self.random.randint(3, 7)):
            await asyncio.sleep(self.random.expovariate(1.5))
            if not client.joined:
                await self._attempt(client, self._join)
                continue
            action = self.random.choices(list(self._actions), list(self._actions.values()))[0]
            await self._attempt(client, action)

    async def _attempt(self, client: Client, action: Callable[[Client], Awaitable[None]]) -> None:
        name = action.__name__.strip("_")
        self.simulation.record(f"{client.name} begins {name}")
        try:
            await action(client)
        except _REFUSALS as error:
            self.simulation.record(f"{client.name} could not {name}: {type(error).__name__}")
        else:
            self.simulation.record(f"{client.name} has done {name}")

    async def _break_things(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            await asyncio.sleep(self.random.uniform(0.1, 3))
            hosts = [client.host for client in self.clients] + [self.server.host]
            fault = self.random.choices(list(self._faults), list(self._faults.values()))[0]
            await fault(self.random.choice(hosts))

    # ---- what clients do ----

    async def _join(self, client: Client) -> None:
        room = rtc.Room()
        self._on_room(room)

        def on_data(packet: rtc.DataPacket) -> None:
            if packet.participant is None:
                return
            sender, text = packet.participant.identity, packet.data.decode()
            if text == "probe":
                client.probes.add(sender)
            else:
                client.received.setdefault(sender, []).append((int(text), client.sid))

        def on_disconnected(reason: int) -> None:
            if client.room is room:
                client.ended.append(rtc.DisconnectReason.Name(reason))
                self.simulation.record(f"{client.name} was disconnected: {client.ended[-1]}")

        room.on("data_received", on_data)
        room.on("disconnected", on_disconnected)
        with client.host:
            await room.connect(
                self.server.url, self.server.token(ROOM, client.name, can_update_own_metadata=True)
            )
        client.room = room
        client.tracks.clear()

    async def _leave(self, client: Client) -> None:
        room, client.room = client.room, None
        assert room is not None
        await room.disconnect()

    async def _send(self, client: Client) -> None:
        for _ in range(self.random.randint(1, 10)):
            number, client.next_number = client.next_number, client.next_number + 1
            before = {other.name: other.sid for other in self.clients if other.joined}
            await self._participant(client).publish_data(str(number).encode(), reliable=True)
            receivers = {
                other.name: other.sid
                for other in self.clients
                if other is not client and other.joined and before.get(other.name) == other.sid
            }
            client.sent.append(Sent(number, before.get(client.name, ""), receivers))

    async def _change_profile(self, client: Client) -> None:
        participant, value = self._participant(client), str(self.random.randrange(1000))
        what = self.random.randrange(3)
        if what == 0:
            await participant.set_metadata(value)
        elif what == 1:
            await participant.set_name(value)
        else:
            await participant.set_attributes({self.random.choice("ab"): value})

    async def _publish(self, client: Client) -> None:
        participant = self._participant(client)
        if len(participant.track_publications) >= 3:
            return
        if self.random.random() < 0.75:
            track: rtc.LocalTrack = rtc.LocalVideoTrack.create_video_track("cam", rtc.VideoSource(64, 64))
        else:
            self.sources.append(rtc.AudioSource(48_000, 1))
            track = rtc.LocalAudioTrack.create_audio_track("mic", self.sources[-1])
        publication = await participant.publish_track(track)
        client.tracks.append(publication.sid)

    async def _unpublish(self, client: Client) -> None:
        participant = self._participant(client)
        sids = list(participant.track_publications)
        if sids:
            await participant.unpublish_track(self.random.choice(sids))

    async def _mute(self, client: Client) -> None:
        publications = list(self._participant(client).track_publications.values())
        if publications:
            track = self.random.choice(publications).track
            if track is not None:
                (track.unmute if track.muted else track.mute)()

    @staticmethod
    def _participant(client: Client) -> rtc.LocalParticipant:
        if client.room is None:
            raise ConnectionError("not joined")
        return client.room.local_participant

    # ---- what goes wrong ----

    async def _worse_line(self, host: Host) -> None:
        host.set_link(
            loss=self.random.choice([0.02, 0.1, 0.2]),
            duplicate=self.random.choice([0, 0.05]),
            reorder=self.random.choice([0, 0.05]),
        )

    async def _blackhole(self, host: Host) -> None:
        direction = self.random.choice(["up", "down", "both"])
        await host.blackhole(self.random.uniform(0.5, 8), direction)  # type: ignore[arg-type]

    async def _rebind_client(self, host: Host) -> None:
        # A server that is not where it says it is can't be helped.
        self.random.choice(self.clients).host.rebind()

    async def _cut(self, host: Host) -> None:
        host.cut_streams()

    async def _restart_server(self, host: Host) -> None:
        await self.server.restart(down_s=self.random.uniform(0.1, 3), graceful=self.random.random() < 0.3)

    def _heal(self) -> None:
        for host in [client.host for client in self.clients] + [self.server.host]:
            host.heal()
        self.simulation.record("healed")

    # ---- what must be true then ----

    async def _settle(self) -> None:
        """Wait until both sides agree; what they disagree about when time is up."""
        wrong: list[str] = []
        for _ in range(int(SETTLE_LIMIT_S / 0.5)):
            wrong = self._differences()
            if not wrong:
                return
            await asyncio.sleep(0.5)
        assert not wrong, f"after {SETTLE_LIMIT_S:g} s without faults: " + "; ".join(wrong)

    def _differences(self) -> list[str]:
        wrong = [f"{client.name} is reconnecting" for client in self.clients if not client.settled]
        room = self.server.server.rooms.get(ROOM)
        infos = {p.identity: p.info() for p in room.started_participants()} if room is not None else {}
        joined = {client.name for client in self.clients if client.joined}
        if joined != set(infos):
            wrong.append(f"the server has {sorted(infos)}, joined are {sorted(joined)}")
        for client in self.clients:
            if client.joined and client.name in infos:
                wrong += _compare(client, infos)
        return wrong

    async def _probe(self) -> None:
        """Everybody hears everybody."""
        joined = [client for client in self.clients if client.joined]
        for client in joined:
            await self._say_probe(client)
        wanted = {client.name for client in joined}
        missing: dict[str, set[str]] = {}
        for _ in range(int(PROBE_LIMIT_S / 0.1)):
            missing = {client.name: wanted - {client.name} - client.probes for client in joined}
            if not any(missing.values()):
                break
            await asyncio.sleep(0.1)
        assert not any(missing.values()), f"not heard by: {missing}"
        self.check_messages()

    async def _say_probe(self, client: Client) -> None:
        for _ in range(2):
            try:
                return await self._participant(client).publish_data(b"probe", reliable=True)
            except errors.PublishDataError:
                # Its line may have been rebound just before, and a resume be under way.
                self.simulation.record(f"{client.name} could not send its probe")
        await self._participant(client).publish_data(b"probe", reliable=True)

    def check_messages(self) -> None:
        for receiver in self.clients:
            for sender in self.clients:
                arrived = receiver.received.get(sender.name, [])
                numbers = [number for number, _ in arrived]
                story = f"{receiver.name} heard of {sender.name}: {numbers}"
                assert len(set(numbers)) == len(numbers), f"doubled: {story}"
                assert numbers == sorted(numbers), f"out of order: {story}"
                # A session that was given up for a new one may lose what was on its way.
                wanted = {
                    sent.number
                    for sent in sender.sent
                    if sent.receivers.get(receiver.name) == receiver.sid != ""
                    and sent.sender_sid == sender.sid
                }
                assert wanted <= set(numbers), f"lost {sorted(wanted - set(numbers))}: {story}"

    async def end(self) -> None:
        for client in self.clients:
            if client.room is not None:
                room, client.room = client.room, None
                await room.disconnect()
        for source in self.sources:
            await source.aclose()


def _compare(client: Client, infos: dict[str, object]) -> list[str]:
    """What one client believes that the server does not."""
    assert client.room is not None
    seen = {client.name: client.room.local_participant, **client.room.remote_participants}
    wrong = []
    if set(seen) != set(infos):
        wrong.append(f"{client.name} sees {sorted(seen)}, the server {sorted(infos)}")
    for identity in sorted(set(seen) & set(infos)):
        mine, theirs = _view(seen[identity]), _info_view(infos[identity])
        wrong += [
            f"{client.name} says of {identity} {name}={mine[name]!r}, the server {theirs[name]!r}"
            for name in mine
            if mine[name] != theirs[name]
        ]
        if identity != client.name:
            wrong += [
                f"{client.name} has not subscribed {publication.sid} of {identity}"
                for publication in seen[identity].track_publications.values()
                if publication.track is None
            ]
    return wrong


def _view(participant: rtc.Participant) -> dict[str, object]:
    publications = participant.track_publications.values()
    return {
        "sid": participant.sid,
        "name": participant.name,
        "metadata": participant.metadata,
        "attributes": dict(participant.attributes),
        "tracks": {p.sid: (int(p.kind), p.name, p.muted) for p in publications},
    }


def _info_view(info: object) -> dict[str, object]:
    kinds = {0: 1, 1: 2}
    return {
        "sid": info.sid,  # type: ignore[attr-defined]
        "name": info.name,  # type: ignore[attr-defined]
        "metadata": info.metadata,  # type: ignore[attr-defined]
        "attributes": dict(info.attributes),  # type: ignore[attr-defined]
        "tracks": {t.sid: (kinds[t.type], t.name, t.muted) for t in info.tracks},  # type: ignore[attr-defined]
    }


def run(
    seed: int, *, keep_trace: bool = False, on_room: Callable[[rtc.Room], None] = lambda room: None
) -> Simulation:
    """Run one schedule to its end; the simulation it ran in. `on_room` is told of every room."""
    simulation = Simulation(seed=seed, keep_trace=keep_trace, time_limit_s=600)

    async def main() -> None:
        async with simulation.server() as server:
            schedule = Schedule(simulation, server, on_room)
            await schedule.run()
            await schedule.end()

    try:
        simulation.run(main)
    finally:
        if keep_trace:
            print("\n".join(simulation.trace()))
    return simulation


if __name__ == "__main__":
    import logging

    class _VirtualTime(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            try:
                now_s = f"{asyncio.get_running_loop().time():.3f}"
            except RuntimeError:
                now_s = "-"
            return f"[{now_s}] {record.levelname} {record.name}: {super().format(record)}"

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_VirtualTime())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    print(run(int(sys.argv[1]), keep_trace=True).trace_hash())
