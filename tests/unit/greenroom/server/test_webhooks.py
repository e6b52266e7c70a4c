"""Webhooks: what is posted when, signed, in order, tried again; and what is given up."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from livekit.protocol import rtc as messages
from server_fakes import PATIENCE_S, Harness

from greenroom.server import webhooks
from greenroom.server.config import WebhookConfig
from greenroom.server.webhooks import Webhooks
from livekit import api

KEY, SECRET = "hookkey", "a-secret-of-more-than-32-characters!"


class Receiver:
    """A web server that keeps what is posted to it; `answers` are the statuses it gives, then 200."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, str, str]] = []
        self.answers: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._came = asyncio.Condition()

    async def __aenter__(self) -> Receiver:
        application = web.Application()
        application.router.add_post("/{path:.*}", self._post)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.gate.set()
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.text()
        async with self._came:
            self.posts.append((body, request.headers["Authorization"], request.headers["Content-Type"]))
            self._came.notify_all()
        await self.gate.wait()
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    async def wait(self, count: int) -> list[dict[str, Any]]:
        """The first `count` events, as JSON."""
        async with self._came:
            await asyncio.wait_for(self._came.wait_for(lambda: len(self.posts) >= count), PATIENCE_S)
        return [json.loads(body) for body, _, _ in self.posts]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


def harness_for(receiver: Receiver, **settings: Any) -> Harness:
    config = WebhookConfig(urls=(receiver.url,), api_key=KEY, **settings)
    return Harness(keys={KEY: SECRET}, webhooks=config)


async def test_the_life_of_a_room(receiver: Receiver) -> None:
    async with harness_for(receiver) as harness:
        anna = await harness.join("anna", metadata="m")
        anna.activate()
        sid = await anna.publish("mic")
        await anna.send(leave=messages.LeaveRequest())
        aborted = await harness.join("bob")
        await aborted.websocket.close()
        await receiver.wait(6)
        async with api.LiveKitAPI(harness.server.url, KEY, SECRET) as client:
            await client.room.delete_room(api.DeleteRoomRequest(room="room"))
        events = await receiver.wait(7)

    assert [event["event"] for event in events] == [
        "room_started",
        "participant_joined",
        "track_published",
        "track_unpublished",
        "participant_left",
        "participant_connection_aborted",
        "room_finished",
    ]
    started, joined, published, _, left, _, _ = events
    assert started["id"].startswith("EV_")
    assert started["createdAt"].isdigit()
    assert (started["room"]["name"], "numParticipants" in started["room"]) == ("room", False)
    assert (joined["participant"]["identity"], joined["participant"]["state"]) == ("anna", "ACTIVE")
    assert published["room"] == {"sid": started["room"]["sid"], "name": "room"}
    assert published["participant"] == {"sid": anna.sid, "identity": "anna"}
    assert (published["track"]["sid"], published["track"]["source"]) == (sid, "MICROPHONE")
    assert left["participant"]["disconnectReason"] == "CLIENT_INITIATED"
    assert len({event["id"] for event in events}) == 7


async def test_the_receiver_of_livekit_api_accepts_them(receiver: Receiver) -> None:
    async with harness_for(receiver) as harness:
        await harness.join("anna")
        await receiver.wait(1)
    body, token, content_type = receiver.posts[0]

    event = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET)).receive(body, token)

    assert (event.event, event.room.name) == ("room_started", "room")
    assert content_type == "application/webhook+json"
    with pytest.raises(Exception, match="hash mismatch"):
        api.WebhookReceiver(api.TokenVerifier(KEY, SECRET)).receive(body + " ", token)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"include_events": frozenset({"room_started"})}, ["room_started"]),
        ({"exclude_events": frozenset({"room_started"})}, ["participant_joined", "participant_left"]),
    ],
    ids=["include", "exclude"],
)
async def test_only_what_is_wanted(receiver: Receiver, settings: dict[str, Any], wanted: list[str]) -> None:
    async with harness_for(receiver, **settings) as harness:
        anna = await harness.join("anna")
        anna.activate()
        await anna.send(leave=messages.LeaveRequest())
        events = await receiver.wait(len(wanted))
    assert [event["event"] for event in events[: len(wanted)]] == wanted


# ---- delivery ----


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "FIRST_WAIT_S", 0.0)


@pytest.fixture
async def started(
    receiver: Receiver,
) -> AsyncIterator[tuple[Callable[[str, str], None], Counter[str], Callable[[], Awaitable[None]]]]:
    """Posts an event's name for a room; the counters; waits until nothing is left to be delivered."""
    counters: Counter[str] = Counter()
    hooks = Webhooks(WebhookConfig(urls=(receiver.url,), api_key=KEY), SECRET, counters)

    def notify(name: str, room: str = "room") -> None:
        hooks._notify(name, room=webhooks.models.Room(name=room))

    async def delivered() -> None:
        await asyncio.wait_for(asyncio.gather(*hooks._tasks), PATIENCE_S)

    yield notify, counters, delivered
    await hooks.close(1.0)


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_failures_are_tried_again_and_keep_their_order(
    receiver: Receiver, started: Any, no_waiting: None, status: int
) -> None:
    notify, counters, _ = started
    receiver.answers = [status] * 4
    notify("room_started")
    notify("room_finished")
    events = await receiver.wait(6)
    assert [event["event"] for event in events] == ["room_started"] * 5 + ["room_finished"]
    assert len({event["id"] for event in events[:5]}) == 1
    assert counters["webhooks_failed"] == 0


async def test_the_fifth_failure_is_the_last(receiver: Receiver, started: Any, no_waiting: None) -> None:
    notify, counters, _ = started
    receiver.answers = [500] * 5
    notify("room_started")
    notify("room_finished")
    await receiver.wait(6)
    assert counters["webhooks_failed"] == 1


@pytest.mark.parametrize("status", [404, 501])
async def test_refusals_are_final(receiver: Receiver, started: Any, status: int) -> None:
    notify, counters, _ = started
    receiver.answers = [status]
    notify("room_started")
    notify("room_finished")
    assert [event["event"] for event in await receiver.wait(2)] == ["room_started", "room_finished"]
    assert counters["webhooks_failed"] == 1


async def test_one_room_does_not_wait_for_another(receiver: Receiver, started: Any) -> None:
    notify, _, _ = started
    receiver.gate.clear()
    notify("room_started", "slow")
    notify("room_finished", "slow")
    await receiver.wait(1)
    notify("room_started", "other")
    events = await receiver.wait(2)
    assert [event["room"]["name"] for event in events] == ["slow", "other"]


async def test_a_full_queue_drops_what_comes(
    receiver: Receiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "QUEUE_LENGTH", 2)
    notify, counters, _ = started
    receiver.gate.clear()
    for _ in range(5):
        notify("room_started")
    assert counters["webhooks_dropped"] == 3


async def test_what_is_too_old_is_dropped(
    receiver: Receiver, started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify, counters, delivered = started
    receiver.gate.clear()
    notify("room_started")
    notify("room_started")
    await receiver.wait(1)
    monkeypatch.setattr(webhooks, "MAX_AGE_S", -1.0)
    receiver.gate.set()
    await delivered()
    assert counters["webhooks_dropped"] == 1
    assert len(receiver.posts) == 1


async def test_nobody_listens(started: Any, receiver: Receiver, no_waiting: None) -> None:
    notify, counters, delivered = started
    await receiver.__aexit__()
    notify("room_started")
    await delivered()
    assert counters["webhooks_failed"] == 1


def test_configurations_that_can_not_be() -> None:
    with pytest.raises(ValueError, match="webhook event 'room_began' is not known"):
        WebhookConfig(include_events=frozenset({"room_began"}))
    with pytest.raises(ValueError, match="must begin with http"):
        WebhookConfig(urls=("hooks.example",))
    with pytest.raises(ValueError, match=r"the webhook api_key is 'other', which is none"):
        Harness(keys={KEY: SECRET}, webhooks=WebhookConfig(urls=("http://x",), api_key="other"))
