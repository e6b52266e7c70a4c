"""One side of an encrypted interop case, run as a process of its own by either SDK's interpreter.

usage: PYTHON encryption_program.py publish|subscribe URL TOKEN CODEC HOW

HOW is JSON: `keys` shared or participant, `derivation` PBKDF2 or HKDF, `spelling` encryption or e2ee. As room_program.py, and
the subscriber measures the tone once more after the publisher ratcheted its key (of participant keys), and after it
went on to the key at index 1. A data track carries FRAME all the time.
"""

from __future__ import annotations

import asyncio
import json
import sys

import room_program
from room_program import DEADLINE_S, measure_audio, publish, subscribe

from livekit import rtc

SECRET = b"a secret of both"
NEXT_SECRET = b"the next one"
FRAME = bytes(range(256)) * 70
SETTLED_FRAMES = 50
"""Of 10 ms, heard after the first was decrypted and before anything is measured."""


def options(how: dict) -> rtc.RoomOptions:
    keys = rtc.KeyProviderOptions(
        shared_key=SECRET if how["keys"] == "shared" else None,
        key_derivation_function=rtc.KeyDerivationFunction.Value(how["derivation"]),
    )
    return rtc.RoomOptions(**{how["spelling"]: rtc.E2EEOptions(key_provider_options=keys)})


def set_keys(room: rtc.Room, how: dict) -> None:
    keys = room.e2ee_manager.key_provider
    if how["keys"] == "shared":
        keys.set_shared_key(NEXT_SECRET, 1)
        return
    for identity in ("publish", "subscribe"):
        keys.set_key(identity, NEXT_SECRET, 1)
        keys.set_key(identity, SECRET + identity.encode(), 0)


def change_when_asked(room: rtc.Room) -> None:
    def on_data(packet: rtc.DataPacket) -> None:
        if packet.topic == "ratchet":
            room.e2ee_manager.key_provider.ratchet_key("publish", 0)
        if packet.topic == "next":
            for cryptor in room.e2ee_manager.frame_cryptors():
                if cryptor.participant_identity == "publish":
                    cryptor.set_key_index(1)

    room.on("data_received", on_data)


async def push_frames(room: rtc.Room) -> None:
    track = await room.local_participant.publish_data_track(name="frames")
    while True:
        track.try_push(rtc.DataTrackFrame(FRAME, 2**40))
        await asyncio.sleep(0.1)


async def measure_frames(track: rtc.RemoteDataTrack) -> dict:
    stream = track.subscribe()
    frame = await stream.read()
    stream.close()
    whole = frame.payload == FRAME and frame.user_timestamp == 2**40
    return {"uses_e2ee": track.info.uses_e2ee, "whole": whole}


async def hear_until_decrypted(track: rtc.Track, states: list[list]) -> None:
    """The official SDK now and then plays, as noise, what comes before its cryptor is attached."""
    stream, settled = rtc.AudioStream(track), 0
    async for _ in stream:
        settled += ["publish", 1] in states
        if settled >= SETTLED_FRAMES:
            break
    await stream.aclose()


async def measure(room: rtc.Room, tracks: dict[str, asyncio.Future], how: dict) -> dict:
    states: list[list] = []
    room.on("e2ee_state_changed", lambda who, state: states.append([who.identity, int(state)]))
    await hear_until_decrypted(await tracks["audio"], states)
    measured = await subscribe(room, tracks)
    measured["frames"] = await measure_frames(await tracks["data"])
    audio = await tracks["audio"]
    changes = ["next"] if how["keys"] == "shared" else ["ratchet", "next"]
    for change in changes:
        await room.local_participant.publish_data(b"", topic=change)
        await asyncio.sleep(0.5)  # what was on its way
        measured[change] = await measure_audio(audio)
    measured["last_frames"] = await measure_frames(await tracks["data"])
    (publisher,) = room.remote_participants.values()
    measured["types"] = [int(p.encryption_type) for p in publisher.track_publications.values()]
    measured["states"] = states
    measured["exported"] = room.e2ee_manager.key_provider.export_key("publish", 0).hex()
    return measured


async def main() -> None:
    role, url, token, codec, how = *sys.argv[1:5], json.loads(sys.argv[5])
    room = rtc.Room()
    loop = asyncio.get_running_loop()
    tracks = {"audio": loop.create_future(), "video": loop.create_future(), "data": loop.create_future()}

    def on_track(track: rtc.Track, *_: object) -> None:
        key = "audio" if track.kind == rtc.TrackKind.KIND_AUDIO else "video"
        if not tracks[key].done():
            tracks[key].set_result(track)

    room.on("track_subscribed", on_track)
    room.on("data_track_published", tracks["data"].set_result)
    await room.connect(url, token, options(how))
    set_keys(room, how)
    print(json.dumps({"joined": True}), flush=True)
    try:
        if role == "publish":
            change_when_asked(room)
            frames = asyncio.ensure_future(push_frames(room))
            await publish(room, codec)
            frames.cancel()
        else:
            measured = await asyncio.wait_for(measure(room, tracks, how), DEADLINE_S)
            print(json.dumps(measured), flush=True)
    finally:
        await room.disconnect()


if __name__ == "__main__":
    room_program.AUDIO_SECONDS = 1.0
    asyncio.run(main())
