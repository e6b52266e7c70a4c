"""Encrypted sound, picture and data between livekit-client in Chromium and our SDK, both ways, and among browsers, through both
servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from room_tools import Ear, Events, microphone, wait_for_picture

from livekit import rtc

from .browser import Page
from .browser.rooms import SINGLE, TWO, BrowserRooms, OpenPage, assert_painted_quarters, assert_quarters, card
from .room_program import HEIGHT, WIDTH
from .servers import RoomServer

PASSPHRASE = "a passphrase"
MATERIAL = bytes(range(32))
_DERIVATIONS = {
    "passphrase": (rtc.KeyDerivationFunction.PBKDF2, PASSPHRASE.encode(), PASSPHRASE),
    "material": (rtc.KeyDerivationFunction.HKDF, MATERIAL, MATERIAL.hex()),
}

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(params=["livekit", "embedded"])
async def rooms(request: pytest.FixtureRequest, open_page: OpenPage) -> AsyncIterator[BrowserRooms]:
    server: RoomServer = request.getfixturevalue(request.param)
    rooms = BrowserRooms(server, open_page)
    yield rooms
    await rooms.leave()


def encrypted(kind: str, key: bytes | None = None) -> rtc.RoomOptions:
    derivation, material, _ = _DERIVATIONS[kind]
    keys = rtc.KeyProviderOptions(shared_key=key or material, key_derivation_function=derivation)
    return rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=keys))


async def browse_encrypted(rooms: BrowserRooms, kind: str, identity: str = "browser", **options: Any) -> Page:
    return await rooms.browse(identity, encryption={kind: _DERIVATIONS[kind][2]}, **options)


@pytest.mark.parametrize(("kind", "codec"), [("passphrase", "VP8"), ("material", "H264")])
async def test_the_browser_plays_what_we_encrypt(rooms: BrowserRooms, kind: str, codec: str) -> None:
    alice, _ = await rooms.join("alice", encrypted(kind))
    page = await browse_encrypted(rooms, kind)
    async with microphone(alice, 1000), card(alice, codec=codec):
        heard = await page.call("hear", "alice")
        assert heard["pitch_hz"] == pytest.approx(1000, abs=10)
        assert heard["level"] == pytest.approx(10_000 / 32_768 / 2**0.5, rel=0.3)
        assert_quarters(await page.call("see", "alice"), codec=codec)
        await alice.local_participant.publish_data(b"from python", topic="greeting")
        assert (await page.call("got", "packets", 1))[0][:3] == ["from python", "alice", "greeting"]
        assert await page.call("encryptionErrors") == []


@pytest.mark.parametrize(("kind", "codec"), [("passphrase", "h264"), ("material", "vp8")])
async def test_we_play_what_the_browser_encrypts(rooms: BrowserRooms, kind: str, codec: str) -> None:
    alice, events = await rooms.join("alice", encrypted(kind))
    page = await browse_encrypted(rooms, kind)
    await page.call("publishTone")
    await page.call("publishCard", {"videoCodec": codec})
    await ear(events, 1000)
    track, publication, _ = await events.wait(
        "track_subscribed", lambda track, *_: track.kind == rtc.TrackKind.KIND_VIDEO
    )
    assert publication.encryption_type == rtc.EncryptionType.GCM
    frame = await wait_for_picture(rtc.VideoStream(track))
    assert frame.width / frame.height == pytest.approx(WIDTH / HEIGHT, rel=0.02)
    await page.call("sendData", "from javascript", "greeting")
    (packet,) = await events.wait("data_received")
    assert packet.data == b"from javascript"
    assert alice.remote_participants["browser"].is_encrypted


async def test_three_browsers_play_what_each_other_encrypts(rooms: BrowserRooms) -> None:
    modes = {"anna": TWO, "berta": SINGLE, "cleo": SINGLE}
    pages = [await browse_encrypted(rooms, "passphrase", name, **mode) for name, mode in modes.items()]
    for number, page in enumerate(pages):
        await page.call("publishTone", 500 + 200 * number)
        await page.call("publishCard", {"turned": number, "width": 320, "height": 180, "fps": 15})

    async def judge(page: Page, number: int, name: str) -> None:
        assert_painted_quarters(await page.call("see", name), turned=number, size=(320, 180))
        assert (await page.call("hear", name))["pitch_hz"] == pytest.approx(500 + 200 * number, abs=10)
        assert await page.call("isEncrypted", name)

    seen = ((page, n, name) for own, page in enumerate(pages) for n, name in enumerate(modes) if n != own)
    await asyncio.gather(*(judge(*one) for one in seen))
    await pages[0].call("sendData", "from anna", "greeting")
    for page in pages[1:]:
        assert (await page.call("got", "packets", 1))[0][:2] == ["from anna", "anna"]
    assert [await page.call("encryptionErrors") for page in pages] == [[], [], []]


async def ear(events: Events, hz: float) -> Ear:
    track, _, _ = await events.wait(
        "track_subscribed", lambda track, *_: track.kind == rtc.TrackKind.KIND_AUDIO
    )
    listening = Ear(rtc.AudioStream(track, num_channels=1))
    await listening.wait_for_tone(hz)
    return listening


async def test_a_wrong_key_is_silence_on_both_sides(rooms: BrowserRooms) -> None:
    alice, events = await rooms.join("alice", encrypted("passphrase", b"another"))
    page = await browse_encrypted(rooms, "passphrase")
    await page.call("publishTone")
    async with microphone(alice, 1000):
        await events.wait("e2ee_state_changed", lambda who, state: (who.identity, state) == ("browser", 3))
        heard = await page.call("hear", "alice", {"limitMs": 3000})
        assert heard["level"] < 0.01
        key_provider = alice.e2ee_manager.key_provider
        assert key_provider is not None
        key_provider.set_shared_key(PASSPHRASE.encode(), 0)
        await ear(events, 1000)
        assert (await page.call("hear", "alice"))["pitch_hz"] == pytest.approx(1000, abs=10)


# livekit-server ends a track that goes with frames of its own; those of the first one may come after the second began.
SERVER_SILENCE = "f8fffe" + "00" * 77


def parts(frames: list[str], clear: int) -> set[bytes]:
    """Every six bytes in a row behind the clear ones."""
    payloads = [bytes.fromhex(frame)[clear:] for frame in frames]
    return {payload[at : at + 6] for payload in payloads for at in range(len(payload) - 5)}


async def test_what_the_server_sends_holds_nothing_of_the_sound(
    rooms: BrowserRooms, open_page: OpenPage
) -> None:
    """Captured by a browser without the key, before decoding: the same tone, in the clear and encrypted."""
    page = await open_page()
    await page.call("captureRawFrames")
    await page.call("join", rooms.server.url, rooms.token("eve"))
    captured = {}
    for name, options in (("clear", None), ("secret", encrypted("passphrase"))):
        alice, _ = await rooms.join(name, options)
        async with microphone(alice, 1000):
            frames = await page.call("rawFrames", name, "audio", 100)
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


def behind_the_head(frame: bytes, codec: str) -> bytes:
    """What of an encoded picture is secret: all but the frame header of VP8, or what comes before H264's first slice."""
    if codec == "VP8":
        return frame[10:]
    units = re.finditer(rb"\x00\x00\x01(.)", frame, re.DOTALL)
    start = next((unit.end() + 1 for unit in units if unit[1][0] & 31 in (1, 5)), len(frame))
    return frame[start:]


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_what_the_server_sends_holds_nothing_of_the_picture(
    rooms: BrowserRooms, open_page: OpenPage, codec: str
) -> None:
    """Captured as the sound is: the same pictures, in the clear and encrypted."""
    page = await open_page()
    await page.call("captureRawFrames")
    await page.call("join", rooms.server.url, rooms.token("eve"))
    pieces: dict[str, list[bytes]] = {}
    for name, options, trailer in (("clear", None, 0), ("secret", encrypted("material"), 20)):
        alice, _ = await rooms.join(name, options)
        async with card(alice, codec=codec):
            frames = await page.call("rawFrames", name, "video", 60)
        await alice.disconnect()
        if name == "secret":
            # The first track ends with pictures of livekit-server's own, of a few pixels.
            frames = [frame for frame in frames if len(frame) > 2 * 64 or frame.endswith("0c00")]
            assert all(frame.endswith("0c00") for frame in frames)
        secrets = [behind_the_head(bytes.fromhex(frame), codec) for frame in frames]
        pieces[name] = [data[at : at + 6] for data in secrets for at in range(len(data) - trailer - 5)]
    clear, secret = set(pieces["clear"]), set(pieces["secret"])
    assert len(clear) > 100
    assert len(secret) > 300
    assert not clear & secret
    # Pictures of one thing have much in common; ciphertext repeats nothing.
    assert len(clear) < len(pieces["clear"])
    assert len(secret) == len(pieces["secret"])
