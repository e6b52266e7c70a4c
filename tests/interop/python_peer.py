"""The mirror in LiveKit's SDK for Python: plays back what it hears and sees, answers data, texts, files and calls, and calls
back; says what was muted and when it is back after a loss; mutes its own tracks and simulates failures when it is told to.

usage: PYTHON python_peer.py URL TOKEN NAME, by the official SDK's interpreter
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable

from livekit import rtc
from livekit.rtc._proto.room_pb2 import SimulateScenarioKind

RATE_HZ = 48_000
SCENARIOS = {
    "signal": SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT,
    "full-reconnect": SimulateScenarioKind.SIMULATE_FULL_RECONNECT,
    "node-failure": SimulateScenarioKind.SIMULATE_NODE_FAILURE,
    "migration": SimulateScenarioKind.SIMULATE_MIGRATION,
}


class Mirror:
    def __init__(self, room: rtc.Room, name: str) -> None:
        self.room, self.name = room, name
        self.left = asyncio.Event()
        self._tasks: set[asyncio.Future[None]] = set()
        # Our sources, one a kind. Each plays the last track of its kind that was subscribed: after a restart that is another.
        self._sound: rtc.AudioSource | None = None
        self._heard: rtc.RemoteTrack | None = None
        self._capturing = asyncio.Lock()  # the SDK refuses a frame while it takes another
        self._picture: rtc.VideoSource | None = None
        room.on("track_subscribed", self._on_track)
        room.on("data_received", self._on_data)
        room.on("track_muted", lambda who, publication: self._say("muted", publication.name, who.identity))
        room.on(
            "track_unmuted", lambda who, publication: self._say("unmuted", publication.name, who.identity)
        )
        room.on("reconnected", lambda: self._say("back", name, "tester"))
        room.register_text_stream_handler("ask", lambda *asked: self._start(self._answer_text(*asked)))
        room.register_byte_stream_handler("ask", lambda *asked: self._start(self._answer_file(*asked)))

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _say(self, topic: str, words: str, to: str, reliable: bool = True) -> None:
        local = self.room.local_participant
        self._start(local.publish_data(words, reliable=reliable, topic=topic, destination_identities=[to]))

    def _on_track(self, track: rtc.RemoteTrack, *_: object) -> None:
        is_sound = track.kind == rtc.TrackKind.KIND_AUDIO
        self._start(self._mirror_sound(track) if is_sound else self._mirror_picture(track))

    async def _publish(self, track: rtc.LocalTrack, source: int) -> None:
        options = rtc.TrackPublishOptions(source=source, simulcast=False)
        await self.room.local_participant.publish_track(track, options)

    async def _mirror_sound(self, track: rtc.RemoteTrack) -> None:
        self._heard = track
        if self._sound is None:
            self._sound = rtc.AudioSource(RATE_HZ, 1)
            echo = rtc.LocalAudioTrack.create_audio_track("mirror", self._sound)
            await self._publish(echo, rtc.TrackSource.SOURCE_MICROPHONE)
        async for event in rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1):
            if self._heard is not track:
                return
            async with self._capturing:
                await self._sound.capture_frame(event.frame)

    async def _mirror_picture(self, track: rtc.RemoteTrack) -> None:
        async for event in rtc.VideoStream(track):
            if self._picture is None:
                self._picture = rtc.VideoSource(event.frame.width, event.frame.height)
                echo = rtc.LocalVideoTrack.create_video_track("mirror", self._picture)
                await self._publish(echo, rtc.TrackSource.SOURCE_CAMERA)
            self._picture.capture_frame(event.frame)

    def _on_data(self, packet: rtc.DataPacket) -> None:
        words, sender = packet.data.decode(), packet.participant.identity if packet.participant else ""
        if packet.topic == "ask":
            self._say("answer", f"re: {words}", sender)
        elif packet.topic == "lossy":
            self._say("lossy", f"re: {words}", sender, reliable=False)
        elif packet.topic == "call":
            self._start(self._call_back(sender))
        elif packet.topic == "mute":
            for publication in self.room.local_participant.track_publications.values():
                (publication.track.mute if words == "on" else publication.track.unmute)()
        elif packet.topic == "simulate":
            self._start(self.room.simulate_scenario(SCENARIOS[words]))
        elif packet.topic == "bye":
            self.left.set()

    async def _call_back(self, identity: str) -> None:
        local = self.room.local_participant
        answer = await local.perform_rpc(
            destination_identity=identity, method="greet", payload=self.name, response_timeout=10
        )
        self._say("called", answer, identity)

    async def _answer_text(self, reader: rtc.TextStreamReader, sender: str) -> None:
        text = await reader.read_all()
        writer = await self.room.local_participant.stream_text(
            topic="answer", attributes=reader.info.attributes, destination_identities=[sender]
        )
        for part in ("re: ", text):
            await writer.write(part)
        await writer.aclose()

    async def _answer_file(self, reader: rtc.ByteStreamReader, sender: str) -> None:
        info, parts = reader.info, [part async for part in reader]
        writer = await self.room.local_participant.stream_bytes(
            f"re: {info.name}",
            total_size=info.size,
            mime_type=info.mime_type,
            attributes={**(info.attributes or {}), "seen": f"{info.name} {info.mime_type} {info.size}"},
            topic="answer",
            destination_identities=[sender],
        )
        for part in parts:
            await writer.write(part)
        await writer.aclose()

    async def greet(self, data: rtc.RpcInvocationData) -> str:
        return f"{self.name} greets {data.payload}"


def tell_what_the_core_logs() -> None:
    """On standard error: what the SDK's Rust core has to say."""
    os.environ["LIVEKIT_RTC_DEBUG"] = "1"
    logging.basicConfig(format="%(asctime)s.%(msecs)03d %(message).300s", datefmt="%H:%M:%S")
    logger = logging.getLogger("livekit")
    logger.setLevel(logging.DEBUG)
    logger.addFilter(lambda said: said.getMessage().startswith("livekit"))


async def main(url: str, token: str, name: str) -> None:
    tell_what_the_core_logs()
    room = rtc.Room()
    mirror = Mirror(room, name)
    await room.connect(url, token)
    room.local_participant.register_rpc_method("greet", mirror.greet)
    print("READY", flush=True)
    await mirror.left.wait()
    await room.disconnect()


asyncio.run(main(*sys.argv[1:]))
