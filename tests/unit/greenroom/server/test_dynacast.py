"""Publishers are told which qualities are watched."""

from __future__ import annotations

import asyncio

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages
from server_fakes import Harness
from test_subscribing import LAYERS, published, subscribed

from greenroom.server import dynacast
from greenroom.server.dynacast import NOBODY, Dynacast

LOW, MEDIUM, HIGH = models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH


async def test_rises_are_told_at_once_and_falls_later() -> None:
    told = asyncio.Queue[int]()
    machine = Dynacast(told.put_nowait, pause_delay_s=0.01)
    machine.start()
    machine.watch("a", LOW)
    assert told.get_nowait() == LOW
    machine.watch("b", HIGH)
    machine.watch("a", HIGH)
    assert told.get_nowait() == HIGH
    machine.watch("b", MEDIUM)
    machine.watch("a", NOBODY)
    assert told.empty()
    assert await told.get() == MEDIUM
    machine.watch("b", NOBODY)
    machine.watch("b", HIGH)  # before it was told
    assert told.get_nowait() == HIGH
    machine.watch("b", NOBODY)
    assert await told.get() == NOBODY
    assert told.empty()
    machine.stop()


async def test_a_track_that_nobody_watches_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynacast, "NOBODY_S", 0.01)
    told = asyncio.Queue[int]()
    machine = Dynacast(told.put_nowait, pause_delay_s=5)
    machine.watch("a", NOBODY)
    machine.start()
    assert told.empty()
    assert await told.get() == NOBODY


async def test_a_muted_publisher_is_told_when_it_unmutes() -> None:
    told: list[int] = []
    machine = Dynacast(told.append, pause_delay_s=5)
    machine.set_muted(True)
    machine.watch("a", MEDIUM)
    assert told == []
    machine.set_muted(False)
    assert told == [MEDIUM]


def enabled(update: messages.SubscribedQualityUpdate) -> list[bool]:
    (codec,) = update.subscribed_codecs
    assert codec.codec == "vp8"
    assert list(codec.qualities) == list(update.subscribed_qualities)
    assert [quality.quality for quality in codec.qualities] == [LOW, MEDIUM, HIGH]
    return [quality.enabled for quality in codec.qualities]


async def test_the_publisher_follows_its_subscribers() -> None:
    async with Harness(dynacast_pause_delay_s=0.01) as harness:
        anna, sid = await published(harness, "video", layers=LAYERS)
        bob, _ = await subscribed(harness, adaptive_stream="1")
        assert enabled(await anna.expect("subscribed_quality_update")) == [True, False, False]
        carl, _ = await subscribed(harness, "carl")
        assert enabled(await anna.expect("subscribed_quality_update")) == [True, True, True]
        assert anna.publisher.up_tracks["1"].expected_layers == [0, 2]

        settings = messages.UpdateTrackSettings(track_sids=[sid], quality=MEDIUM)
        await carl.send(track_setting=settings)
        assert enabled(await anna.expect("subscribed_quality_update")) == [True, True, False]
        await carl.send(leave=messages.LeaveRequest())
        assert enabled(await anna.expect("subscribed_quality_update")) == [True, False, False]
        settings = messages.UpdateTrackSettings(track_sids=[sid], disabled=True)
        await bob.send(track_setting=settings)
        assert enabled(await anna.expect("subscribed_quality_update")) == [False, False, False]
        settings = messages.UpdateTrackSettings(track_sids=[sid], width=640, height=360)
        await bob.send(track_setting=settings)
        assert enabled(await anna.expect("subscribed_quality_update")) == [True, True, False]


async def test_nothing_is_told_while_muted(harness: Harness) -> None:
    anna, sid = await published(harness, "video", layers=LAYERS)
    await anna.send(mute=messages.MuteTrackRequest(sid=sid, muted=True))
    await anna.settle()
    await subscribed(harness)
    await anna.settle()
    assert "subscribed_quality_update" not in anna.kinds()
    await anna.send(mute=messages.MuteTrackRequest(sid=sid, muted=False))
    assert enabled(await anna.expect("subscribed_quality_update")) == [True, True, True]
