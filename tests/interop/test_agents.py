"""An unmodified livekit-agents worker on the embedded server: it gets a job, joins the room and is heard."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from livekit.protocol.agent import JobStatus
from room_tools import Ear, Events

from livekit import api, rtc

from .peers import agents_environment
from .servers import API_KEY, API_SECRET, RoomServer

_PROGRAM = Path(__file__).with_name("agent_program.py")
_START_LIMIT_S = 40.0


def _end_of(log: Path) -> str:
    return log.read_text()[-3000:]


@contextlib.asynccontextmanager
async def _worker(server: RoomServer, sdk: str, name: str, log: Path) -> AsyncIterator[None]:
    """A registered worker whose `livekit.rtc` is ours or the official one."""
    python, environment = agents_environment(sdk)
    arguments = (server.url, API_KEY, API_SECRET, name)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            python,
            _PROGRAM,
            *arguments,
            env={**os.environ, "PYTHONPATH": "", **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
        )
    try:
        assert process.stdout is not None
        said = await asyncio.wait_for(process.stdout.readline(), _START_LIMIT_S)
        assert said.strip() == b"READY", f"the worker never registered:\n{_end_of(log)}"
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("sdk", ["official", "greenroom"])
async def test_an_agent_is_dispatched_and_speaks(embedded: RoomServer, sdk: str, tmp_path: Path) -> None:
    name = f"speaker-{sdk}"
    room, log = rtc.Room(), tmp_path / "worker.log"
    async with _worker(embedded, sdk, name, log), api.LiveKitAPI(embedded.url, API_KEY, API_SECRET) as client:
        events = Events(room)
        await room.connect(embedded.url, embedded.token("listener", name))
        try:
            request = api.CreateAgentDispatchRequest(room=name, agent_name=name, metadata="hello")
            dispatch = await client.agent_dispatch.create_dispatch(request)
            track, _, agent = await events.wait("track_subscribed")

            assert agent.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
            assert agent.attributes["lk.agent_name"] == name
            await Ear(rtc.AudioStream(track)).wait_for_tone(440.0)

            (listed,) = [d for d in await client.agent_dispatch.list_dispatch(name) if d.agent_name == name]
            assert listed.id == dispatch.id
            (job,) = listed.state.jobs
            assert (job.state.status, job.state.participant_identity) == (
                JobStatus.JS_RUNNING,
                agent.identity,
            )

            await client.agent_dispatch.delete_dispatch(dispatch.id, name)
            await events.wait("participant_disconnected")
            assert "Traceback" not in _end_of(log)
        finally:
            await room.disconnect()
