"""One agent worker: what it can do, how busy it is, and the jobs it runs.

The worker protocol is livekit-agents' (version 1): ServerMessage down, WorkerMessage up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from livekit.protocol import agent, models

from . import ids, tokens
from .permissions import permission_claim

_logger = logging.getLogger("greenroom.server")

PROTOCOL = 1
ANSWER_LIMIT_S = 10.0
"""How long a worker may take to say whether it takes a job."""
JOB_TOKEN_LIFE_S = 3600.0
NAME_ATTRIBUTE = "lk.agent_name"
DEPLOYMENT_BYTES = 64

_ENDED = frozenset({agent.JobStatus.JS_SUCCESS, agent.JobStatus.JS_FAILED})


class Declined(Exception):
    """The worker does not take the job; `final`: nobody else is to be asked either."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


@dataclass(frozen=True)
class WorkerKey:
    """Which jobs a worker is for; all four have to be the job's."""

    agent_name: str
    namespace: str
    job_type: int
    deployment: str


def deployment_error(deployment: str) -> str | None:
    """What is wrong with the name of a deployment; None when nothing is."""
    encoded = deployment.encode()
    if len(encoded) > DEPLOYMENT_BYTES:
        return f"deployment exceeds {DEPLOYMENT_BYTES} bytes"
    for position, byte in enumerate(encoded):
        if byte == ord("_"):
            return "deployment contains reserved character '_'"
        if byte <= ord(" ") or byte == 0x7F:
            return f"deployment contains whitespace or control byte at position {position}"
    return None


class AgentWorker:
    """A registered worker. `send` writes one message to it and must not wait."""

    def __init__(
        self,
        worker_id: str,
        request: agent.RegisterWorkerRequest,
        key_pair: tuple[str, str],
        send: Callable[[agent.ServerMessage], None],
    ) -> None:
        self.id = worker_id
        self.key = WorkerKey(request.agent_name, request.namespace, request.type, request.deployment)
        self.load = 0.0
        self.available = True
        """By its own word; it says so anew every few seconds."""
        self.jobs: dict[str, agent.Job] = {}
        """Those it runs, by id."""
        self._key_pair = key_pair
        self._send = send
        self._permission = _permission(request)
        self._asked: dict[str, asyncio.Future[agent.AvailabilityResponse]] = {}

    # ---- messages of the worker ----

    def receive(self, message: agent.WorkerMessage) -> None:
        """Act on one message; kinds that mean nothing here are ignored."""
        handler = _HANDLERS.get(message.WhichOneof("message") or "")
        if handler is not None:
            handler(self, message)

    def _availability(self, message: agent.WorkerMessage) -> None:
        answer = self._asked.get(message.availability.job_id)
        if answer is not None and not answer.done():
            answer.set_result(message.availability)

    def _update_worker(self, message: agent.WorkerMessage) -> None:
        update = message.update_worker
        if update.HasField("status"):
            self.available = update.status == agent.WorkerStatus.WS_AVAILABLE
        self.load = update.load

    def _update_job(self, message: agent.WorkerMessage) -> None:
        update = message.update_job
        self._set_status(update.job_id, update.status, update.error)

    def _ping(self, message: agent.WorkerMessage) -> None:
        pong = agent.WorkerPong(last_timestamp=message.ping.timestamp, timestamp=time.time_ns() // 1_000_000)
        self._send(agent.ServerMessage(pong=pong))

    # ---- jobs ----

    async def assign(self, job: agent.Job) -> None:
        """Offer the job and hand it over. Raises Declined; `job.state` says what became of it."""
        now = time.time_ns()
        job.state.CopyFrom(
            agent.JobState(
                status=agent.JobStatus.JS_RUNNING, worker_id=self.id, started_at=now, updated_at=now
            )
        )
        answer: asyncio.Future[agent.AvailabilityResponse] = asyncio.get_running_loop().create_future()
        self._asked[job.id] = answer
        try:
            self._send(agent.ServerMessage(availability=agent.AvailabilityRequest(job=job)))
            response = await asyncio.wait_for(answer, ANSWER_LIMIT_S)
        except asyncio.TimeoutError:
            raise Declined(f"no answer within {ANSWER_LIMIT_S:g} s", final=True) from None
        finally:
            del self._asked[job.id]
        if response.terminate:
            job.state.status, job.state.ended_at = agent.JobStatus.JS_SUCCESS, time.time_ns()
            return
        if not response.available:
            raise Declined("the worker is not available")
        job.state.participant_identity = response.participant_identity
        self.jobs[job.id] = job
        assignment = agent.JobAssignment(job=job, token=self._token(job, response))
        self._send(agent.ServerMessage(assignment=assignment))

    def _token(self, job: agent.Job, response: agent.AvailabilityResponse) -> str:
        key, secret = self._key_pair
        attributes = {**response.participant_attributes, NAME_ATTRIBUTE: self.key.agent_name}
        video = {
            "roomJoin": True,
            "room": job.room.name,
            **permission_claim(self._permission),
            "agent": True,
        }
        return tokens.mint_claims(
            key,
            secret,
            response.participant_identity,
            video,
            life_s=JOB_TOKEN_LIFE_S,
            kind="agent",
            name=response.participant_name,
            metadata=response.participant_metadata,
            attributes=attributes,
        )

    def terminate(self, job_id: str, *, error: str = "") -> None:
        """End a job it runs: as done, or as failed when `error` says why. Unknown jobs are ignored."""
        if job_id not in self.jobs:
            return
        self._send(agent.ServerMessage(termination=agent.JobTermination(job_id=job_id)))
        self._set_status(job_id, agent.JobStatus.JS_FAILED if error else agent.JobStatus.JS_SUCCESS, error)

    def _set_status(self, job_id: str, status: agent.JobStatus, error: str) -> None:
        job = self.jobs.get(job_id)
        if job is None:
            return  # it ended before the worker knew
        job.state.status, job.state.error, job.state.updated_at = status, error, time.time_ns()
        if status in _ENDED:
            job.state.ended_at = job.state.updated_at
            del self.jobs[job_id]
            _logger.info("job %s of worker %s ended: %s %s", job_id, self.id, status, error)

    def close(self) -> None:
        """The worker is gone: what it was asked is declined, what it ran has failed."""
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Declined("the worker is gone"))
        for job_id in list(self.jobs):
            self._set_status(job_id, agent.JobStatus.JS_FAILED, "the worker is gone")


_HANDLERS: dict[str, Callable[[AgentWorker, agent.WorkerMessage], None]] = {
    "availability": AgentWorker._availability,
    "update_worker": AgentWorker._update_worker,
    "update_job": AgentWorker._update_job,
    "ping": AgentWorker._ping,
}


def _permission(request: agent.RegisterWorkerRequest) -> models.ParticipantPermission:
    if request.HasField("allowed_permissions"):
        return request.allowed_permissions
    return models.ParticipantPermission(
        can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True
    )


def simulated_job(worker: AgentWorker, request: agent.SimulateJobRequest) -> agent.Job:
    """The job that a worker asks for to try itself out."""
    has_participant = request.HasField("participant")
    fields: dict[str, Any] = {"participant": request.participant} if has_participant else {}
    return agent.Job(
        id=ids.agent_job(),
        type=agent.JobType.JT_PUBLISHER if has_participant else agent.JobType.JT_ROOM,
        room=request.room,
        namespace=worker.key.namespace,
        agent_name=worker.key.agent_name,
        **fields,
    )
