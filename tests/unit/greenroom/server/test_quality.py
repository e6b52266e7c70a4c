"""Connection quality follows the packets that are lost."""

from __future__ import annotations

import pytest
from livekit.protocol import models
from server_fakes import Harness, SignalClient

from greenroom.server.quality import mean_opinion, quality_of, smoothed

EXCELLENT, GOOD, POOR, LOST = (
    models.ConnectionQuality.EXCELLENT,
    models.ConnectionQuality.GOOD,
    models.ConnectionQuality.POOR,
    models.ConnectionQuality.LOST,
)


@pytest.mark.parametrize(
    ("score", "quality"),
    [(100, EXCELLENT), (80.1, EXCELLENT), (80, GOOD), (40.1, GOOD), (40, POOR), (20.1, POOR), (20, LOST)],
)
def test_classes_begin_where_livekits_do(score: float, quality: int) -> None:
    assert quality_of(score) == quality


def test_opinions_rise_with_the_score() -> None:
    scores = [mean_opinion(float(score)) for score in range(0, 101, 10)]
    assert scores == sorted(scores) or scores[1:] == sorted(scores[1:])
    assert (scores[0], scores[-1]) == (1.0, 4.5)


def test_bad_news_count_more_than_good_ones() -> None:
    assert smoothed(50, 100) == pytest.approx(60)
    assert smoothed(100, 60) == pytest.approx(76)
    assert smoothed(0, 30) == 30


async def _told(client: SignalClient, sid: str) -> list[int]:
    """The qualities of a participant that the client was told so far."""
    await client.settle()
    updates = [m.connection_quality.updates for m in client.seen if m.HasField("connection_quality")]
    return [info.quality for infos in updates for info in infos if info.participant_sid == sid]


async def test_a_publisher_that_loses_packets_gets_worse_and_recovers(harness: Harness) -> None:
    anna = await harness.join("anna")
    bob = await harness.join("bob")
    carol = await harness.join("carol", can_subscribe=False)
    for client in (anna, bob, carol):
        client.activate()
    await bob.answer(await bob.expect("offer"))
    await anna.publish("m")
    await bob.answer(await bob.expect("offer"))
    await bob.settle()
    track = anna.publisher.up_tracks["1"]
    qualities = anna.participant.room.qualities

    def pass_time(packets: int, lost: int) -> None:
        track.packets, track.packets_lost = track.packets + packets, track.packets_lost + lost
        for _ in range(3):
            qualities.measure_next()

    pass_time(100, 0)
    assert await _told(anna, anna.sid) == [EXCELLENT]
    pass_time(85, 15)
    pass_time(85, 15)
    assert await _told(anna, anna.sid) == [EXCELLENT, POOR]
    for _ in range(10):
        pass_time(100, 0)
    expected = [EXCELLENT, POOR, GOOD, EXCELLENT]
    assert await _told(anna, anna.sid) == expected
    assert await _told(bob, anna.sid) == expected
    assert await _told(carol, anna.sid) == []


async def test_a_subscriber_that_loses_packets_gets_worse(harness: Harness) -> None:
    anna = await harness.join("anna")
    bob = await harness.join("bob")
    for client in (anna, bob):
        client.activate()
    await bob.answer(await bob.expect("offer"))
    await anna.publish("m")
    await bob.answer(await bob.expect("offer"))
    await bob.settle()
    bob.subscriber.down_tracks[0].fraction_lost = 0.05
    for _ in range(4):
        anna.participant.room.qualities.measure_next()
    assert await _told(bob, bob.sid) == [EXCELLENT, GOOD]
    assert await _told(anna, bob.sid) == []
