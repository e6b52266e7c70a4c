"""Programs that don't tidy up, loops in other threads, slow readers: what real programs do to a room."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest
from room_tools import RED, Ear, Events, Rooms, camera, microphone, running, show, wait_for_picture, within

import greenroom
from greenroom.server.handlers import HANDLERS
from livekit import rtc

pytestmark = pytest.mark.usefixtures("nothing_left")


async def run_program(code: str, *arguments: str) -> tuple[int, str, str]:
    """(exit code, output, errors) of a program in an interpreter of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(code),
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await within(process.communicate(), 30)
    return process.returncode or 0, out.decode(), err.decode()


UNTIDY = """
import asyncio, sys
from livekit import rtc

async def main():
    room = rtc.Room()
    await room.connect(sys.argv[1], sys.argv[2])
    source = rtc.AudioSource(48000, 1)
    track = rtc.LocalAudioTrack.create_audio_track("a", source)
    await room.local_participant.publish_track(track)
    stream = rtc.AudioStream(track)
    await source.capture_frame(rtc.AudioFrame.create(48000, 1, 480))
    await stream.__anext__()
    print("ready")

asyncio.run(main())
print("end")
"""


async def test_a_program_that_never_disconnects_ends_and_is_missed() -> None:
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        _, events = await rooms.join("watcher")
        code, out, err = await run_program(UNTIDY, server.url, rooms.token("untidy"))
        assert (code, out) == (0, "ready\nend\n"), err
        assert "Traceback" not in err
        await events.wait("participant_connected")
        await rooms.leave()


async def test_the_first_line_of_a_program_may_be_a_source() -> None:
    code, out, err = await run_program(
        """
        import asyncio
        from livekit import rtc

        room = rtc.Room()
        source = rtc.VideoSource(320, 240)
        print(room, source)
        """
    )
    assert (code, err) == (0, "")
    assert "unknown" in out


async def test_rooms_on_loops_of_other_threads() -> None:
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        _, events = await rooms.join("here")
        url, heard = server.url, []

        async def visit(identity: str, token: str) -> None:
            room = rtc.Room()
            theirs = Events(room)
            await room.connect(url, token)
            await room.local_participant.publish_data(identity)
            await theirs.wait("data_received", lambda p: p.data == b"enough")
            heard.append(identity)
            await room.disconnect()

        threads = [
            threading.Thread(target=lambda n=n: asyncio.run(visit(n, rooms.token(n))))
            for n in ("a", "b", "c")
        ]
        for thread in threads:
            thread.start()
        for identity in (b"a", b"b", b"c"):
            await events.wait("data_received", lambda p, identity=identity: p.data == identity)
        await events.until(lambda: len(events.of("participant_connected")) == 3, "all three")
        room = rooms._joined[0]
        await within(room.local_participant.publish_data(b"enough"))
        for thread in threads:
            await asyncio.get_running_loop().run_in_executor(None, thread.join, 20)
        assert sorted(heard) == ["a", "b", "c"]
        await rooms.leave()


async def test_one_room_after_another_on_loops_of_their_own() -> None:
    """As `asyncio.run` in a notebook or in tests: nothing may hang on to a loop that is closed."""

    def rounds() -> None:
        async def once() -> None:
            async with greenroom.Server() as server:
                room = rtc.Room()
                await room.connect(server.url, server.token("lobby", "one"))
                await room.disconnect()

        for _ in range(5):
            asyncio.run(once())

    await within(asyncio.get_running_loop().run_in_executor(None, rounds), 30)


async def test_a_room_that_is_let_go_of_is_freed() -> None:
    async with greenroom.Server() as server:
        room = rtc.Room()
        await room.connect(server.url, server.token("lobby", "one"))
        await room.disconnect()
        reference = weakref.ref(room)
        del room
        for _ in range(3):
            await asyncio.sleep(0)
            gc.collect()
        assert reference() is None


@pytest.mark.parametrize("scheme", ["ws", "http"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_urls_as_people_write_them(scheme: str, slash: str) -> None:
    async with greenroom.Server() as server:
        room = rtc.Room()
        url = f"{scheme}://127.0.0.1:{server.port}{slash}"
        await within(room.connect(url, server.token("lobby", "one")))
        await room.disconnect()


async def test_a_burst_larger_than_the_channel_arrives_whole() -> None:
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        sender, _ = await rooms.join("sender")
        _, events = await rooms.join("receiver")
        payload = bytes(50_000)
        count = 200  # 10 MB; a channel holds 4
        await within(
            asyncio.gather(
                *(sender.local_participant.publish_data(n.to_bytes(4, "big") + payload) for n in range(count))
            ),
            40,
        )
        await events.wait("data_received", count=count)
        numbers = [int.from_bytes(args[0].data[:4], "big") for args in events.of("data_received")]
        assert numbers == list(range(count))
        await rooms.leave()


async def test_disconnecting_releases_who_waits_to_send() -> None:
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        sender, _ = await rooms.join("sender")
        await rooms.join("receiver")
        sending = [
            asyncio.ensure_future(sender.local_participant.publish_data(bytes(60_000))) for _ in range(300)
        ]
        await asyncio.sleep(0)
        await sender.disconnect()
        results = await within(asyncio.gather(*sending, return_exceptions=True))
        assert all(r is None or isinstance(r, rtc.participant.PublishDataError) for r in results), results
        await rooms.leave()


async def test_leaving_while_publishing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """At any moment: before the request is made, while it is on its way, and while its answer is."""
    asked = asyncio.Event()
    # The server does not answer, or it might be faster than the leave.
    monkeypatch.setitem(HANDLERS, "add_track", lambda *_: asked.set())
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        for turns in (0, 1, 3, 6, None):
            room, _ = await rooms.join("one")
            source = rtc.AudioSource(48_000, 1)
            track = rtc.LocalAudioTrack.create_audio_track("a", source)
            publishing = asyncio.ensure_future(room.local_participant.publish_track(track))
            if turns is None:
                asked.clear()
                await within(asked.wait())
            for _ in range(turns or 0):
                await asyncio.sleep(0)
            await room.disconnect()
            with pytest.raises(rtc.participant.PublishTrackError):
                await within(publishing)
            await source.aclose()
        await rooms.leave()


async def test_a_stream_that_nobody_reads_costs_frames_not_memory() -> None:
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        sender, _ = await rooms.join("sender")
        _, events = await rooms.join("viewer")
        async with camera(sender, RED):
            track = (await events.wait("track_subscribed"))[0]
            unread, read = rtc.VideoStream(track, capacity=2), rtc.VideoStream(track)
            for _ in range(6):
                await within(read.__anext__())
            assert unread.dropped_frames >= 3
            await read.aclose()
            await unread.aclose()
        await rooms.leave()


async def test_sources_may_be_closed_while_published() -> None:
    async with greenroom.Server() as server:
        rooms = Rooms(server)
        sender, _ = await rooms.join("sender")
        _, events = await rooms.join("viewer")
        picture = rtc.VideoSource(320, 240)
        track = rtc.LocalVideoTrack.create_video_track("card", picture)
        async with microphone(sender) as (audio, _), running(show(picture, 320, 240, RED)):
            video = await within(
                sender.local_participant.publish_track(
                    track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
                )
            )
            await events.wait("track_subscribed", count=2)
        # Both sources: the microphone's is closed by its block.
        await picture.aclose()
        for publication in (audio, video):
            await sender.local_participant.unpublish_track(publication.sid)
        await events.wait("track_unpublished", count=2)
        async with microphone(sender, 600), camera(sender, RED):
            await events.wait("track_subscribed", count=4)
            for args in events.of("track_subscribed")[2:]:
                if args[0].kind == rtc.TrackKind.KIND_AUDIO:
                    stream = rtc.AudioStream(args[0])
                    await Ear(stream).wait_for_tone(600)
                    await stream.aclose()
                else:
                    shown = rtc.VideoStream(args[0])
                    await wait_for_picture(shown, RED)
                    await shown.aclose()
        await rooms.leave()
