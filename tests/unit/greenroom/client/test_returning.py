"""Streams and followers handed over a restart: to the same identity, and the same track or its like."""

from __future__ import annotations

import pytest
from client_fakes import participant, track

from greenroom.client import returning
from greenroom.client.returning import Returning
from greenroom.client.state import ParticipantState, PublicationState, TrackState


def made(sid: str, identity: str = "anna", **info: object) -> tuple[PublicationState, TrackState]:
    who = ParticipantState(participant(identity))
    publication = PublicationState(track(sid, **info), who)
    who.publications[sid] = publication
    publication.track = TrackState(kind=publication.info.type, name=publication.info.name, sid=sid)
    return publication, publication.track


def followed(track: TrackState) -> list[TrackState]:
    told: list[TrackState] = []
    track.followers.append(told.append)
    return told


def test_the_same_sid_takes_over() -> None:
    held = Returning()
    publication, old = made("TR_1")
    told = followed(old)
    held.hold([publication.participant])
    assert old.returning
    publication, new = made("TR_1")
    held.track_back(publication, new)
    new.changed()
    assert told == [new]
    assert not old.returning


@pytest.mark.parametrize(
    ("identity", "name", "takes_over"),
    [("anna", "mic", True), ("bob", "mic", False), ("anna", "other", False)],
)
def test_a_track_like_it_takes_over(identity: str, name: str, takes_over: bool) -> None:
    held = Returning()
    publication, old = made("TR_1")
    publication.info.name = "mic"
    told = followed(old)
    held.hold([publication.participant])
    publication, new = made("TR_2", identity)
    publication.info.name = name
    held.track_back(publication, new)
    new.changed()
    assert told == ([new] if takes_over else [])


def test_two_that_are_alike_are_told_apart_by_sid() -> None:
    held = Returning()
    one, first = made("TR_1")
    two, second = made("TR_2")
    for publication in (one, two):
        publication.info.name = ""
    told = [followed(first), followed(second)]
    held.hold([one.participant, two.participant])
    for sid in ("TR_2", "TR_1"):
        publication, new = made(sid)
        publication.info.name = ""
        held.track_back(publication, new)
        new.changed()
    assert [t.sid for (t,) in told] == ["TR_1", "TR_2"]


def test_a_watched_participant_is_followed_to_its_successor() -> None:
    held = Returning()
    old, new = ParticipantState(participant("anna")), ParticipantState(participant("anna", sid="PA_2"))
    told: list[str] = []
    old.watchers.append(lambda: told.append("changed"))
    held.hold([old])
    held.participant_back(new)
    new.tracks_changed()
    assert old.successor is new
    assert told == ["changed"]


async def test_what_does_not_come_back_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(returning, "RETURN_GRACE_S", 0.0)
    held = Returning()
    publication, old = made("TR_1")
    gone = asyncio.Event()
    old.followers.append(lambda track: gone.set())
    held.hold([publication.participant])
    held.restarted()
    await asyncio.wait_for(gone.wait(), 5)
    assert not old.returning
    held.give_up()


def test_nobody_is_remembered_whom_nobody_follows() -> None:
    held = Returning()
    publication, old = made("TR_1")
    held.hold([publication.participant])
    assert not old.returning
    held.restarted()  # nothing to wait for, and no loop
