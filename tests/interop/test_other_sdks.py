"""LiveKit's SDKs for Node, Go and Python on the embedded server, with our SDK at the other end: sound, pictures, data, calls,
muting, lost signal connections and lost sessions."""

from __future__ import annotations

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
    within,
)
from tcp_proxy import TcpProxy

from livekit import rtc

from .mirrors import Seen, again_when_locked_up, mirror, new_room, sdks
from .servers import RoomServer

_TONE_HZ = 660.0

pytestmark = pytest.mark.timeout(1600)  # the first run may have to build the peer


async def _call_from_server(server: RoomServer, room: str, identity: str) -> str:
    """What the peer answers to a call that the server itself makes."""
    url = f"{server.url.replace('ws', 'http', 1)}/twirp/livekit.RoomService/PerformRpc"
    headers = {"Authorization": "Bearer " + server.token("admin", room, room_admin=True)}
    body = {"room": room, "destination_identity": identity, "method": "greet", "payload": "server"}
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as response:
        answer = await response.json()
        assert response.status == 200, answer
        return str(answer["payload"])


@sdks
async def test_a_conversation(embedded: RoomServer, sdk: str, tmp_path: Path) -> None:
    name = f"other-sdks-{sdk}"
    room = rtc.Room()
    events = Events(room)
    async with (
        TcpProxy(embedded.url) as proxy,
        mirror(embedded, sdk, name, tmp_path / "peer.log", url=proxy.url) as peer,
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

        # data, and calls both ways
        await local.publish_data(b"how are you", topic="ask")
        (packet,) = await events.wait("data_received", lambda p: p.topic == "answer")
        assert (packet.data, packet.participant.identity) == (b"re: how are you", sdk)
        assert packet.kind == rtc.DataPacketKind.KIND_RELIABLE
        await local.publish_data(b"hurry", topic="lossy", reliable=False)
        (packet,) = await events.wait("data_received", lambda p: p.topic == "lossy")
        assert (packet.data, packet.kind) == (b"re: hurry", rtc.DataPacketKind.KIND_LOSSY)
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
        await peer.leaves()
    await room.disconnect()


@pytest.mark.parametrize(
    ("sdk", "restarts"),
    [
        ("node", ("full-reconnect", "node-failure")),
        ("go", ("node-failure", "migration")),
        ("python", ("full-reconnect", "migration")),
    ],
)
@again_when_locked_up
async def test_pictures_and_restarts(
    embedded: RoomServer, sdk: str, restarts: tuple[str, ...], tmp_path: Path
) -> None:
    name = new_room(f"pictures-{sdk}")
    room = rtc.Room()
    events, seen = Events(room), Seen(room, sdk)
    async with mirror(embedded, sdk, name, tmp_path / "peer.log") as peer:
        await room.connect(embedded.url, embedded.token("tester", name))
        local = room.local_participant
        async with microphone(room, _TONE_HZ), camera(room, GREEN) as (_, picture):
            await seen.mirrored(_TONE_HZ, GREEN)

            picture.mute()
            await events.wait("data_received", lambda p: (p.topic, p.data) == ("muted", b"card"))
            picture.unmute()
            await events.wait("data_received", lambda p: (p.topic, p.data) == ("unmuted", b"card"))
            await seen.mirrored(_TONE_HZ, GREEN)
            if peer.can_mute:
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
        await peer.leaves()
    await room.disconnect()
