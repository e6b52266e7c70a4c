"""The tables of reconnecting, without a connection."""

from __future__ import annotations

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom.client import reconnect
from greenroom.client.reconnect import (
    ATTEMPTS,
    DEAD_MEDIA_GRACE_S,
    Attempt,
    Episode,
    LeaveAction,
    Mode,
    Reaction,
    Trigger,
    backoff_s,
    leave_action,
)
from greenroom.client.replay import TRIM_EVERY_BYTES, ReplayBuffer

Reason = models.DisconnectReason
Action = proto.LeaveRequest.Action


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random pauses are as long as they can be."""
    monkeypatch.setattr(reconnect, "random_unit", lambda: 1.0)


@pytest.mark.parametrize(
    ("trigger", "first"),
    [
        (Trigger.SIGNAL_LOST, Attempt(1, Mode.RESUME, 0.0)),
        (Trigger.MEDIA_SILENT, Attempt(1, Mode.RESUME, 0.0)),
        (Trigger.MEDIA_DEAD, Attempt(1, Mode.RESTART, DEAD_MEDIA_GRACE_S)),
        (Trigger.LEAVE_RESUME, Attempt(1, Mode.RESUME, 0.0)),
        (Trigger.LEAVE_RECONNECT, Attempt(1, Mode.RESTART, 0.0)),
        (Trigger.FORCED, Attempt(1, Mode.RESTART, 0.0)),
    ],
)
def test_what_each_trigger_begins_with(trigger: Trigger, first: Attempt) -> None:
    assert Episode(trigger).next_attempt() == first


def test_a_failed_resume_makes_every_later_attempt_a_restart() -> None:
    episode = Episode(Trigger.SIGNAL_LOST)
    modes = []
    while (attempt := episode.next_attempt()) is not None:
        modes.append(episode.begin())
        assert attempt.number == len(modes)
        episode.failed()
    assert modes == [Mode.RESUME] + [Mode.RESTART] * (ATTEMPTS - 1)


def test_pauses_double_up_to_seven_seconds(longest: None) -> None:
    assert [backoff_s(n) for n in range(1, 10)] == [0.3, 0.6, 1.2, 2.4, 4.8, 7.0, 7.0, 7.0, 7.0]


def test_pauses_are_spread_over_their_whole_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "random_unit", lambda: 0.25)
    assert backoff_s(3) == pytest.approx(0.3)


def test_a_leave_while_trying_fails_the_attempt_and_the_next_begins_at_once(longest: None) -> None:
    episode = Episode(Trigger.SIGNAL_LOST)
    episode.next_attempt()
    episode.begin()
    assert episode.trigger(Trigger.LEAVE_RECONNECT) is Reaction.ABORT
    episode.failed()
    assert episode.next_attempt() == Attempt(2, Mode.RESTART, 0.0)


def test_another_loss_while_trying_fails_the_attempt_with_a_pause(longest: None) -> None:
    episode = Episode(Trigger.SIGNAL_LOST)
    episode.next_attempt()
    episode.begin()
    assert episode.trigger(Trigger.SIGNAL_LOST) is Reaction.ABORT
    episode.failed()
    assert episode.next_attempt() == Attempt(2, Mode.RESTART, 0.3)


def test_dead_media_while_waiting_needs_a_restart() -> None:
    episode = Episode(Trigger.SIGNAL_LOST)
    episode.next_attempt()
    assert episode.trigger(Trigger.MEDIA_DEAD) is Reaction.IGNORE
    assert episode.begin() is Mode.RESTART


def test_silent_media_while_reconnecting_is_no_news() -> None:
    episode = Episode(Trigger.LEAVE_RESUME)
    episode.next_attempt()
    assert episode.trigger(Trigger.MEDIA_SILENT) is Reaction.IGNORE
    assert episode.begin() is Mode.RESUME
    assert episode.trigger(Trigger.MEDIA_SILENT) is Reaction.IGNORE


def test_the_last_failure_says_why_it_ended() -> None:
    episode = Episode(Trigger.SIGNAL_LOST)
    assert episode.reason == Reason.SIGNAL_CLOSE
    episode.failed(Reason.MEDIA_FAILURE)
    assert episode.reason == Reason.MEDIA_FAILURE


@pytest.mark.parametrize(
    ("leave", "action"),
    [
        (proto.LeaveRequest(), LeaveAction.END),
        (proto.LeaveRequest(can_reconnect=True), LeaveAction.RESTART),
        (proto.LeaveRequest(action=Action.RESUME, reason=Reason.SERVER_SHUTDOWN), LeaveAction.RESUME),
        (proto.LeaveRequest(action=Action.RECONNECT), LeaveAction.RESTART),
        (proto.LeaveRequest(action=17), LeaveAction.END),  # type: ignore[arg-type]
    ],
)
def test_the_action_of_a_leave_decides(leave: proto.LeaveRequest, action: LeaveAction) -> None:
    assert leave_action(leave) is action


def test_replay_keeps_what_is_not_acknowledged() -> None:
    replay = ReplayBuffer()
    for sequence in range(1, 5):
        replay.add(sequence, bytes([sequence]) * 10)
    replay.trim(25)  # the newest two and a half packets are out
    assert replay.after(0) == [bytes([n]) * 10 for n in (2, 3, 4)]
    assert replay.after(3) == [bytes([4]) * 10]
    replay.trim(0)
    assert len(replay) == replay.size_bytes == 0


def test_replay_asks_to_be_trimmed_now_and_then() -> None:
    replay = ReplayBuffer()
    assert not replay.add(1, bytes(TRIM_EVERY_BYTES - 1))
    assert replay.add(2, b"x")
    replay.trim(TRIM_EVERY_BYTES)
    assert not replay.add(3, b"x")
    assert len(replay.take()) == 3
    assert replay.size_bytes == 0
