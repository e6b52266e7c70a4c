"""Where a server receives media, and what its URL says, for each way to name its host."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from greenroom.server import addresses

_TABLE = """\
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000021122fffe334455 02 40 20 80     eth0
20010db8000000000000000000000005 02 40 00 80     eth0
"""


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One with both families; `both` and `six` are names that it knows."""
    table = tmp_path / "if_inet6"
    table.write_text(_TABLE)
    monkeypatch.setattr(addresses, "_IPV6_TABLE", table)
    monkeypatch.setattr(addresses, "local_addresses", lambda: ["192.0.2.7", "127.0.0.1"])
    names = {"both": ["::1", "127.0.0.1"], "six": ["2001:db8::5"]}

    def look_up(host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in a], 2, 17, "", (a, 0)) for a in names.get(host, [host])]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize(
    ("host", "media", "shown"),
    [
        ("127.0.0.1", ["127.0.0.1"], "127.0.0.1"),
        ("::1", ["::1"], "[::1]"),
        ("both", ["127.0.0.1"], "both"),
        ("six", ["2001:db8::5"], "six"),
        ("0.0.0.0", ["192.0.2.7", "127.0.0.1"], "127.0.0.1"),
        ("", ["192.0.2.7", "127.0.0.1"], "127.0.0.1"),
        ("::", ["2001:db8::5", "::1"], "[::1]"),
        ("[::]", ["2001:db8::5", "::1"], "[::1]"),
    ],
)
def test_the_addresses_of_a_host(host: str, media: list[str], shown: str) -> None:
    assert addresses.media_addresses(host, ()) == media
    assert addresses.media_addresses(host, ("10.0.0.1",)) == ["10.0.0.1"]
    assert addresses.shown_host(host) == shown


def test_a_network_stands_for_the_addresses_in_it() -> None:
    named = ("127.0.0.0/8", "127.0.0.1", "10.1.2.3", "2001:db8::/32")
    assert addresses.media_addresses("0.0.0.0", named) == ["127.0.0.1", "10.1.2.3", "2001:db8::5"]
    with pytest.raises(OSError, match=r"no address in 198\.51\.100\.0/24; it has 192\.0\.2\.7, 127\.0\.0\.1"):
        addresses.media_addresses("", ("198.51.100.0/24",))


def test_a_host_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(OSError, match=r"can't listen on 999\.1\.1\.1: Name or service not known"):
        addresses.media_addresses("999.1.1.1", ())


def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(addresses, "_IPV6_TABLE", tmp_path / "none")
    assert addresses.media_addresses("::", ()) == ["192.0.2.7", "127.0.0.1"]
