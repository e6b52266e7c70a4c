"""Connection quality follows what is lost, missing, held back or silent, as with livekit-server."""

from __future__ import annotations

import pytest
from livekit.protocol import models
from server_fakes import Harness, SignalClient

from greenroom import _engine
from greenroom.server.quality import mean_opinion, quality_of
from greenroom.server.track_score import TrackScore, Window, smoothed

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


def _after(codec: str, *windows: Window) -> tuple[float, int]:
    score = TrackScore(codec)
    for window in windows:
        score.update(window)
    return round(score.value, 1), quality_of(score.value)


GOOD_WINDOW = Window(5, 250)


@pytest.mark.parametrize(
    ("codec", "windows", "expected"),
    [
        ("opus", [GOOD_WINDOW], (100, EXCELLENT)),
        # Loss in percent at which livekit-server's classes begin: of Opus with FEC 3.75 and 11.25, of video 2 and 6.
        ("opus", [Window(5, 967, 33)] * 20, (82.4, EXCELLENT)),
        ("opus", [Window(5, 960, 40)] * 20, (78.7, GOOD)),
        ("opus", [Window(5, 880, 120)] * 20, (36.0, POOR)),
        ("red", [Window(5, 930, 70)] * 20, (81.3, EXCELLENT)),
        ("vp8", [Window(5, 981, 19)] * 20, (81.0, EXCELLENT)),
        ("vp8", [Window(5, 970, 30)] * 20, (70.0, GOOD)),
        ("vp8", [Window(5, 935, 65)] * 20, (35.2, POOR)),
        ("vp8", [Window(5, 500, 500)] * 20, (30.0, POOR)),
        # Each layer that is missing costs a class.
        ("vp8", [Window(5, 500, layers_missing=1)] * 20, (65.0, GOOD)),
        ("vp8", [Window(5, 500, layers_missing=2)] * 20, (30.0, POOR)),
        # No packets: at once, and there is no smoothing.
        ("opus", [Window(5, 0)], (40, POOR)),
        ("opus", [Window(5, 0, is_sender_silent=True)], (20, LOST)),
        (
            "opus",
            [Window(5, 0, is_sender_silent=True), GOOD_WINDOW, GOOD_WINDOW, GOOD_WINDOW],
            (82.7, EXCELLENT),
        ),
    ],
)
def test_the_score_of_a_track(codec: str, windows: list[Window], expected: tuple[float, int]) -> None:
    assert _after(codec, *windows) == expected


def test_loss_counts_less_where_fewer_packets_come_than_usual() -> None:
    usual = [GOOD_WINDOW] * 20
    silence = Window(5, 12, 1)  # one of thirteen packets, in a pause
    assert _after("opus", *usual, silence)[0] > 90
    assert _after("opus", silence)[0] < 70


def test_what_is_muted_or_held_back() -> None:
    score = TrackScore("vp8")
    score.pause()
    assert quality_of(score.value) == POOR
    score.rest()
    assert score.value == 100
    score.update(Window(5, 0, is_sender_silent=True))
    score.rest()
    assert quality_of(score.value) == LOST, "muting does not bring back who was lost"


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
    await anna.publish("m", disable_red=True)
    await bob.answer(await bob.expect("offer"))
    await bob.settle()
    track = anna.publisher.up_tracks["1"]
    qualities = anna.participant.room.qualities

    def pass_time(packets: int, lost: int) -> None:
        anna.publisher.packets_received += packets
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
    await anna.publish("m", disable_red=True)
    await bob.answer(await bob.expect("offer"))
    await bob.settle()
    (down_track,) = bob.subscriber.down_tracks
    down_track.fraction_lost = 0.05
    for _ in range(4):
        down_track.packets_sent += 100
        anna.participant.room.qualities.measure_next()
    assert await _told(bob, bob.sid) == [EXCELLENT, GOOD]
    assert await _told(anna, bob.sid) == []


async def test_a_publisher_that_says_nothing_any_more_is_lost(harness: Harness) -> None:
    anna = await harness.join("anna")
    anna.activate()
    await anna.publish("m", disable_red=True)
    await anna.settle()
    track, room = anna.publisher.up_tracks["1"], anna.participant.room
    track.packets = anna.publisher.packets_received = 100
    room.qualities.measure_next()
    anna.publisher.packets_received += 3  # its checks
    room.qualities.measure_next()
    assert quality_of(room.qualities.score(anna.sid)) == POOR
    room.qualities.measure_next()
    assert quality_of(room.qualities.score(anna.sid)) == LOST


async def test_a_viewer_whose_picture_is_held_back_is_poor_and_recovers(harness: Harness) -> None:
    anna, bob = await harness.join("anna"), await harness.join("bob")
    for client in (anna, bob):
        client.activate()
    await bob.answer(await bob.expect("offer"))
    await anna.publish("cid", "video", source=models.TrackSource.CAMERA)
    await bob.answer(await bob.expect("offer"))
    await bob.settle()
    (down_track,) = bob.subscriber.down_tracks
    qualities = anna.participant.room.qualities
    qualities.measure_next()
    for paused, expected in ((1, POOR), (0, GOOD)):
        bob.subscriber.port.emit(down_track.handle, _engine.DOWN_TRACK_PAUSED, paused)
        down_track.packets_sent += 100
        for _ in range(2):
            qualities.measure_next()
        assert quality_of(qualities.score(bob.sid)) == expected
    assert qualities.score(anna.sid) == 100
