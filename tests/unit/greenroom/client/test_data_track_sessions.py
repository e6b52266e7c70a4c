"""Who publishes data tracks and who reads them, through sessions that end and begin anew."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom.client import local_data_tracks, remote_data_tracks
from greenroom.client.data_tracks import DataTracks
from greenroom.client.errors import PublishDataTrackError, PushFrameError, SubscribeDataTrackError


class Peer:
    def __init__(self) -> None:
        self.receivers: dict[int, Any] = {}
        self.pushed: list[tuple[bytes, Any]] = []
        self.takes = True

    def receive_data_tracks(self, _label: str, receivers: dict[int, Any]) -> None:
        self.receivers = receivers

    def push_data_frame(self, _channel: int, _track: Any, payload: bytes, **fields: Any) -> bool:
        if self.takes:
            self.pushed.append((payload, fields["encryption"]))
        return self.takes


class Cipher:
    """Turns frames round."""

    def __init__(self) -> None:
        self.announced_type = models.Encryption.Type.NONE

    def seal(self, payload: bytes) -> tuple[bytes, int, bytes]:
        return payload[::-1], 3, b"i" * 12

    async def open(self, identity: str, payload: bytes, encryption: tuple[int, bytes] | None) -> bytes | None:
        return None if encryption is None else f"{identity} {encryption[0]} ".encode() + payload[::-1]


class FakeSession:
    """What data tracks need of a session."""

    def __init__(self) -> None:
        self.closed = False
        self.reconnector = SimpleNamespace(active=False, settled=self._nothing)
        self.sender = SimpleNamespace(opened=self._nothing)
        self.facade = SimpleNamespace(make_remote_data_track=lambda state: state)
        self.gate = SimpleNamespace(pass_through=lambda function, *arguments: function(*arguments))
        self.events: list[tuple[str, Any]] = []
        self.sent: list[tuple[str, Any]] = []
        self.was_sent = asyncio.Event()
        self.peer = Peer()
        link = SimpleNamespace(alive=True, peer=self.peer, is_open=lambda channel: True)
        self.connections = SimpleNamespace(links=[link])
        self.publisher = SimpleNamespace(link=link, channels={"_data_track": 3})
        self.tracks = DataTracks(self, Cipher())  # type: ignore[arg-type]

    async def _nothing(self, *_: Any) -> None:
        pass

    def emit(self, event: str, argument: Any) -> None:
        self.events.append((event, argument))

    def send(self, kind: str, message: Any, *, urgent: bool = False) -> None:
        self.sent.append((kind, message))
        self.was_sent.set()

    def wishes(self) -> list[tuple[str, bool]]:
        """Subscriptions asked for so far, and forget them."""
        asked = [(u.track_sid, u.subscribe) for _, message in self.sent for u in message.updates]
        self.sent.clear()
        return asked

    def hand_over(self, *sids: str) -> None:
        table = proto.DataTrackSubscriberHandles()
        for handle, sid in enumerate(sids, 10):
            table.sub_handles[handle].track_sid = sid
        self.tracks.remote.handles(table)


@pytest.fixture
async def session() -> FakeSession:
    return FakeSession()


def info(sid: str, handle: int = 1, name: str = "n", **fields: Any) -> models.DataTrackInfo:
    return models.DataTrackInfo(sid=sid, pub_handle=handle, name=name, **fields)


# ---- tracks of others ----


async def test_a_list_tells_what_came_and_what_went(session: FakeSession) -> None:
    remote = session.tracks.remote
    remote.listed("bob", [info("DTR_1"), info("DTR_2", 2, "m")])
    remote.listed("bob", [info("DTR_2", 2, "m"), info("DTR_3", 3, "o")])
    assert [(event, getattr(what, "info", what)) for event, what in session.events] == [
        ("data_track_published", info("DTR_1")),
        ("data_track_published", info("DTR_2", 2, "m")),
        ("data_track_unpublished", "DTR_1"),
        ("data_track_published", info("DTR_3", 3, "o")),
    ]


async def test_readers_share_one_subscription(session: FakeSession) -> None:
    remote = session.tracks.remote
    remote.listed("bob", [info("DTR_1")])
    (track,) = remote.of("bob")
    first, second = track.subscribe(None), track.subscribe(0)
    assert session.wishes() == [("DTR_1", True)]
    session.hand_over("DTR_1", "DTR_of nobody we know")
    assert session.peer.receivers == {10: track.receiver}
    first.close()
    assert session.wishes() == []
    second.close()
    second.close()
    assert session.wishes() == [("DTR_1", False)]


async def test_a_subscription_that_is_not_granted_fails_its_readers(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_data_tracks, "SUBSCRIBE_TIMEOUT_S", 0.01)
    session.tracks.remote.listed("bob", [info("DTR_1")])
    (track,) = session.tracks.remote.of("bob")
    reader = track.subscribe(None)
    with pytest.raises(SubscribeDataTrackError, match="'n' of 'bob'"):
        await asyncio.wait_for(reader.next(), 5)
    assert await reader.next() is None
    assert session.wishes() == [("DTR_1", True), ("DTR_1", False)]


async def test_readers_outlive_our_joining_anew(session: FakeSession) -> None:
    remote = session.tracks.remote
    remote.listed("bob", [info("DTR_1"), info("DTR_2", 2, "m")])
    track, gone = remote.of("bob")
    reader, lost = track.subscribe(None), gone.subscribe(None)
    session.hand_over("DTR_1", "DTR_2")
    session.events.clear()
    session.wishes()

    remote.lose()
    remote.listed("bob", [])
    remote.lose()  # a second attempt
    remote.listed("bob", [info("DTR_9")])
    assert session.wishes() == [("DTR_9", True)]
    remote.settle()
    assert session.events == [("data_track_unpublished", "DTR_2")]
    assert (track.info.sid, track.published, gone.published) == ("DTR_9", True, False)
    assert await asyncio.wait_for(lost.next(), 5) is None
    session.hand_over("DTR_9")
    assert session.peer.receivers == {10: track.receiver}
    reader.close()


async def test_after_a_resume_what_was_not_handed_over_is_asked_for_again(session: FakeSession) -> None:
    remote = session.tracks.remote
    remote.listed("bob", [info("DTR_1"), info("DTR_2", 2, "m")])
    readers = [track.subscribe(None) for track in remote.of("bob")]
    session.hand_over("DTR_1")
    session.wishes()
    session.tracks.ask_again()
    assert session.wishes() == [("DTR_2", False), ("DTR_2", True)]
    state = proto.SyncState()
    session.tracks.sync(state)
    assert {update.track_sid for update in state.data_subscription.updates} == {"DTR_1", "DTR_2"}
    session.tracks.close()
    for reader in readers:
        assert await asyncio.wait_for(reader.next(), 5) is None


# ---- our own ----


async def publish(session: FakeSession, sid: str = "DTR_mine", **fields: Any) -> Any:
    publishing = asyncio.ensure_future(session.tracks.local.publish("n"))
    await session.was_sent.wait()
    _, request = session.sent.pop()
    session.was_sent.clear()
    session.tracks.local.answered(info(sid, request.pub_handle, encryption=request.encryption, **fields))
    return await publishing


async def test_handles_are_never_used_twice(session: FakeSession) -> None:
    first = await publish(session)
    first.unpublish()
    first.unpublish()
    ((kind, request),) = session.sent
    assert (kind, request.pub_handle) == ("unpublish_data_track_request", 1)
    session.sent.clear()
    session.was_sent.clear()
    assert (await publish(session)).info.pub_handle == 2
    with pytest.raises(PushFrameError, match="track unpublished"):
        first.push(b"", None)


async def test_an_answer_that_comes_too_late_takes_the_track_back(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_data_tracks, "RESPONSE_TIMEOUT_S", 0.01)
    with pytest.raises(PublishDataTrackError, match="timed-out"):
        await session.tracks.local.publish("n")
    session.tracks.local.answered(info("DTR_late"))
    assert session.sent[-1][0] == "unpublish_data_track_request"


async def test_a_lost_answer_is_read_from_our_own_state(session: FakeSession) -> None:
    publishing = asyncio.ensure_future(session.tracks.local.publish("n"))
    await session.was_sent.wait()
    own = models.ParticipantInfo(data_tracks=[info("DTR_mine")])
    session.tracks.participant_updated(own, is_local=True)
    assert (await publishing).info.sid == "DTR_mine"


async def test_tracks_are_published_again_under_the_same_handle(session: FakeSession) -> None:
    track = await publish(session)
    again = asyncio.ensure_future(session.tracks.local.publish_again())
    await session.was_sent.wait()
    _, request = session.sent.pop()
    session.was_sent.clear()
    session.tracks.local.answered(info("DTR_new", request.pub_handle, request.name))
    await again
    assert (track.info.sid, track.info.pub_handle, track.published) == ("DTR_new", 1, True)


async def test_a_track_that_can_not_be_published_again_is_logged_and_ends(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    track = await publish(session)
    monkeypatch.setattr(local_data_tracks, "RESPONSE_TIMEOUT_S", 0.01)
    await session.tracks.local.publish_again()
    assert not track.published
    assert "data track 'n' could not be published again: Publish data track timed-out" in caplog.text


async def test_a_withdrawn_permission_unpublishes(session: FakeSession) -> None:
    track = await publish(session)
    own = models.ParticipantInfo(permission=models.ParticipantPermission(can_publish=True))
    session.tracks.participant_updated(own, is_local=True)
    assert not track.published


async def test_frames_of_a_track_that_is_announced_as_encrypted_are_sealed(session: FakeSession) -> None:
    session.tracks.cipher.announced_type = models.Encryption.Type.GCM  # type: ignore[misc]
    track = await publish(session)
    # It was announced as encrypted, and stays so.
    session.tracks.cipher.announced_type = models.Encryption.Type.NONE  # type: ignore[misc]
    track.push(b"abc", None)
    assert session.peer.pushed == [(b"cba", (3, b"i" * 12))]
    session.peer.takes = False
    with pytest.raises(PushFrameError, match="queue full"):
        track.push(b"abc", None)


async def test_frames_are_opened_or_dropped(session: FakeSession) -> None:
    remote = session.tracks.remote
    remote.listed("bob", [info("DTR_1"), info("DTR_2", 2, "m", encryption=models.Encryption.Type.GCM)])
    clear, sealed = remote.of("bob")
    assert await clear.open(b"abc", None) == b"abc"
    assert await clear.open(b"abc", (1, b"")) is None
    assert await sealed.open(b"abc", None) is None
    assert await sealed.open(b"cba", (1, b"")) == b"bob 1 abc"
