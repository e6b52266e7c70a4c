"""What users of an encrypted room see. Run on the embedded server and on livekit-server."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from room_tools import (
    GREEN,
    RED,
    Ear,
    Events,
    Rooms,
    camera,
    microphone,
    running,
    wait_for_picture,
    within,
)

from livekit import rtc

OK = rtc.EncryptionState.OK
DECRYPTION_FAILED = rtc.EncryptionState.DECRYPTION_FAILED
MISSING_KEY = rtc.EncryptionState.MISSING_KEY
KEY_RATCHETED = rtc.EncryptionState.KEY_RATCHETED


def encrypted(shared_key: bytes | None = b"a passphrase", **options: Any) -> rtc.RoomOptions:
    keys = rtc.KeyProviderOptions(shared_key=shared_key, **options)
    return rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=keys))


def key_provider(room: rtc.Room) -> rtc.KeyProvider:
    keys = room.e2ee_manager.key_provider
    assert keys is not None
    return keys


async def subscribed(events: Events, kind: int) -> rtc.RemoteTrack:
    track, _, _ = await events.wait("track_subscribed", lambda track, *_: track.kind == kind)
    return track


async def ear(events: Events) -> Ear:
    return Ear(rtc.AudioStream(await subscribed(events, rtc.TrackKind.KIND_AUDIO), num_channels=1))


async def reached(events: Events, identity: str, state: int) -> None:
    await events.wait("e2ee_state_changed", lambda who, now: (who.identity, now) == (identity, state))


async def test_sound_picture_and_data_pass_between_those_who_have_the_key(rooms: Rooms) -> None:
    alice, alice_events = await rooms.join("alice", encrypted())
    bob, events = await rooms.join("bob", encrypted())
    async with microphone(alice, 700) as (published, _), camera(alice, RED):
        await (await ear(events)).wait_for_tone(700)
        track = await subscribed(events, rtc.TrackKind.KIND_VIDEO)
        await wait_for_picture(rtc.VideoStream(track), RED)
        await alice.local_participant.publish_data(b"hello", topic="greeting")
        (packet,) = await events.wait("data_received")
        assert (packet.data, packet.topic, packet.participant.identity) == (b"hello", "greeting", "alice")
        assert published.encryption_type == rtc.EncryptionType.GCM
        remote = bob.remote_participants["alice"]
        assert {p.encryption_type for p in remote.track_publications.values()} == {rtc.EncryptionType.GCM}
        assert remote.is_encrypted
        await reached(events, "alice", OK)
        await reached(alice_events, "alice", OK)
        cryptors = {(c.participant_identity, c.enabled) for c in bob.e2ee_manager.frame_cryptors()}
        assert cryptors == {("alice", True)}


async def test_a_wrong_key_is_told_and_heard_as_silence_until_the_right_one_comes(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted())
    bob, events = await rooms.join("bob", encrypted(b"another"))
    async with microphone(alice, 700), camera(alice, RED):
        listening = await ear(events)
        await reached(events, "alice", DECRYPTION_FAILED)
        await listening.wait_for_silence()
        key_provider(bob).set_shared_key(b"a passphrase", 0)
        await reached(events, "alice", OK)
        await listening.wait_for_tone(700)
        video = rtc.VideoStream(await subscribed(events, rtc.TrackKind.KIND_VIDEO))
        await wait_for_picture(video, RED)


async def test_each_participant_can_have_a_key_of_its_own(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted(None))
    bob, events = await rooms.join("bob", encrypted(None))
    key_provider(alice).set_key("alice", b"alice's", 0)
    async with microphone(alice, 700):
        listening = await ear(events)
        await reached(events, "alice", MISSING_KEY)
        key_provider(bob).set_key("alice", b"alice's", 0)
        await listening.wait_for_tone(700)
        assert key_provider(bob).export_key("alice", 0) == b"alice's"
        assert key_provider(bob).export_key("bob", 0) == b""


async def test_the_key_changes_in_the_middle_of_a_call(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted())
    bob, events = await rooms.join("bob", encrypted())
    async with microphone(alice, 700):
        listening = await ear(events)
        await listening.wait_for_tone(700)
        for room in (bob, alice):
            key_provider(room).set_shared_key(b"the next", 1)
        (cryptor,) = alice.e2ee_manager.frame_cryptors()
        cryptor.set_key_index(1)
        key_provider(bob).set_shared_key(b"no longer", 0)
        await listening.wait_for_tone(700)
        assert [state for _, state in events.of("e2ee_state_changed")] == [OK]
        assert alice.e2ee_manager.frame_cryptors()[0].key_index == 1


async def test_a_ratcheted_key_is_followed(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted(None))
    bob, events = await rooms.join("bob", encrypted(None))
    for room in (alice, bob):
        key_provider(room).set_key("alice", b"alice's", 0)
    async with microphone(alice, 700):
        listening = await ear(events)
        await listening.wait_for_tone(700)
        ratcheted = key_provider(alice).ratchet_key("alice", 0)
        await reached(events, "alice", KEY_RATCHETED)
        await listening.wait_for_tone(700)
        assert key_provider(bob).export_key("alice", 0) == ratcheted != b"alice's"
        await alice.local_participant.publish_data(b"after")
        await events.wait("data_received", lambda packet: packet.data == b"after")


async def test_data_follows_a_ratchet_in_order(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted(None))
    bob, events = await rooms.join("bob", encrypted(None))
    for room in (alice, bob):
        key_provider(room).set_key("alice", b"alice's", 0)
    await alice.local_participant.publish_data(b"0")
    key_provider(alice).ratchet_key("alice", 0)
    for number in range(1, 50):
        await alice.local_participant.publish_data(str(number).encode())
    await events.wait("data_received", count=50)
    assert [packet.data for (packet,) in events.of("data_received")] == [b"%d" % n for n in range(50)]


async def test_who_has_no_encryption_gets_nothing_of_an_encrypted_participant(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted())
    _, events = await rooms.join("mallory")
    async with microphone(alice, 700):
        listening = await ear(events)
        await listening.wait_for_silence()
        await alice.local_participant.publish_data(b"secret")
        alice.e2ee_manager.set_enabled(False)
        await alice.local_participant.publish_data(b"clear")
        await events.wait("data_received")
        assert [packet.data for (packet,) in events.of("data_received")] == [b"clear"]
        assert listening.level() < 30


async def test_a_clear_track_is_not_played_in_an_encrypted_room_unless_it_is_allowed(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice")
    bob, events = await rooms.join("bob", encrypted())
    async with microphone(alice, 700):
        listening = await ear(events)
        await reached(events, "alice", DECRYPTION_FAILED)
        await listening.wait_for_silence()
        assert not bob.remote_participants["alice"].is_encrypted
        (cryptor,) = bob.e2ee_manager.frame_cryptors()
        cryptor.set_enabled(False)
        await listening.wait_for_tone(700)


async def test_encryption_can_be_switched_off_and_on(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted())
    bob, events = await rooms.join("bob", encrypted())
    async with microphone(alice, 700):
        listening = await ear(events)
        await listening.wait_for_tone(700)
        bob.e2ee_manager.set_enabled(False)
        await listening.wait_for_silence()
        bob.e2ee_manager.set_enabled(True)
        await listening.wait_for_tone(700)


@pytest.mark.parametrize("spelling", ["encryption", "e2ee"])
async def test_one_spelling_encrypts_data_packets_and_the_other_tracks_alone(
    rooms: Rooms, spelling: str
) -> None:
    options = rtc.RoomOptions(**{spelling: encrypted().encryption})  # type: ignore[arg-type]
    alice, _ = await rooms.join("alice", options)
    _, events = await rooms.join("mallory")
    async with microphone(alice) as (published, _):
        assert published.encryption_type == rtc.EncryptionType.GCM
    data_track = await alice.local_participant.publish_data_track(name="positions")
    assert data_track.info.uses_e2ee
    await alice.local_participant.publish_data(b"secret?")
    alice.e2ee_manager.set_enabled(False)
    await alice.local_participant.publish_data(b"clear")
    await events.wait("data_received", lambda packet: packet.data == b"clear")
    got = [packet.data for (packet,) in events.of("data_received")]
    assert got == ([b"clear"] if spelling == "encryption" else [b"secret?", b"clear"])


async def test_calls_and_streams_are_encrypted_with_the_room(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted())
    bob, _ = await rooms.join("bob", encrypted())
    texts: list[str] = []
    done = Events(bob)

    async def echo(data: rtc.RpcInvocationData) -> str:
        return data.payload

    async def read(reader: rtc.TextStreamReader) -> None:
        texts.append(await reader.read_all())
        await bob.local_participant.send_text("got it", topic="answer")

    tasks: list[asyncio.Task[None]] = []
    answered = asyncio.Event()
    bob.local_participant.register_rpc_method("echo", echo)
    bob.register_text_stream_handler(
        "text", lambda reader, _: tasks.append(asyncio.ensure_future(read(reader)))
    )
    alice.register_text_stream_handler("answer", lambda *_: answered.set())
    long_text = "words " * 10_000
    await alice.local_participant.send_text(long_text, topic="text")
    await within(answered.wait())
    assert texts == [long_text]
    reply = alice.local_participant.perform_rpc(destination_identity="bob", method="echo", payload="hi")
    assert await within(reply) == "hi"
    assert done.of("data_received") == []


async def push_frames(track: rtc.LocalDataTrack) -> None:
    """Until cancelled: the first ones may go before the server knows of a subscription."""
    for number in itertools.count():
        track.try_push(rtc.DataTrackFrame(b"frame" * 5_000, user_timestamp=number))
        await asyncio.sleep(0.01)


async def test_data_tracks_are_encrypted_with_the_room(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted())
    _, bobs = await rooms.join("bob", encrypted())
    carol, carols = await rooms.join("carol", encrypted(b"another"))
    _, eves = await rooms.join("eve")
    track = await alice.local_participant.publish_data_track(name="positions")
    assert track.info.uses_e2ee
    bobs_stream, carols_stream, eves_stream = [
        (await events.wait("data_track_published"))[0].subscribe() for events in (bobs, carols, eves)
    ]
    (remote,) = bobs.of("data_track_published")[0]
    assert remote.info.uses_e2ee
    async with running(push_frames(track)):
        locked_out = [asyncio.ensure_future(stream.read()) for stream in (carols_stream, eves_stream)]
        frame = await within(bobs_stream.read())
        assert frame is not None
        assert frame.payload == b"frame" * 5_000
        await reached(carols, "alice", DECRYPTION_FAILED)
        key_provider(carol).set_shared_key(b"a passphrase", 0)
        late = await within(locked_out[0])
        assert late is not None
        assert late.payload == b"frame" * 5_000
        assert late.user_timestamp is not None
        assert late.user_timestamp > 0
        await reached(carols, "alice", OK)
        assert carols_stream.dropped_frames > 0
        assert not locked_out[1].done()
        assert eves_stream.dropped_frames > 0
        # It was announced as encrypted and is never sent in the clear; the next one may be.
        alice.e2ee_manager.set_enabled(False)
        seen = len(bobs.of("e2ee_state_changed"))
        await within(bobs_stream.read())
        clear = await alice.local_participant.publish_data_track(name="clear")
        assert not clear.info.uses_e2ee
        assert len(bobs.of("e2ee_state_changed")) == seen
        assert not locked_out[1].done()
        eves_stream.close()
        assert await within(locked_out[1]) is None


async def test_a_muted_encrypted_track_ends_quietly_and_comes_back(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice", encrypted())
    _, events = await rooms.join("bob", encrypted())
    async with microphone(alice, 700) as (_, track), camera(alice, GREEN):
        listening = await ear(events)
        await listening.wait_for_tone(700)
        track.mute()
        await listening.wait_for_silence()
        track.unmute()
        await listening.wait_for_tone(700)
        assert [state for who, state in events.of("e2ee_state_changed") if who.identity == "alice"] in (
            [OK],
            [OK, OK],
        )


async def test_without_encryption_it_can_not_be_switched_on(rooms: Rooms) -> None:
    alice, _ = await rooms.join("alice")
    assert not alice.e2ee_manager.enabled
    assert alice.e2ee_manager.key_provider is None
    assert alice.e2ee_manager.frame_cryptors() == []
    with pytest.raises(RuntimeError, match="encryption="):
        alice.e2ee_manager.set_enabled(True)
