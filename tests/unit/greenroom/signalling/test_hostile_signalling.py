"""Whatever a peer or a user hands in, the signalling functions give a value or their own error."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom.signalling import client_description, server_description
from greenroom.signalling.encodings import choose_encodings
from greenroom.signalling.media_parameters import SendLayer
from greenroom.signalling.messages import MessageError, decode_request, decode_response
from greenroom.signalling.sdp import MediaKind, SdpError, SessionDescription, parse
from greenroom.signalling.stream_id import carried_track
from greenroom.signalling.url import UrlError, signal_url, validate_url

_GOLDEN = {path.stem: path.read_bytes().decode() for path in (Path(__file__).parent / "golden").glob("*.sdp")}
_OFFERS = sorted(name for name in _GOLDEN if "offer" in name)
_ANSWERS = sorted(name for name in _GOLDEN if "answer" in name)
_CLIENT = client_description.LocalTransport("u" * 4, "p" * 24, "sha-256 " + ":".join(["0A"] * 32))
_SERVER = server_description.LocalTransport("u" * 4, "p" * 24, "sha-256 " + ":".join(["0A"] * 32), ())
_TRACKS = [
    client_description.OfferedTrack(
        mid, MediaKind(kind), "cid", "PA_x", client_description.PUBLISH_PAYLOADS[codec], layers
    )
    for mid, kind, codec, layers in (
        ("1", "audio", "opus", (SendLayer(None, 1, None, 1.0, 32_000, 0.0),)),
        ("2", "video", "vp8", tuple(SendLayer(rid, i, None, 1.0, 1, 1.0) for i, rid in enumerate("qhf"))),
        ("3", "video", "h264", (SendLayer(None, 8, 9, 1.0, 1_000_000, 30.0),)),
    )
]
_HOSTILE_VALUES = (
    "",
    "0",
    "-1",
    "65536",
    "4294967296",
    "9" * 5000,
    "x",
    " ",
    "=",
    ";",
    "١",
    "\x00",
    "\N{GRINNING FACE}" * 100,
)


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """A few of its lines are cut, repeated, swapped, dropped, or have a word that is something else."""
    lines = text.split("\r\n")
    for _ in range(draw(st.integers(1, 5))):
        at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        words = lines[at].split(" ")
        words[draw(st.integers(0, len(words) - 1))] = draw(
            st.sampled_from(_HOSTILE_VALUES) | st.text(max_size=10)
        )
        value_replaced = lines[at].partition(":")[0] + ":" + draw(st.sampled_from(_HOSTILE_VALUES))
        cut = lines[at][: draw(st.integers(0, 60))]
        lines[at] = draw(st.sampled_from([cut, " ".join(words), value_replaced, lines[other]]))
        how = draw(st.sampled_from(["keep", "drop", "repeat", "swap"]))
        if how == "drop" and len(lines) > 1:
            del lines[at]
        elif how == "repeat":
            lines.insert(other, lines[at])
        elif how == "swap":
            lines[at], lines[other] = lines[other], lines[at]
    return draw(st.sampled_from(["\r\n", "\n"])).join(lines)


def parsed(text: str) -> SessionDescription | None:
    with contextlib.suppress(SdpError):
        description = parse(text)
        # What was understood can be written and understood again.
        again = parse(description.to_text())
        assert [(s.kind, s.mid) for s in again.media] == [(s.kind, s.mid) for s in description.media]
        return description
    return None


@settings(deadline=None)
@pytest.mark.parametrize("name", _OFFERS)
@given(st.data())
def test_a_client_answers_a_mutated_offer_or_refuses_it(name: str, data: st.DataObject) -> None:
    offer = parsed(data.draw(mutated(_GOLDEN[name])))
    if offer is None:
        return
    answer, _ = client_description.subscriber_answer(offer, _CLIENT, session_id=1, version=1)
    assert [s.mid for s in parse(answer.to_text()).media] == [s.mid for s in offer.media]
    with contextlib.suppress(SdpError):
        client_description.read_transport(offer, ours_is_offer=False)
    for section in offer.media:
        carried_track(section, {section.mid: "TR_x"})
        section.receive_layers()


@settings(deadline=None)
@pytest.mark.parametrize("name", _ANSWERS)
@given(st.data())
def test_a_client_reads_a_mutated_answer_or_refuses_it(name: str, data: st.DataObject) -> None:
    answer = parsed(data.draw(mutated(_GOLDEN[name])))
    if answer is None:
        return
    with contextlib.suppress(SdpError):
        client_description.read_transport(answer, ours_is_offer=True)
    for track in _TRACKS:
        client_description.read_answer_track(answer, track)


def _publisher_offer() -> str:
    return client_description.publisher_offer(_CLIENT, _TRACKS, session_id=1, version=1).to_text()


@settings(deadline=None)
@given(mutated(_publisher_offer()))
def test_a_server_answers_a_mutated_offer_or_refuses_it(text: str) -> None:
    offer = parsed(text)
    if offer is None:
        return
    answer = server_description.publisher_answer(
        offer, {}, _SERVER, setup="active", session_id=1, session_version=1
    )
    assert [s.mid for s in parse(answer.to_text()).media] == [s.mid for s in offer.media]
    for section in offer.media:
        if section.kind is not MediaKind.APPLICATION:
            server_description.acceptable_payload_types(section, "h264")
        server_description.acceptable_extensions(section, "vp8")
        server_description.ordered_rids(section, ("q", "h"))
        section.receive_layers()


def _subscriber_answer() -> str:
    offer = parse(_GOLDEN["server-offer-three-tracks"])
    answer, _ = client_description.subscriber_answer(offer, _CLIENT, session_id=1, version=1)
    return answer.to_text()


@settings(deadline=None)
@given(mutated(_subscriber_answer()))
def test_a_server_reads_a_mutated_answer_or_refuses_it(text: str) -> None:
    answer = parsed(text)
    for section in answer.media if answer is not None else ():
        taken = server_description.answered_payload_types(section)
        server_description.answered_extensions(section)
        for codec in ("opus", "vp8", "h264", "x"):
            server_description.payload_types_for(taken, codec, None)


_FRAMES = [
    messages.SignalRequest(offer=messages.SessionDescription(type="offer", sdp="v=0", id=3)),
    messages.SignalRequest(
        add_track=messages.AddTrackRequest(cid="c", name="n", layers=[models.VideoLayer(width=2)])
    ),
    messages.SignalResponse(
        join=messages.JoinResponse(participant=models.ParticipantInfo(sid="PA_x", identity="a"))
    ),
    messages.SignalResponse(leave=messages.LeaveRequest(reason=models.DisconnectReason.SERVER_SHUTDOWN)),
]


@given(st.data())
def test_damaged_frames_decode_or_are_refused(data: st.DataObject) -> None:
    frame = bytearray(data.draw(st.sampled_from(_FRAMES)).SerializeToString())
    for _ in range(data.draw(st.integers(0, 6))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(frame[: data.draw(st.integers(0, len(frame)))]) + data.draw(st.binary(max_size=20))
    for decode in (decode_request, decode_response):
        with contextlib.suppress(MessageError):
            kind, message = decode(cut)
            assert kind
            assert message is not None


@given(st.binary(max_size=200))
def test_random_frames_decode_or_are_refused(frame: bytes) -> None:
    for decode in (decode_request, decode_response):
        with contextlib.suppress(MessageError):
            decode(frame)


@given(
    st.text(max_size=60)
    | st.builds(
        "{}://{}{}".format,
        st.sampled_from(["ws", "wss", "http", "HTTPS", "wSs", "ftp", ""]),
        st.text(max_size=20),
        st.sampled_from(
            ["", "/", ":0", ":65535", ":65536", ":x", "]", "[::1", "?a#b", "@h", "\n/", "/../%00"]
        ),
    )
)
def test_any_text_makes_an_address_or_an_error_that_names_it(url: str) -> None:
    try:
        address = signal_url(url, {"a": "b c"})
    except UrlError as refusal:
        error = str(refusal)
    else:
        error = ""
    if error:
        assert repr(url) in error
        return
    assert address.startswith(("ws://", "wss://"))
    assert address.endswith("/rtc?a=b+c")
    assert validate_url(address).startswith(("http://", "https://"))


@given(st.text(max_size=30))
def test_any_mime_type_has_a_codec_or_none(mime: str) -> None:
    codec = server_description.codec_of_mime_type(mime)
    assert bool(codec) == bool(server_description.mime_type(codec))


@given(
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(1, 10**9),
    st.none() | st.floats(0.1, 1000),
)
def test_encodings_fit_any_picture(
    width: int,
    height: int,
    screen_share: bool,
    simulcast: bool,
    bitrate_bps: int | None,
    framerate: float | None,
) -> None:
    layers = choose_encodings(
        width,
        height,
        screen_share=screen_share,
        simulcast=simulcast,
        bitrate_bps=bitrate_bps,
        framerate=framerate,
    )
    assert 1 <= len(layers) <= 3
    assert (layers[-1].width, layers[-1].height) == (width, height)
    assert all(layer.scale_down_by >= 1 and layer.bitrate_bps > 0 for layer in layers)
    assert len({layer.rid for layer in layers}) == len(layers)
