"""The `join_request` parameter: both ways, and what can be wrong with it."""

from __future__ import annotations

import base64
import gzip

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom.signalling.wrapped_join import MAX_JOIN_REQUEST_BYTES, JoinRequestError, unwrap, wrap


def encode(compression: int, content: bytes) -> str:
    wrapped = messages.WrappedJoinRequest(compression=compression, join_request=content)  # type: ignore[arg-type]
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def join_request(sdp: str) -> messages.JoinRequest:
    offer = messages.SessionDescription(type="offer", sdp=sdp, id=1)
    return messages.JoinRequest(client_info=models.ClientInfo(protocol=17), publisher_offer=offer)


@pytest.mark.parametrize("sdp", ["", "a=recvonly\r\n" * 1000])
def test_what_was_wrapped_comes_out(sdp: str) -> None:
    assert unwrap(wrap(join_request(sdp))) == join_request(sdp)


def test_it_is_packed_when_that_is_shorter() -> None:
    assert len(wrap(join_request("a=recvonly\r\n" * 1000))) < 400


@pytest.mark.parametrize("compression", [0, 1])
def test_both_forms_are_read(compression: int) -> None:
    plain = join_request("v=0").SerializeToString()
    content = gzip.compress(plain) if compression else plain
    assert unwrap(encode(compression, content)) == join_request("v=0")


def test_unknown_compression_is_an_empty_request() -> None:
    assert unwrap(encode(7, b"anything")) == messages.JoinRequest()


PLAIN = join_request("v=0" * 50).SerializeToString()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("not base64!", "cannot base64 decode wrapped join request"),
        (encode(0, PLAIN).rstrip("=") + "A", "cannot base64 decode wrapped join request"),
        (base64.b64encode(b"\xff\xff").decode(), "cannot base64 decode wrapped join request"),
        (base64.urlsafe_b64encode(b"\xff\xff").decode(), "cannot unmarshal wrapped join request"),
        (encode(1, b"no gzip"), "cannot read decompressed join request"),
        (encode(1, gzip.compress(PLAIN)[:-12]), "cannot read decompressed join request"),
        (encode(0, b"\xff\xff"), "cannot unmarshal join request"),
        (encode(1, gzip.compress(b"\xff\xff")), "cannot unmarshal join request"),
        (encode(1, gzip.compress(bytes(MAX_JOIN_REQUEST_BYTES + 1))), "join request too large"),
        (encode(0, bytes(MAX_JOIN_REQUEST_BYTES + 1)), "join request too large"),
    ],
)
def test_what_cannot_be_read_is_refused_in_the_words_of_livekit_server(value: str, message: str) -> None:
    with pytest.raises(JoinRequestError, match=f"^{message}$"):
        unwrap(value)
