"""Encrypted sound, picture and data between livekit-client in Chromium and our SDK, both ways, through both servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from room_tools import Ear, Events, Rooms, microphone, running, wait_for_picture, within

from livekit import rtc

from .browser import Browser, browser
from .room_program import HEIGHT, QUARTERS_RGB, WIDTH, picture
from .servers import RoomServer

PASSPHRASE = "a passphrase"
MATERIAL = bytes(range(32))
_DERIVATIONS = {
    "passphrase": (rtc.KeyDerivationFunction.PBKDF2, PASSPHRASE.encode(), PASSPHRASE),
    "material": (rtc.KeyDerivationFunction.HKDF, MATERIAL, MATERIAL.hex()),
}

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / "console.log") as page:
        yield page


@pytest.fixture(params=["livekit", "embedded"])
async def rooms(request: pytest.FixtureRequest) -> AsyncIterator[Rooms]:
    server: RoomServer = request.getfixturevalue(request.param)
    rooms = Rooms(server)
    yield rooms
    await rooms.leave()


def encrypted(kind: str, key: bytes | None = None) -> rtc.RoomOptions:
    derivation, material, _ = _DERIVATIONS[kind]
    keys = rtc.KeyProviderOptions(shared_key=key or material, key_derivation_function=derivation)
    return rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=keys))


async def browser_joins(chromium: Browser, rooms: Rooms, kind: str) -> None:
    how = {"encryption": {kind: _DERIVATIONS[kind][2]}}
    await called(chromium, "join", rooms.server.url, rooms.token("browser"), how)


async def called(chromium: Browser, name: str, *args: Any) -> Any:
    return await asyncio.to_thread(chromium.call, name, *args)


async def show_card(source: rtc.VideoSource) -> None:
    frame = rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, picture())
    while True:
        source.capture_frame(frame)
        await asyncio.sleep(1 / 20)


def ycbcr(red: float, blue: float) -> NDArray[np.float64]:
    """From RGB, by the weights that red and blue have in luma."""
    luma = np.array([red, 1 - red - blue, blue])
    return np.array([luma, ([0, 0, 1] - luma) / (1 - blue) / 2, ([1, 0, 0] - luma) / (1 - red) / 2])


BT601, BT709 = ycbcr(0.299, 0.114), ycbcr(0.2126, 0.0722)
# We convert with BT.601, as libwebrtc does. VP8 means that; of H264 that does not say, Chromium assumes BT.709.
SHOWN_WITH = {"VP8": BT601, "H264": BT709}


def assert_quarters(seen: dict[str, Any] | None, codec: str) -> None:
    assert seen is not None, "no picture was decoded"
    shown = np.array(QUARTERS_RGB) @ (np.linalg.inv(SHOWN_WITH[codec]) @ BT601).T
    # Chromium's blue is up to 9 off with BT.709.
    assert seen["quarters_rgb"] == pytest.approx(shown, abs=12)


@pytest.mark.parametrize(("kind", "codec"), [("passphrase", "VP8"), ("material", "H264")])
async def test_the_browser_plays_what_we_encrypt(
    rooms: Rooms, chromium: Browser, kind: str, codec: str
) -> None:
    alice, _ = await rooms.join("alice", encrypted(kind))
    await browser_joins(chromium, rooms, kind)
    source = rtc.VideoSource(WIDTH, HEIGHT)
    async with microphone(alice, 1000), running(show_card(source)):
        track = rtc.LocalVideoTrack.create_video_track("card", source)
        options = rtc.TrackPublishOptions(simulcast=False, video_codec=rtc.VideoCodec.Value(codec))
        await within(alice.local_participant.publish_track(track, options))
        heard = await called(chromium, "hear")
        assert heard["pitch_hz"] == pytest.approx(1000, abs=10)
        assert heard["level"] == pytest.approx(10_000 / 32_768 / 2**0.5, rel=0.3)
        assert_quarters(await called(chromium, "see"), codec)
        await alice.local_participant.publish_data(b"from python", topic="greeting")
        assert (await called(chromium, "data", 1))[0][:3] == ["from python", "alice", "greeting"]
        assert await called(chromium, "encryptionErrors") == []


@pytest.mark.parametrize(("kind", "codec"), [("passphrase", "h264"), ("material", "vp8")])
async def test_we_play_what_the_browser_encrypts(
    rooms: Rooms, chromium: Browser, kind: str, codec: str
) -> None:
    alice, events = await rooms.join("alice", encrypted(kind))
    await browser_joins(chromium, rooms, kind)
    await called(chromium, "publishTone")
    await called(chromium, "publishPicture", codec)
    await ear(events, 1000)
    track, publication, _ = await events.wait(
        "track_subscribed", lambda track, *_: track.kind == rtc.TrackKind.KIND_VIDEO
    )
    assert publication.encryption_type == rtc.EncryptionType.GCM
    frame = await wait_for_picture(rtc.VideoStream(track))
    assert frame.width / frame.height == pytest.approx(WIDTH / HEIGHT, rel=0.02)
    await called(chromium, "sendData", "from javascript", "greeting")
    (packet,) = await events.wait("data_received")
    assert packet.data == b"from javascript"
    assert alice.remote_participants["browser"].is_encrypted


async def ear(events: Events, hz: float) -> Ear:
    track, _, _ = await events.wait(
        "track_subscribed", lambda track, *_: track.kind == rtc.TrackKind.KIND_AUDIO
    )
    listening = Ear(rtc.AudioStream(track, num_channels=1))
    await listening.wait_for_tone(hz)
    return listening


async def test_a_wrong_key_is_silence_on_both_sides(rooms: Rooms, chromium: Browser) -> None:
    alice, events = await rooms.join("alice", encrypted("passphrase", b"another"))
    await browser_joins(chromium, rooms, "passphrase")
    await called(chromium, "publishTone")
    async with microphone(alice, 1000):
        await events.wait("e2ee_state_changed", lambda who, state: (who.identity, state) == ("browser", 3))
        heard = await called(chromium, "hear", 3000)
        assert heard["level"] < 0.01
        key_provider = alice.e2ee_manager.key_provider
        assert key_provider is not None
        key_provider.set_shared_key(PASSPHRASE.encode(), 0)
        await ear(events, 1000)
        assert (await called(chromium, "hear"))["pitch_hz"] == pytest.approx(1000, abs=10)


# livekit-server ends a track that goes with frames of its own; those of the first one may come after the second began.
SERVER_SILENCE = "f8fffe" + "00" * 77


def parts(frames: list[str], clear: int) -> set[bytes]:
    """Every six bytes in a row behind the clear ones."""
    payloads = [bytes.fromhex(frame)[clear:] for frame in frames]
    return {payload[at : at + 6] for payload in payloads for at in range(len(payload) - 5)}


async def test_what_the_server_sends_holds_nothing_of_the_sound(rooms: Rooms, chromium: Browser) -> None:
    """Captured by a browser without the key, before decoding: the same tone, in the clear and encrypted."""
    await called(chromium, "captureRawFrames")
    await called(chromium, "join", rooms.server.url, rooms.token("eve"))
    captured = {}
    for name, options in (("clear", None), ("secret", encrypted("passphrase"))):
        alice, _ = await rooms.join("alice", options)
        async with microphone(alice, 1000):
            frames = await called(chromium, "rawFrames", "audio", 100)
            captured[name] = [frame for frame in frames if frame != SERVER_SILENCE]
        await alice.disconnect()
    assert all(frame.endswith("0c00") and len(frame) > 60 for frame in captured["secret"])
    assert not any(frame.endswith("0c00") for frame in captured["clear"])
    clear, secret = parts(captured["clear"], 1), parts([frame[:-28] for frame in captured["secret"]], 1)
    assert len(clear) > 1000
    assert len(secret) > 1000
    assert not clear & secret
    # Ciphertext repeats nothing, and all byte values are as frequent.
    assert len(secret) == sum(len(frame) // 2 - 1 - 14 - 5 for frame in captured["secret"])
