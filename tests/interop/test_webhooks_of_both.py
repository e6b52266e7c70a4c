"""Webhooks of livekit-server and of the embedded server for the same session: events, order, fields, signature."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from room_tools import within

from greenroom.server import WebhookConfig
from livekit import api, rtc

from .servers import API_KEY, API_SECRET, RoomServer, embedded_server, livekit_server

_OWN_VALUES = frozenset(
    {
        # made anew by each server
        *("sid", "id", "createdAt", "creationTime", "creationTimeMs", "turnPassword", "joinedAt"),
        *("joinedAtMs", "cid", "version"),
        # of counts, one server tells the newest, the other those of up to five seconds ago
        *("numParticipants", "numPublishers"),
        "enabledCodecs",
    }
)


class Receiver:
    """Keeps every event that is posted, once its signature was checked."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._finished = asyncio.Event()
        self._checker = api.WebhookReceiver(api.TokenVerifier(API_KEY, API_SECRET))

    async def post(self, request: web.Request) -> web.Response:
        body = await request.text()
        event = self._checker.receive(body, request.headers["Authorization"])
        self.events.append(json.loads(body))
        if event.event == "room_finished":
            self._finished.set()
        return web.Response()

    async def until_finished(self) -> list[dict[str, Any]]:
        """All events of the room, to its end; what comes then is for the next call."""
        await within(self._finished.wait())
        self._finished.clear()
        events, self.events = self.events, []
        return events


@pytest.fixture
async def hook() -> AsyncIterator[tuple[Receiver, str]]:
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/hook", receiver.post)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield receiver, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


async def _session(server: RoomServer) -> None:
    """Somebody comes, publishes, stops, leaves; then the room is deleted."""
    room = rtc.Room()
    await room.connect(server.url, server.token("anna", "hooked"))
    track = rtc.LocalAudioTrack.create_audio_track("mic", rtc.AudioSource(48_000, 1))
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    async with api.LiveKitAPI(server.url, API_KEY, API_SECRET) as client:

        async def until(condition: Callable[[list[Any]], bool]) -> None:
            request = api.ListParticipantsRequest(room="hooked")
            while not condition(list((await client.room.list_participants(request)).participants)):
                pass

        publication = await room.local_participant.publish_track(track, options)
        await within(until(lambda there: bool(there[0].tracks)))
        await room.local_participant.unpublish_track(publication.sid)
        await within(until(lambda there: not there[0].tracks))
        await room.disconnect()
        await within(until(lambda there: not there))
        await client.room.delete_room(api.DeleteRoomRequest(room="hooked"))


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable(inner) for key, inner in value.items() if key not in _OWN_VALUES}
    return [_comparable(inner) for inner in value] if isinstance(value, list) else value


async def test_the_same_events(hook: tuple[Receiver, str], tmp_path: Path) -> None:
    receiver, url = hook
    more = f"webhook: {{urls: ['{url}'], api_key: {API_KEY}}}\n"
    with livekit_server(tmp_path / "livekit.log", more) as livekit:
        await _session(livekit)
        real = await receiver.until_finished()
    with embedded_server(webhooks=WebhookConfig(urls=(url,), api_key=API_KEY)) as embedded:
        await _session(embedded)
        ours = await receiver.until_finished()

    names = [
        *("room_started", "participant_joined", "track_published", "track_unpublished", "participant_left"),
        "room_finished",
    ]
    assert [event["event"] for event in real] == names
    assert [event["event"] for event in ours] == names
    for mine, theirs in zip(ours, real, strict=True):
        assert _comparable(mine) == _comparable(theirs)
