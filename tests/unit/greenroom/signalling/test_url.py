"""Addresses of the signal connection."""

from __future__ import annotations

import pytest

from greenroom.signalling.url import UrlError, signal_url, validate_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://host", "ws://host/rtc?a=1"),
        ("http://host:7880/", "ws://host:7880/rtc?a=1"),
        ("HTTPS://host/base", "wss://host/base/rtc?a=1"),
        (" wss://[::1]:443/base/ ", "wss://[::1]:443/base/rtc?a=1"),
        ("ws://host?x=y#z", "ws://host/rtc?a=1"),
    ],
)
def test_signal_url(url: str, expected: str) -> None:
    assert signal_url(url, {"a": "1"}) == expected


def test_validate_url_keeps_the_query() -> None:
    assert validate_url("wss://host/base/rtc?a=1") == "https://host/base/rtc/validate?a=1"


@pytest.mark.parametrize("url", ["", "host", "ftp://host", "ws://", "ws://host:99999", "ws://[::1"])
def test_what_is_no_server_url_names_itself(url: str) -> None:
    with pytest.raises(UrlError) as error:
        signal_url(url, {})
    assert repr(url) in str(error.value)
