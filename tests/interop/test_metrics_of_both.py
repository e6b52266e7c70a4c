"""Prometheus metrics: after the same session livekit-server and ours show the same series, with the same labels and counts."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import re
from collections.abc import Callable
from pathlib import Path

import aiohttp
from room_tools import Rooms, camera, microphone, within

from livekit import api, rtc

from .ports import free_port
from .servers import API_KEY, API_SECRET, greenroom_server, livekit_server

_SERIES = re.compile(r"(livekit_\w+)\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
COUNTED = (
    "livekit_room_total",
    "livekit_participant_",
    "livekit_track_",
    "livekit_node_twirp_request_status",
    "livekit_datapacket_stream_",
)
"""Whose values are the same on both."""
TIMED = (
    "livekit_session_",
    "livekit_node_twirp_request_latency_ms",
    "livekit_pubsubtime_ms",
    "livekit_quality_",
    "livekit_room_duration_seconds",
)
"""Histograms of what differs: their buckets and labels are the same on both, and they have counted."""
Series = dict[str, float]


async def scrape(port: int) -> Series:
    """The value of each series by its name and labels, without those of the node."""
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as response:
        text = await response.text()
    series = {}
    for name, labels, value in _SERIES.findall(text):
        pairs = dict(_LABEL.findall(labels))
        assert pairs.pop("node_type") == "SERVER"
        assert pairs.pop("node_id").startswith("ND_")
        if "le" in pairs:
            pairs["le"] = f"{float(pairs['le']):.3g}"
        shown = ",".join(f"{key}={pairs[key]}" for key in sorted(pairs))
        series[f"{name}{{{shown}}}"] = float(value)
    return series


def select(series: Series, names: tuple[str, ...]) -> Series:
    """Series that have counted nothing yet may be absent."""
    return {name: value for name, value in series.items() if name.startswith(names) and value}


async def until(port: int, expected: Series, compare: Callable[[float, float], bool] = operator.eq) -> Series:
    """The series, once these have these values: livekit-server counts a little later than it acts."""

    async def look() -> Series:
        while True:
            series = await scrape(port)
            if all(compare(series.get(name, 0.0), value) for name, value in expected.items()):
                return series
            await asyncio.sleep(0.2)

    try:
        return await within(look(), 20)
    except asyncio.TimeoutError:
        series = await scrape(port)
        raise AssertionError({name: (series.get(name), value) for name, value in expected.items()}) from None


async def session(url: str, rooms: Rooms, port: int) -> tuple[Series, Series]:
    """Alice speaks to Bob; calls of the API succeed and fail. The series during that, and after it."""
    alice, _ = await rooms.join("alice")
    bob, events = await rooms.join("bob", rtc.RoomOptions(single_peer_connection=True))
    async with microphone(alice), camera(alice), api.LiveKitAPI(url, API_KEY, API_SECRET) as client:
        await events.wait("track_subscribed", lambda track, *_: track.kind == rtc.TrackKind.KIND_VIDEO)
        await events.wait("track_subscribed", lambda track, *_: track.kind == rtc.TrackKind.KIND_AUDIO)
        await client.room.list_rooms(api.ListRoomsRequest())
        nobody = api.RoomParticipantIdentity(room=rooms.name, identity="nobody")
        with contextlib.suppress(api.TwirpError):
            await client.room.get_participant(nobody)
        await bob.local_participant.send_text("hello", topic="t", destination_identities=["alice"])
        during = await until(
            port,
            {
                "livekit_track_subscribed_total{kind=AUDIO}": 1,
                "livekit_track_subscribed_total{kind=VIDEO}": 1,
                "livekit_track_subscribe_counter{error=,state=success}": 2,
                "livekit_datapacket_stream_bytes_sum{mime_type=text,type=text}": 5,
            },
        )
        await until(port, {"livekit_quality_rating_count{}": 2}, operator.ge)
        await client.room.delete_room(api.DeleteRoomRequest(room=rooms.name))
    await events.wait("disconnected")
    gone = {
        "livekit_room_total{}": 0,
        "livekit_participant_total{}": 0,
        "livekit_track_published_total{kind=AUDIO}": 0,
        "livekit_track_published_total{kind=VIDEO}": 0,
        "livekit_track_subscribed_total{kind=AUDIO}": 0,
        "livekit_track_subscribed_total{kind=VIDEO}": 0,
        "livekit_room_duration_seconds_count{}": 1,
    }
    return during, await until(port, gone)


async def test_the_same_series(tmp_path: Path) -> None:
    found: dict[str, tuple[Series, Series]] = {}
    for start in (livekit_server, greenroom_server):
        port = free_port()
        with start(tmp_path / "log", f"prometheus:\n  port: {port}\n") as server:
            rooms = Rooms(server)
            found[server.name] = await session(server.url, rooms, port)
            await rooms.leave()
    theirs, ours = found["livekit-server"], found["greenroom"]
    for their, our in zip(theirs, ours, strict=True):
        assert select(our, COUNTED) == select(their, COUNTED)
    assert select(ours[1], TIMED).keys() >= {
        name for name in select(theirs[1], TIMED) if "_bucket" not in name
    }
    buckets = [
        {name for name in s[1] if name.startswith(TIMED) and "_bucket" in name} for s in (theirs, ours)
    ]
    assert buckets[0] == buckets[1]
