"""Tokens and keys of the command line."""

from __future__ import annotations

import time
import warnings

import jwt
import pytest

from greenroom.cli.serve_options import parse_keys
from greenroom.cli.token import make_token

_SECRET = "a secret of more than thirty-two characters"


def claims(**options: object) -> dict[str, object]:
    made = make_token("key", _SECRET, **{"identity": "anna", "room": "lobby", **options})  # type: ignore[arg-type]
    decoded: dict[str, object] = jwt.decode(made, _SECRET, algorithms=["HS256"])
    return decoded


def test_a_token_names_its_bearer_room_and_issuer() -> None:
    found = claims()
    assert (found["iss"], found["sub"], found["name"]) == ("key", "anna", "anna")
    video = found["video"]
    assert isinstance(video, dict)
    assert (video["roomJoin"], video["room"]) == (True, "lobby")
    assert (video["canPublish"], video["canPublishData"], video["canSubscribe"]) == (True, True, True)
    assert video["hidden"] is False


def test_a_token_can_forbid() -> None:
    video = claims(can_publish=False, can_subscribe=False, hidden=True)["video"]
    assert isinstance(video, dict)
    assert (video["canPublish"], video["canPublishData"], video["canSubscribe"]) == (False, False, False)
    assert video["hidden"] is True


def test_a_token_lives_as_long_as_asked() -> None:
    expires = claims(valid_for_hours=2)["exp"]
    assert isinstance(expires, int)
    assert expires == pytest.approx(time.time() + 7200, abs=5)


def test_a_token_carries_the_display_name() -> None:
    assert claims(name="Anna A.")["name"] == "Anna A."


@pytest.mark.parametrize("empty", ["room", "identity"])
def test_a_token_without_a_necessary_part_is_refused(empty: str) -> None:
    with pytest.raises(ValueError, match=f"the {empty} is empty"):
        claims(**{empty: " "})


@pytest.mark.parametrize(("key", "secret"), [("", "secret"), ("key", "")])
def test_a_token_needs_key_and_secret(key: str, secret: str) -> None:
    with pytest.raises(ValueError, match=r"API (key|secret) is empty"):
        make_token(key, secret, identity="anna", room="lobby")


def test_a_short_secret_makes_no_noise() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_token("devkey", "secret", identity="anna", room="lobby")


@pytest.mark.parametrize(
    ("texts", "keys"),
    [
        ([], {}),
        ([""], {}),
        (["key: secret"], {"key": "secret"}),
        (["key:secret"], {"key": "secret"}),
        (["a: 1\nb: 2\n\n", "c: 3"], {"a": "1", "b": "2", "c": "3"}),
        (["key: with: colon"], {"key": "with: colon"}),
    ],
)
def test_keys_are_read_one_a_line(texts: list[str], keys: dict[str, str]) -> None:
    assert parse_keys(texts) == keys


@pytest.mark.parametrize("text", ["key", "key:", ": secret", "a: 1\nno colon"])
def test_anything_but_key_and_secret_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not 'key: secret'"):
        parse_keys([text])
