"""What subscribers with little bandwidth are told, and what the engine is told of them."""

from __future__ import annotations

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness, SignalClient

from greenroom import _engine
from greenroom.server.publications import Publication
from greenroom.server.stream_states import engine_priority


async def watching(harness: Harness, **query: str) -> tuple[SignalClient, str]:
    """Bob, who watches Anna's camera, and its SID."""
    anna = await harness.join("anna")
    anna.activate()
    sid = await anna.publish("cid", "video", source=models.TrackSource.CAMERA)
    bob = await harness.join("bob", query=query)
    bob.activate()
    while not (offer := await bob.expect("offer")).mid_to_track_id:
        await bob.answer(offer)
    await bob.answer(offer)
    await bob.expect("stream_state_update")
    return bob, sid


async def test_a_paused_track_is_told_and_so_is_its_return(harness: Harness) -> None:
    bob, sid = await watching(harness)
    (down_track,) = bob.subscriber.down_tracks

    states = []
    for paused in (1, 0):
        bob.subscriber.port.emit(down_track.handle, _engine.DOWN_TRACK_PAUSED, paused)
        (state,) = (await bob.expect("stream_state_update")).stream_states
        states.append((state.track_sid, state.state))

    assert states == [(sid, messages.StreamState.PAUSED), (sid, messages.StreamState.ACTIVE)]


async def test_nothing_is_told_of_a_track_that_is_gone(harness: Harness) -> None:
    bob, sid = await watching(harness)
    (down_track,) = bob.subscriber.down_tracks

    await bob.send(subscription=messages.UpdateSubscription(track_sids=[sid], subscribe=False))
    await bob.settle()
    bob.subscriber.port.emit(down_track.handle, _engine.DOWN_TRACK_PAUSED, 1)
    await bob.settle()

    assert bob.kinds().count("stream_state_update") == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, (True, False)),
        ({"subscriber_allow_pause": "1"}, (True, True)),
        ({"subscriber_allow_pause": "0"}, (True, False)),
    ],
)
async def test_the_client_says_whether_tracks_may_be_paused(
    harness: Harness, query: dict[str, str], expected: tuple[bool, bool]
) -> None:
    bob = await harness.join("bob", query=query)

    assert bob.subscriber.bandwidth_policy == expected


async def test_priorities_of_settings_reach_the_engine(harness: Harness) -> None:
    bob, sid = await watching(harness)
    (down_track,) = bob.subscriber.down_tracks
    assert down_track.priority == 1

    await bob.send(track_setting=messages.UpdateTrackSettings(track_sids=[sid], priority=2))
    await bob.settle()

    assert down_track.priority == 254


async def test_the_first_wish_counts_most(harness: Harness) -> None:
    anna = await harness.join("anna")
    screen, camera = (
        Publication(anna.participant, messages.AddTrackRequest(type=models.TrackType.VIDEO, source=source))
        for source in (models.TrackSource.SCREEN_SHARE, models.TrackSource.CAMERA)
    )

    assert (engine_priority(screen, 0), engine_priority(camera, 0)) == (255, 1)
    assert [engine_priority(camera, wished) for wished in (1, 2, 255, 10_000)] == [255, 254, 1, 1]
