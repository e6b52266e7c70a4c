"""The receiving participant of the demo: collects what arrives and judges whether it is what was sent."""

from __future__ import annotations

import asyncio
import contextlib
import time
import wave
from pathlib import Path

import numpy as np

from livekit import rtc

from .file_publisher import FilePublisher
from .latency_strip import age_ms
from .media_file import SAMPLE_RATE_HZ
from .recorder import write_png

_KEPT_LATENCIES = 200
_SETTLE_S = 1.0


class DemoListener:
    """A room whose received sound, last picture and data are kept."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.sound = bytearray()
        self.level = 0.0
        """RMS of the last audio frame, 0 to 1 of full scale."""
        self.picture: rtc.VideoFrame | None = None
        self.pictures = 0
        self.video_latencies_ms: list[int] = []
        self.data_latencies_ms: list[float] = []
        self.pings: dict[int, tuple[bool, float]] = {}
        """Number of a ping to (reliable, when sent)."""
        self.received: dict[bool, int] = {True: 0, False: 0}
        self.answers = 0
        self._all_answered = asyncio.Event()
        """Set when everything sent so far was answered; late in the demo that means all."""
        self.bitrate_bps: dict[str, float] = {"audio": 0.0, "video": 0.0}
        self.frames_per_second = 0.0
        self._bytes: dict[str, tuple[float, int]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: list[rtc.AudioStream | rtc.VideoStream] = []
        self._frame_times: list[float] = []
        self.room.on("track_subscribed", self._on_track)
        self.room.on("data_received", self._on_data)

    def _on_track(self, track: rtc.RemoteTrack, _publication: object, _participant: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            audio = rtc.AudioStream(track, sample_rate=SAMPLE_RATE_HZ, num_channels=1)
            self._streams.append(audio)
            self._tasks.append(asyncio.ensure_future(self._listen(audio)))
        else:
            video = rtc.VideoStream(track)
            self._streams.append(video)
            self._tasks.append(asyncio.ensure_future(self._watch(video)))

    async def _listen(self, stream: rtc.AudioStream) -> None:
        async for event in stream:
            samples = np.frombuffer(event.frame.data, np.int16)
            self.level = float(np.sqrt((samples.astype(np.float32) ** 2).mean())) / 32768
            self.sound += event.frame.data.cast("B")

    async def _watch(self, stream: rtc.VideoStream) -> None:
        async for event in stream:
            self.picture = event.frame
            self.pictures += 1
            now = time.monotonic()
            self._frame_times = [t for t in self._frame_times if t > now - 1] + [now]
            self.frames_per_second = float(len(self._frame_times))
            age = age_ms(event.frame)
            if age is not None:
                self.video_latencies_ms = [*self.video_latencies_ms[-_KEPT_LATENCIES:], age]

    def _on_data(self, packet: rtc.DataPacket) -> None:
        if packet.topic != "ping" or packet.participant is None:
            return
        number = int(packet.data)
        reliable, sent = self.pings.get(number, (True, time.monotonic()))
        self.received[reliable] += 1
        self.data_latencies_ms = [
            *self.data_latencies_ms[-_KEPT_LATENCIES:],
            (time.monotonic() - sent) * 1000,
        ]
        answer = self.room.local_participant.publish_data(
            packet.data, reliable=True, topic="pong", destination_identities=[packet.participant.identity]
        )
        self._tasks.append(asyncio.ensure_future(answer))

    def expect(self, number: int, *, reliable: bool) -> None:
        """A ping of this number is about to be sent."""
        self._all_answered.clear()
        self.pings[number] = (reliable, time.monotonic())

    def on_answer(self, packet: rtc.DataPacket) -> None:
        """The speaker got an answer."""
        if packet.topic == "pong":
            self.answers += 1
            if self.answers == len(self.pings):
                self._all_answered.set()

    async def sample_statistics(self) -> None:
        """Refresh the bitrates from the receivers' counters."""
        now = time.monotonic()
        for participant in self.room.remote_participants.values():
            for publication in participant.track_publications.values():
                if publication.track is None:
                    continue
                kind = "audio" if publication.kind == rtc.TrackKind.KIND_AUDIO else "video"
                for entry in await publication.track.get_stats():
                    if entry.HasField("inbound_rtp"):
                        self._update_bitrate(kind, now, entry.inbound_rtp.inbound.bytes_received)

    def _update_bitrate(self, kind: str, now: float, total_bytes: int) -> None:
        before, counted = self._bytes.get(kind, (now, total_bytes))
        if now - before >= 1.0:
            self.bitrate_bps[kind] = (total_bytes - counted) * 8 / (now - before)
        if now - before >= 1.0 or kind not in self._bytes:
            self._bytes[kind] = (now, total_bytes)

    async def settle(self) -> None:
        """Wait until the last data sent has been answered, for a second at most."""
        if self.answers < len(self.pings):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._all_answered.wait(), _SETTLE_S)

    @property
    def seconds_heard(self) -> float:
        return len(self.sound) / 2 / SAMPLE_RATE_HZ

    @property
    def loudest(self) -> int:
        """The highest sample heard, of 32,768."""
        samples = np.frombuffer(bytes(self.sound), np.int16)
        return int(np.abs(samples.astype(np.int32)).max()) if samples.size else 0

    @property
    def rms(self) -> float:
        """Of all the sound heard, of 32,768."""
        samples = np.frombuffer(bytes(self.sound), np.int16).astype(np.float64)
        return float(np.sqrt((samples**2).mean())) if samples.size else 0.0

    def missing(self, publisher: FilePublisher, *, wants_video: bool) -> list[str]:
        """What was sent and did not arrive, in words; empty when all is well."""
        return [
            *self._missing_sound(publisher.audio_seconds_sent, publisher.audio_rms),
            *(self._missing_pictures(publisher.pictures_sent) if wants_video else ()),
            *self._missing_data(),
        ]

    def _missing_sound(self, sent_s: float, sent_rms: float) -> list[str]:
        if sent_s == 0 or self.seconds_heard < 0.7 * sent_s:
            return [f"sound: {self.seconds_heard:.1f} s of {sent_s:.1f} s"]
        if not sent_rms / 2 <= self.rms <= sent_rms * 2:
            return [f"sound: at a level of {self.rms:.0f} where {sent_rms:.0f} was sent (of 32768)"]
        return []

    def _missing_pictures(self, sent: int) -> list[str]:
        if sent == 0 or self.pictures < 0.5 * sent:
            return [f"pictures: {self.pictures} of {sent}"]
        if not self.video_latencies_ms and self.picture is not None and self.picture.width >= 320:
            return [f"pictures: {self.pictures} came, but none shows the time stamp it was sent with"]
        return []

    def _missing_data(self) -> list[str]:
        failures = []
        reliable_sent = sum(reliable for reliable, _ in self.pings.values())
        if self.received[True] < reliable_sent or reliable_sent == 0:
            failures.append(f"reliable data: {self.received[True]} of {reliable_sent}")
        if self.received[False] == 0:
            failures.append("lossy data: none")
        if self.answers == 0:
            failures.append("answers to data: none")
        return failures

    def save(self, folder: Path) -> list[Path]:
        """Write the sound as WAV and the last picture as PNG; the files written. Earlier ones are removed."""
        folder.mkdir(parents=True, exist_ok=True)
        sound, picture = folder / "received.wav", folder / "received.png"
        for old in (sound, picture):
            old.unlink(missing_ok=True)
        if self.sound:
            with wave.open(str(sound), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(SAMPLE_RATE_HZ)
                file.writeframes(self.sound)
        if self.picture is not None:
            write_png(picture, self.picture)
        return [path for path in (sound, picture) if path.exists()]

    async def aclose(self) -> None:
        """Leave the room and end the streams."""
        for stream in self._streams:
            await stream.aclose()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()
