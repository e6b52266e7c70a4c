"""LiveKit's SDKs for Node and Go on the embedded server, with our SDK at the other end: sound, pictures, data, text, calls,
muting, lost signal connections and lost sessions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from room_tools import (
    GREEN,
    Ear,
    Events,
    camera,
    microphone,
    play,
    running,
    wait_for_picture,
    within,
)
from tcp_proxy import TcpProxy

from livekit import rtc

from .peers import go_peer_binary, node_sdk_folder
from .servers import RoomServer

_HERE = Path(__file__).parent
_TONE_HZ = 660.0


def _command(sdk: str) -> tuple[list[str], Path]:
    """What starts the mirror, and where."""
    if sdk == "node":
        return ["node", str(_HERE / "node_peer.mjs")], node_sdk_folder()
    return [str(go_peer_binary())], _HERE


def _end_of(log: Path) -> str:
    return log.read_text()[-2000:]


async def _until_ready(output: asyncio.StreamReader, log: Path) -> None:
    """Skip what the SDK logs."""
    said = [b""]
    while said[-1].strip() != b"READY":
        said.append(await output.readline())
        assert said[-1], f"the peer never connected: {said[-5:]}\n{_end_of(log)}"


@contextlib.asynccontextmanager
async def _mirror(
    server: RoomServer, url: str, sdk: str, room: str, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A connected mirror, a process of its own; `url` leads to the server."""
    command, folder = await asyncio.to_thread(_command, sdk)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            *(url, server.token(sdk, room), sdk),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
        )
    try:
        assert process.stdout is not None
        await asyncio.wait_for(_until_ready(process.stdout, log), 30)
        rest = asyncio.create_task(process.stdout.read())  # a full pipe would stop the peer
        yield process
        rest.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _call_from_server(server: RoomServer, room: str, identity: str) -> str:
    """What the peer answers to a call that the server itself makes."""
    url = f"{server.url.replace('ws', 'http', 1)}/twirp/livekit.RoomService/PerformRpc"
    headers = {"Authorization": "Bearer " + server.token("admin", room, room_admin=True)}
    body = {"room": room, "destination_identity": identity, "method": "greet", "payload": "server"}
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as response:
        answer = await response.json()
        assert response.status == 200, answer
        return str(answer["payload"])


@pytest.mark.timeout(1600)  # the first run may have to build the peer
@pytest.mark.parametrize("sdk", ["node", "go"])
async def test_a_conversation(embedded: RoomServer, sdk: str, tmp_path: Path) -> None:
    name = f"other-sdks-{sdk}"
    room, texts = rtc.Room(), asyncio.Queue[str]()
    events, readers = Events(room), set[asyncio.Task[None]]()

    async def read(reader: rtc.TextStreamReader) -> None:
        texts.put_nowait(await reader.read_all())

    room.register_text_stream_handler(
        "answer", lambda reader, _: readers.add(asyncio.ensure_future(read(reader)))
    )
    async with (
        TcpProxy(embedded.url) as proxy,
        _mirror(embedded, proxy.url, sdk, name, tmp_path / "peer.log") as process,
    ):
        await room.connect(embedded.url, embedded.token("tester", name))
        local = room.local_participant

        async def greet(data: rtc.RpcInvocationData) -> str:
            return f"{data.caller_identity}, {data.payload}: hello"

        local.register_rpc_method("greet", greet)
        assert list(room.remote_participants) == [sdk]

        # sound there and back
        source = rtc.AudioSource(48_000, 1)
        track = rtc.LocalAudioTrack.create_audio_track("voice", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        async with running(play(source, _TONE_HZ)):
            await within(local.publish_track(track, options))
            echo, publication, _ = await events.wait("track_subscribed")
            assert publication.name == "mirror"
            await Ear(rtc.AudioStream(echo)).wait_for_tone(_TONE_HZ)

        # data, text, and calls both ways
        await local.publish_data(b"how are you", topic="ask")
        (packet,) = await events.wait("data_received", lambda p: p.topic == "answer")
        assert (packet.data, packet.participant.identity) == (b"re: how are you", sdk)
        await local.send_text("long " * 5000, topic="ask")
        assert await within(texts.get()) == "re: " + "long " * 5000
        answer = await local.perform_rpc(destination_identity=sdk, method="greet", payload="tester")
        assert answer == f"{sdk} greets tester"
        await local.publish_data(b"", topic="call")
        (packet,) = await events.wait("data_received", lambda p: p.topic == "called")
        assert packet.data.decode() == f"{sdk}, {sdk}: hello"

        track.mute()
        (packet,) = await events.wait("data_received", lambda p: p.topic == "muted")
        assert packet.data == b"voice"

        # its signal connection is lost, and resumed
        connections = proxy.connections
        proxy.cut()
        await proxy.reached(connections + 1)
        await events.wait("data_received", lambda p: p.topic == "back")
        await local.publish_data(b"still there", topic="ask")
        await events.wait("data_received", lambda p: p.data == b"re: still there")
        assert events.names("participant_disconnected", "track_unsubscribed") == []
        assert await _call_from_server(embedded, name, sdk) == f"{sdk} greets server"

        await local.publish_data(b"", topic="bye")
        await events.wait("participant_disconnected")
        assert await within(process.wait()) == 0
    await room.disconnect()


class _Seen:
    """The peer's tracks as our SDK receives them now."""

    def __init__(self, room: rtc.Room, events: Events, peer: str) -> None:
        self._room, self._events, self._peer = room, events, peer

    async def _track(self, kind: int) -> rtc.RemoteTrack:
        def find() -> rtc.RemoteTrack | None:
            peer = self._room.remote_participants.get(self._peer)
            publications = peer.track_publications.values() if peer is not None else ()
            return next((p.track for p in publications if p.kind == kind and p.track is not None), None)

        await self._events.until(lambda: find() is not None, f"a track of kind {kind}")
        track = find()
        assert track is not None
        return track

    async def mirrored(self, hz: float, colour: tuple[int, int, int]) -> None:
        """Our tone and our picture come back."""
        sound = rtc.AudioStream(await self._track(rtc.TrackKind.KIND_AUDIO))
        await Ear(sound).wait_for_tone(hz)
        await sound.aclose()
        video = rtc.VideoStream(await self._track(rtc.TrackKind.KIND_VIDEO))
        await wait_for_picture(video, colour, (320, 240))
        await video.aclose()


@pytest.mark.timeout(1600)  # the first run may have to build the peer
@pytest.mark.parametrize(
    ("sdk", "restarts"), [("node", ("full-reconnect", "node-failure")), ("go", ("node-failure", "migration"))]
)
async def test_pictures_and_restarts(
    embedded: RoomServer, sdk: str, restarts: tuple[str, ...], tmp_path: Path
) -> None:
    name = f"pictures-{sdk}"
    room = rtc.Room()
    events, seen = Events(room), _Seen(room, Events(room), sdk)
    async with _mirror(embedded, embedded.url, sdk, name, tmp_path / "peer.log") as process:
        await room.connect(embedded.url, embedded.token("tester", name))
        local = room.local_participant
        async with microphone(room, _TONE_HZ), camera(room, GREEN) as (_, picture):
            await seen.mirrored(_TONE_HZ, GREEN)

            picture.mute()
            await events.wait("data_received", lambda p: (p.topic, p.data) == ("muted", b"card"))
            picture.unmute()
            await events.wait("data_received", lambda p: (p.topic, p.data) == ("unmuted", b"card"))
            await seen.mirrored(_TONE_HZ, GREEN)
            if sdk == "go":  # the SDK for Node can't mute
                await local.publish_data("on", topic="mute")
                await events.wait("track_muted", lambda who, _: who.identity == sdk, count=2)
                await local.publish_data("off", topic="mute")
                await events.wait("track_unmuted", lambda who, _: who.identity == sdk, count=2)
                await seen.mirrored(_TONE_HZ, GREEN)

            await local.publish_data("signal", topic="simulate")
            await events.wait("data_received", lambda p: p.topic == "back")
            await seen.mirrored(_TONE_HZ, GREEN)
            assert events.names("participant_disconnected", "track_unsubscribed") == []

            for count, restart in enumerate(restarts, 1):
                await local.publish_data(restart, topic="simulate")
                await events.wait("participant_disconnected", count=count)
                await events.wait("data_received", lambda p: p.topic == "back", count=count + 1)
                await seen.mirrored(_TONE_HZ, GREEN)
        await local.publish_data(b"", topic="bye")
        await events.wait("participant_disconnected", count=len(restarts) + 1)
        assert await within(process.wait()) == 0
    await room.disconnect()
