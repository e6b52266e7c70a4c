"""A livekit-agents worker, run as a process of its own: it waits for a job, joins, and speaks one sentence.

usage: PYTHON agent_program.py URL API_KEY API_SECRET AGENT_NAME

The voice is a 440 Hz tone, so that nothing has to be fetched from anywhere. Says READY when it is registered.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import numpy as np
from livekit.agents import tts
from livekit.agents.voice import room_io

from livekit import agents

RATE_HZ = 24_000
TONE_HZ = 440.0
SPOKEN_S = 3.0


class _Stream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="tone", sample_rate=RATE_HZ, num_channels=1, mime_type="audio/pcm"
        )
        position = np.arange(int(RATE_HZ * SPOKEN_S))
        wave = np.sin(position * (2 * np.pi * TONE_HZ / RATE_HZ)) * 10_000
        output_emitter.push(wave.astype(np.int16).tobytes())
        output_emitter.flush()


class ToneVoice(tts.TTS):
    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE_HZ, num_channels=1
        )

    def synthesize(self, text: str, *, conn_options: Any = agents.DEFAULT_API_CONNECT_OPTIONS) -> _Stream:
        return _Stream(tts=self, input_text=text, conn_options=conn_options)


async def speak(context: agents.JobContext) -> None:
    session: agents.AgentSession = agents.AgentSession(tts=ToneVoice())
    heard = room_io.AudioInputOptions(
        auto_gain_control=False
    )  # the audio processing module is not needed here
    await session.start(
        agent=agents.Agent(instructions="Say hello."),
        room=context.room,
        room_options=room_io.RoomOptions(audio_input=heard),
    )
    await session.say(context.job.metadata or "hello", add_to_chat_ctx=False)


async def main() -> None:
    url, key, secret, name = sys.argv[1:]
    server = agents.AgentServer(
        job_executor_type=agents.JobExecutorType.THREAD,
        ws_url=url,
        api_key=key,
        api_secret=secret,
        host="127.0.0.1",
        port=0,
        num_idle_processes=0,
        load_fnc=lambda: 0.0,
    )
    server.rtc_session(speak, agent_name=name)
    server.on("worker_registered", lambda *_: print("READY", flush=True))
    await server.run(devmode=True)


if __name__ == "__main__":
    asyncio.run(main())
