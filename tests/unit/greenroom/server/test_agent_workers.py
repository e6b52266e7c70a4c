"""Agent workers: registration, finding one for a job, and what ends jobs."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import jwt
import pytest
from google.protobuf import json_format
from livekit.protocol import agent, models
from livekit.protocol.agent import JobStatus, JobType
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from server_fakes import PATIENCE_S, Harness, SignalClient

from greenroom.server import Limits, agent_worker, agents
from livekit import api


class Worker:
    """A worker driven message by message."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.id = ""

    async def send(self, **message: Any) -> None:
        await self.websocket.send_bytes(agent.WorkerMessage(**message).SerializeToString())

    async def expect(self, kind: str) -> Any:
        frame = await asyncio.wait_for(self.websocket.receive(), PATIENCE_S)
        assert frame.type is aiohttp.WSMsgType.BINARY, frame
        message = agent.ServerMessage.FromString(frame.data)
        assert message.WhichOneof("message") == kind
        return getattr(message, kind)

    async def settle(self) -> None:
        """Until the server has handled all that was sent."""
        await self.send(ping=agent.WorkerPing(timestamp=7))
        assert (await self.expect("pong")).last_timestamp == 7

    async def take(self, **answer: Any) -> agent.JobAssignment:
        """Accept the next job."""
        job = (await self.expect("availability")).job
        answer = {"available": True, "participant_identity": f"agent-{job.id}", **answer}
        await self.send(availability=agent.AvailabilityResponse(job_id=job.id, **answer))
        assignment: agent.JobAssignment = await self.expect("assignment")
        assert assignment.job.id == job.id
        return assignment

    async def closed(self) -> None:
        frame = await asyncio.wait_for(self.websocket.receive(), PATIENCE_S)
        assert frame.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def connect(harness: Harness, **grants: Any) -> Worker:
    token = harness.server.token("", "", **{"agent": True, **grants})
    headers = {"Authorization": f"Bearer {token}"}
    return Worker(await harness.http.ws_connect(f"{harness.server.url}/agent", headers=headers))


async def register(
    harness: Harness, name: str = "", type: JobType = JobType.JT_ROOM, **fields: Any
) -> Worker:
    worker = await connect(harness)
    await worker.send(register=agent.RegisterWorkerRequest(agent_name=name, type=type, **fields))
    response = await worker.expect("register")
    worker.id = response.worker_id
    assert worker.id.startswith("AW_")
    assert (response.server_info.agent_protocol, response.server_info.protocol) == (1, 17)
    return worker


def client(harness: Harness) -> api.LiveKitAPI:
    return api.LiveKitAPI(harness.server.url, harness.server.api_key, harness.server.api_secret)


def dispatch_of(harness: Harness, name: str = "", room: str = "room") -> agents.Dispatch:
    found = harness.server.rooms.get(room)
    assert found is not None
    assert harness.server._http is not None
    (dispatch,) = [d for d in harness.server._http._agents.dispatches(found) if d.info.agent_name == name]
    return dispatch


# ---- registration ----


async def test_only_agents_may_connect(harness: Harness) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
        await connect(harness, agent=False)
    assert raised.value.status == 401
    async with harness.http.get(harness.server.http_url + "/agent") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "message",
    [
        {"update_worker": agent.UpdateWorkerStatus(load=0.5)},
        {"register": agent.RegisterWorkerRequest(type=99)},
        {"register": agent.RegisterWorkerRequest(deployment="a b")},
    ],
    ids=["not registered", "job type", "deployment"],
)
async def test_a_bad_beginning_ends_the_connection(harness: Harness, message: dict[str, Any]) -> None:
    worker = await connect(harness)
    await worker.settle()
    await worker.send(**message)
    await worker.closed()
    assert harness.server.counters["agent_connections_refused"] == 1


async def test_noise_and_a_second_registration_end_the_connection(harness: Harness) -> None:
    worker = await register(harness)
    await worker.send(register=agent.RegisterWorkerRequest())
    await worker.closed()
    worker = await register(harness)
    await worker.websocket.send_bytes(b"\xff")
    await worker.closed()


async def test_a_worker_that_never_registers(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.server.agent_socket.REGISTER_LIMIT_S", 0.05)
    await (await connect(harness)).closed()


async def test_text_is_answered_in_text(harness: Harness) -> None:
    worker = await connect(harness)
    await worker.websocket.send_str('{"register": {"type": "JT_ROOM", "agentName": "a"}}')
    frame = await worker.websocket.receive()
    answer = json_format.Parse(frame.data, agent.ServerMessage())
    assert answer.register.worker_id.startswith("AW_")
    assert '"workerId"' in frame.data


# ---- jobs ----


async def test_a_room_without_agents_gets_the_unnamed_worker(harness: Harness) -> None:
    worker, named = await register(harness), await register(harness, "other")
    await harness.join("anna")

    assignment = await worker.take(participant_name="Helper", participant_attributes={"a": "b"})

    job = assignment.job
    assert (job.type, job.room.name, job.state.status) == (JobType.JT_ROOM, "room", JobStatus.JS_RUNNING)
    assert job.state.worker_id == worker.id
    claims = jwt.decode(assignment.token, harness.server.api_secret, algorithms=["HS256"])
    assert (claims["sub"], claims["kind"], claims["name"]) == (f"agent-{job.id}", "agent", "Helper")
    assert claims["attributes"] == {"a": "b", "lk.agent_name": ""}
    video = claims["video"]
    assert (video["room"], video["agent"], video["roomJoin"]) == ("room", True, True)
    assert (video["canPublish"], video["canUpdateOwnMetadata"]) == (True, True)
    await named.settle()


async def test_agents_of_the_token_and_of_create_room(harness: Harness) -> None:
    worker = await register(harness, "helper")
    async with client(harness) as server:
        agents_ = [RoomAgentDispatch(agent_name="helper", metadata="m")]
        await server.room.create_room(api.CreateRoomRequest(name="hall", agents=agents_))
    assert (await worker.take()).job.metadata == "m"
    config = api.RoomConfiguration(agents=[RoomAgentDispatch(agent_name="helper", metadata="of token")])
    await harness.join("anna", room_config=config)
    assert (await worker.take()).job.metadata == "of token"


async def test_a_worker_that_comes_later_gets_what_waits_for_it(harness: Harness) -> None:
    await harness.join("anna")
    async with client(harness) as server:
        await server.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(room="room", agent_name="helper")
        )
    worker = await register(harness, "helper")
    assert (await worker.take()).job.agent_name == "helper"
    other = await register(harness, "helper")
    await other.settle()  # there is a job already


async def test_participants_and_publishers_get_a_job_each(harness: Harness) -> None:
    for_participants = await register(harness, type=JobType.JT_PARTICIPANT)
    for_publishers = await register(harness, type=JobType.JT_PUBLISHER)
    anna = await harness.join("anna")
    assert (await for_participants.take()).job.participant.identity == "anna"
    await for_publishers.settle()
    anna.activate()
    await anna.publish("mic")
    await anna.publish("cam", "video")
    assert (await for_publishers.take()).job.participant.identity == "anna"
    await harness.join("recorder", recorder=True)
    await harness.join("other agent", kind="agent")
    await for_participants.settle()
    await for_publishers.settle()


async def test_the_next_worker_is_asked_when_one_declines(harness: Harness) -> None:
    first, second = await register(harness, "helper"), await register(harness, "helper")
    await first.send(update_worker=agent.UpdateWorkerStatus(load=0.999999))
    await first.settle()
    await harness.join("anna", room_config={"agents": [{"agentName": "helper"}]})
    job = (await second.expect("availability")).job
    await second.send(availability=agent.AvailabilityResponse(job_id=job.id, available=False))
    assert (await first.take()).job.id == job.id


async def test_full_workers_are_not_asked(harness: Harness) -> None:
    worker = await register(harness)
    await worker.send(update_worker=agent.UpdateWorkerStatus(status=agent.WorkerStatus.WS_FULL))
    await worker.settle()
    await harness.join("anna")
    await worker.settle()


async def test_silence_fails_the_job(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_worker, "ANSWER_LIMIT_S", 0.02)
    worker = await register(harness)
    await harness.join("anna")
    await worker.expect("availability")
    while dispatch_of(harness).launching:
        await asyncio.wait(dispatch_of(harness).launching)
    assert not dispatch_of(harness).jobs


async def test_a_worker_may_call_the_job_done_without_taking_it(harness: Harness) -> None:
    worker = await register(harness)
    await harness.join("anna")
    job = (await worker.expect("availability")).job
    await worker.send(availability=agent.AvailabilityResponse(job_id=job.id, terminate=True))
    await worker.settle()
    await asyncio.gather(*dispatch_of(harness).launching)
    ((_, done),) = dispatch_of(harness).jobs.values()
    assert done.state.status == JobStatus.JS_SUCCESS


async def agent_joins(harness: Harness, assignment: agent.JobAssignment) -> SignalClient:
    agent_client = await harness.connect(assignment.token)
    await agent_client.expect("join")
    return agent_client


async def test_an_agent_that_leaves_has_failed(harness: Harness) -> None:
    worker = await register(harness)
    await harness.join("anna")
    assignment = await worker.take()
    participant = await agent_joins(harness, assignment)
    await participant.send(leave={})
    termination = await worker.expect("termination")
    assert termination.job_id == assignment.job.id
    async with client(harness) as server:
        (dispatch,) = await server.agent_dispatch.list_dispatch("room")
    state = dispatch.state.jobs[0].state
    assert (state.status, state.error) == (JobStatus.JS_FAILED, "agent worker left the room")


async def test_a_job_that_is_done(harness: Harness) -> None:
    worker = await register(harness)
    await harness.join("anna")
    assignment = await worker.take()
    for job_id in ("AJ_unknown", assignment.job.id):
        await worker.send(update_job=agent.UpdateJobStatus(job_id=job_id, status=JobStatus.JS_SUCCESS))
    await worker.settle()
    ((_, job),) = dispatch_of(harness).jobs.values()
    assert job.state.status == JobStatus.JS_SUCCESS
    assert job.state.ended_at > 0


async def test_a_deleted_dispatch_takes_its_agent_along(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "LEAVE_LIMIT_S", 0.02)
    worker = await register(harness)
    await harness.join("anna")
    assignment = await worker.take()
    participant = await agent_joins(harness, assignment)
    async with client(harness) as server:
        dispatch_id = dispatch_of(harness).info.id
        await server.agent_dispatch.delete_dispatch(dispatch_id, "room")
        assert (await worker.expect("termination")).job_id == assignment.job.id
        leave = await participant.expect("leave")
        assert leave.reason == models.DisconnectReason.PARTICIPANT_REMOVED
        assert await server.agent_dispatch.list_dispatch("room") == []
        with pytest.raises(api.TwirpError, match="dispatch ID not found"):
            await server.agent_dispatch.delete_dispatch(dispatch_id, "room")


async def test_a_closed_room_ends_its_jobs(harness: Harness) -> None:
    worker = await register(harness)
    await harness.join("anna")
    await worker.take()
    async with client(harness) as server:
        await server.room.delete_room(api.DeleteRoomRequest(room="room"))
    await worker.expect("termination")


async def test_a_worker_that_vanishes(harness: Harness) -> None:
    worker = await register(harness)
    anna = await harness.join("anna")
    await worker.expect("availability")
    await worker.websocket.close()
    await anna.settle()
    while dispatch_of(harness).launching:
        await asyncio.wait(dispatch_of(harness).launching)
    assert (await (await register(harness)).take()).job.room.name == "room"


async def test_a_worker_tries_itself_out(harness: Harness) -> None:
    worker = await register(harness, "helper")
    room = models.Room(name="test")
    await worker.send(simulate_job=agent.SimulateJobRequest(room=room))
    assert (await worker.take()).job.room.name == "test"


async def test_what_is_remembered_is_bounded(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "REMEMBERED_JOBS", 3)
    worker = await register(harness, type=JobType.JT_PARTICIPANT)
    await harness.join("anna")
    await worker.take()
    for number in range(6):
        guest = await harness.join(f"guest{number}")
        job = (await worker.take()).job
        await worker.send(update_job=agent.UpdateJobStatus(job_id=job.id, status=JobStatus.JS_SUCCESS))
        await worker.settle()
        await guest.send(leave={})
        await guest.closed()
    dispatch = dispatch_of(harness)
    assert len(dispatch.jobs) == 3
    assert len(dispatch.served) == 1
    assert JobStatus.JS_RUNNING in {job.state.status for _, job in dispatch.jobs.values()}


async def test_dispatches_of_a_room_are_bounded() -> None:
    async with Harness(limits=Limits(dispatches_per_room=2)) as harness, client(harness) as server:
        request = api.CreateAgentDispatchRequest(room="room", agent_name="helper")
        await server.agent_dispatch.create_dispatch(request)
        with pytest.raises(api.TwirpError, match="the room has 2 dispatches"):
            await server.agent_dispatch.create_dispatch(request)


async def test_dispatches_where_rooms_must_exist() -> None:
    async with Harness(auto_create_rooms=False) as harness, client(harness) as server:
        for call in (
            server.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(room="gone")),
            server.agent_dispatch.list_dispatch("gone"),
            server.agent_dispatch.delete_dispatch("AD_x", "gone"),
        ):
            with pytest.raises(api.TwirpError, match="requested room does not exist"):
                await call


@pytest.mark.parametrize(
    ("deployment", "error"),
    [
        ("", None),
        ("blue-2", None),
        ("x" * 65, "deployment exceeds 64 bytes"),
        ("a_b", "deployment contains reserved character '_'"),
        ("a b", "deployment contains whitespace or control byte at position 1"),
    ],
)
def test_names_of_deployments(deployment: str, error: str | None) -> None:
    assert agent_worker.deployment_error(deployment) == error


async def test_a_worker_that_does_not_read_does_not_delay_the_end(harness: Harness) -> None:
    worker = await register(harness)
    transport = worker.websocket._response.connection.transport  # type: ignore[union-attr]
    transport.pause_reading()
    await asyncio.wait_for(harness.server.stop(), 3.0)


async def test_stopping_the_server_ends_workers(harness: Harness) -> None:
    worker = await register(harness)
    await harness.server.stop()
    await worker.closed()
