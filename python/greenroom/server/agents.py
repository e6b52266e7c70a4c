"""Which agents a room has (its dispatches), and finding workers for their jobs."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from livekit.protocol import agent, agent_dispatch, models

from . import ids
from .agent_worker import AgentWorker, Declined, WorkerKey
from .room_listener import RoomListener

if TYPE_CHECKING:
    from .participant import Participant
    from .publications import Publication
    from .room import Room

_logger = logging.getLogger("greenroom.server")

REMEMBERED_JOBS = 200
"""Of one dispatch; beyond them the oldest that have ended are forgotten."""
LEAVE_LIMIT_S = 3.0
"""How long an agent whose dispatch was deleted may take to leave by itself."""

_JobKey = tuple[int, str, str]
"""Job type, namespace, participant SID (empty for a room's job): what has one job in a dispatch."""


class Dispatch:
    """One agent of a room, and what became of its jobs."""

    def __init__(self, room: Room, info: agent_dispatch.AgentDispatch) -> None:
        self.room = room
        self.info = info
        info.state.created_at = time.time_ns()
        self.served: set[_JobKey] = set()
        """Those that have a job, or for which a worker is being asked."""
        self.jobs: dict[str, tuple[AgentWorker, agent.Job]] = {}
        self.launching: set[asyncio.Task[None]] = set()

    def keep(self, worker: AgentWorker, job: agent.Job) -> None:
        """Remember a job and who runs it."""
        self.jobs[job.id] = (worker, job)
        ended = [job_id for job_id, (owner, _) in self.jobs.items() if job_id not in owner.jobs]
        for job_id in ended[: max(0, len(self.jobs) - REMEMBERED_JOBS)]:
            del self.jobs[job_id]

    def snapshot(self) -> agent_dispatch.AgentDispatch:
        """The dispatch with the present state of its jobs."""
        result = agent_dispatch.AgentDispatch()
        result.CopyFrom(self.info)
        result.state.jobs.extend(job for _, job in self.jobs.values())
        return result


class Agents(RoomListener):
    """The workers of a server, and the dispatches of its rooms.

    A job for which no worker is there is given to one that registers later: what starts first does not matter.
    """

    def __init__(self) -> None:
        self.workers: dict[str, AgentWorker] = {}
        self._dispatches: dict[str, dict[str, Dispatch]] = {}
        """By room SID and dispatch id."""
        self._removals: set[asyncio.Task[None]] = set()

    # ---- workers ----

    def register(self, worker: AgentWorker) -> None:
        """A worker is ready: what waits for one of its kind is offered to it."""
        self.workers[worker.id] = worker
        _logger.info("agent worker %s registered as %r", worker.id, worker.key.agent_name)
        for dispatches in list(self._dispatches.values()):
            for dispatch in dispatches.values():
                self._launch_all(dispatch)

    def deregister(self, worker: AgentWorker) -> None:
        """A worker is gone."""
        self.workers.pop(worker.id, None)
        worker.close()

    # ---- dispatches ----

    def dispatches(self, room: Room) -> list[Dispatch]:
        return list(self._dispatches.get(room.sid, {}).values())

    def create(self, room: Room, request: agent_dispatch.RoomAgentDispatch) -> Dispatch:
        """Send an agent into the room, also for the participants that are there."""
        info = agent_dispatch.AgentDispatch(
            id=ids.agent_dispatch(),
            agent_name=request.agent_name,
            room=room.name,
            metadata=request.metadata,
            restart_policy=request.restart_policy,
            deployment=request.deployment,
            attributes=request.attributes,
        )
        dispatch = Dispatch(room, info)
        self._dispatches.setdefault(room.sid, {})[info.id] = dispatch
        self._launch_all(dispatch)
        return dispatch

    def delete(self, room: Room, dispatch_id: str) -> Dispatch:
        """Take an agent out of the room. KeyError when there is no such dispatch."""
        dispatch = self._dispatches.get(room.sid, {}).pop(dispatch_id)
        removal = asyncio.create_task(self._end(dispatch), name="greenroom end of a dispatch")
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)
        return dispatch

    async def _end(self, dispatch: Dispatch) -> None:
        if dispatch.launching:
            await asyncio.wait(dispatch.launching)
        identities = set()
        for worker, job in dispatch.jobs.values():
            if job.id in worker.jobs:
                identities.add(job.state.participant_identity)
            worker.terminate(job.id)
        if any(dispatch.room.participant(identity) is not None for identity in identities):
            await asyncio.sleep(LEAVE_LIMIT_S)
        for identity in identities:
            participant = dispatch.room.participant(identity)
            if participant is not None:
                dispatch.room.remove(participant, models.DisconnectReason.PARTICIPANT_REMOVED)

    # ---- jobs ----

    def _launch_all(self, dispatch: Dispatch) -> None:
        self._launch(dispatch, agent.JobType.JT_ROOM, None)
        for participant in dispatch.room.started_participants():
            self._launch(dispatch, agent.JobType.JT_PARTICIPANT, participant)
            if participant.publications:
                self._launch(dispatch, agent.JobType.JT_PUBLISHER, participant)

    def _launch(self, dispatch: Dispatch, job_type: int, participant: Participant | None) -> None:
        if participant is not None and participant.dependent:
            return
        info = dispatch.info
        candidates = [
            w.key
            for w in self.workers.values()
            if (w.key.agent_name, w.key.job_type, w.key.deployment)
            == (info.agent_name, job_type, info.deployment)
        ]
        for key in dict.fromkeys(candidates):
            job_key = (job_type, key.namespace, participant.sid if participant else "")
            if job_key not in dispatch.served:
                dispatch.served.add(job_key)
                self._start(dispatch, job_key, key, participant)

    def _start(
        self, dispatch: Dispatch, job_key: _JobKey, key: WorkerKey, participant: Participant | None
    ) -> None:
        info = dispatch.info
        job = agent.Job(
            id=ids.agent_job(),
            dispatch_id=info.id,
            type=key.job_type,  # type: ignore[arg-type]
            room=dispatch.room.info(),
            namespace=key.namespace,
            agent_name=info.agent_name,
            metadata=info.metadata,
            deployment=info.deployment,
            attributes=info.attributes,
        )
        if participant is not None:
            job.participant.CopyFrom(participant.info())
        task = asyncio.create_task(self._find_worker(dispatch, job_key, key, job), name="greenroom agent job")
        dispatch.launching.add(task)
        task.add_done_callback(dispatch.launching.discard)

    async def _find_worker(
        self, dispatch: Dispatch, job_key: _JobKey, key: WorkerKey, job: agent.Job
    ) -> None:
        asked: set[str] = set()
        while (worker := self._select(key, asked)) is not None:
            asked.add(worker.id)
            try:
                await worker.assign(job)
            except Declined as refusal:
                _logger.info("worker %s declined job %s: %s", worker.id, job.id, refusal)
                if refusal.final:
                    return
            else:
                dispatch.keep(worker, job)
                return
        _logger.warning("no worker of %r takes the job for room %s", key.agent_name, dispatch.room.name)
        dispatch.served.discard(job_key)  # the next worker that registers may

    def _select(self, key: WorkerKey, asked: set[str]) -> AgentWorker | None:
        """One of the workers that are free, the less busy the likelier."""
        free = [w for w in self.workers.values() if w.key == key and w.id not in asked and w.available]
        weights = [max(0.0, 1.0 - w.load) for w in free]
        if not any(weights):
            return None
        return random.choices(free, weights)[0]

    # ---- what happens in rooms ----

    def room_started(self, room: Room) -> None:
        # A room that names no agents gets every worker that has no name.
        for request in room.agents or [agent_dispatch.RoomAgentDispatch()]:
            self.create(room, request)

    def room_finished(self, room: Room) -> None:
        for dispatch in self._dispatches.pop(room.sid, {}).values():
            for task in dispatch.launching:
                task.cancel()
            for worker, job in dispatch.jobs.values():
                worker.terminate(job.id)

    def participant_joined(self, participant: Participant) -> None:
        for dispatch in self.dispatches(participant.room):
            self._launch(dispatch, agent.JobType.JT_PARTICIPANT, participant)

    def track_published(self, publication: Publication) -> None:
        for dispatch in self.dispatches(publication.publisher.room):
            self._launch(dispatch, agent.JobType.JT_PUBLISHER, publication.publisher)

    def participant_left(self, participant: Participant) -> None:
        for worker, job in self._jobs(participant.room):
            if job.state.participant_identity == participant.identity:
                worker.terminate(job.id, error="agent worker left the room")
        for dispatch in self.dispatches(participant.room):
            dispatch.served = {key for key in dispatch.served if key[2] != participant.sid}

    def _jobs(self, room: Room) -> Iterable[tuple[AgentWorker, agent.Job]]:
        return [pair for dispatch in self.dispatches(room) for pair in dispatch.jobs.values()]

    def close(self) -> None:
        """Forget everything; the server stops."""
        for task in self._removals:
            task.cancel()
        for worker in list(self.workers.values()):
            self.deregister(worker)
