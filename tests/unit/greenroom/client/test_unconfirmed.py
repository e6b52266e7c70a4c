"""Which requests are said again after a resume."""

from __future__ import annotations

from greenroom.client.unconfirmed import Unconfirmed


def test_what_was_sent_before_an_answered_ping_has_arrived() -> None:
    requests = Unconfirmed()
    requests.sent("mute", 1)
    requests.ping(100)
    requests.sent("track_setting", 2)
    requests.pong(100)
    requests.sent("mute", 3)
    assert requests.take() == [("track_setting", 2), ("mute", 3)]
    assert requests.take() == []


def test_only_the_answer_to_the_latest_ping_counts() -> None:
    requests = Unconfirmed()
    requests.ping(100)
    requests.sent("mute", 1)
    requests.ping(200)
    requests.pong(100)
    assert requests.take() == [("mute", 1)]


def test_what_is_answered_or_of_one_connection_is_not_kept() -> None:
    requests = Unconfirmed()
    for kind in ("update_metadata", "add_track", "offer", "trickle", "sync_state", "ping_req"):
        requests.sent(kind, None)
    assert requests.take() == []
