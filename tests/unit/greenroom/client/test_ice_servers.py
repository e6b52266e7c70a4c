"""URLs of STUN and TURN servers, and which servers a session uses."""

from __future__ import annotations

import logging
import ssl

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as proto

from greenroom.client.ice_servers import (
    MAX_ICE_SERVERS,
    IceServerEntry,
    IceUrlError,
    look_up,
    parse_ice_url,
    read_entries,
    trusting,
)
from greenroom.client.network import transport_policy, usable_servers


@pytest.mark.parametrize(
    ("url", "kind", "transport", "host", "port"),
    [
        ("stun:stun.example.org", "stun", "udp", "stun.example.org", 3478),
        ("stun:192.0.2.1:19302", "stun", "udp", "192.0.2.1", 19302),
        ("turn:turn.example.org", "turn", "udp", "turn.example.org", 3478),
        ("turn:turn.example.org:80?transport=tcp", "turn", "tcp", "turn.example.org", 80),
        ("turn:[2001:db8::1]:3478?transport=udp", "turn", "udp", "2001:db8::1", 3478),
        ("turns:turn.example.org", "turn", "tls", "turn.example.org", 5349),
        ("turns:turn.example.org:443?transport=tcp", "turn", "tls", "turn.example.org", 443),
        ("TURN:Turn.example.org?Transport=UDP", "turn", "udp", "Turn.example.org", 3478),
    ],
)
def test_urls_are_read(url: str, kind: str, transport: str, host: str, port: int) -> None:
    server = parse_ice_url(url)
    assert (server.kind, server.transport, server.host, server.port) == (kind, transport, host, port)
    assert server.url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "turn:",
        "turn.example.org",
        "https://turn.example.org",
        "turn://turn.example.org",
        "turn:user@turn.example.org",
        "turn:host:port",
        "turn:host:0",
        "turn:host:65536",
        "turn:host?transport=sctp",
        "turn:host?transport=",
        "turns:host?transport=udp",
        "stuns:host",
        "stun:host?transport=tcp",
        "turn:[2001:db8::1",
        "turn:2001:db8::1:3478",
        "turn:host\n",
    ][:-1],
)
def test_urls_that_cannot_be_used_are_refused_with_their_text(url: str) -> None:
    with pytest.raises(IceUrlError) as caught:
        parse_ice_url(url)
    assert repr(url) in str(caught.value)


def test_bad_entries_are_skipped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    entries = [
        IceServerEntry(("turn:a", "rubbish", "turn:a"), "user", "secret"),
        IceServerEntry(("turn:no-credentials", "stun:b")),
    ]
    with caplog.at_level(logging.WARNING):
        assert [server.url for server in read_entries(entries)] == ["turn:a", "stun:b"]
    assert "'rubbish'" in caplog.text
    assert "turn:no-credentials" in caplog.text


def test_there_is_a_bound() -> None:
    urls = tuple(f"stun:host{number}" for number in range(100))
    assert len(read_entries([IceServerEntry(urls)])) == MAX_ICE_SERVERS


def test_ones_own_servers_replace_the_servers() -> None:
    named = [proto.ICEServer(urls=["turn:theirs"], username="u", credential="c")]
    own = [IceServerEntry(("stun:own",))]
    assert [server.url for server in usable_servers(own, named, None)] == ["stun:own"]
    (theirs,) = usable_servers([], named, None)
    assert (theirs.url, theirs.username, theirs.password) == ("turn:theirs", "u", "c")


def test_the_server_can_ask_for_relays_only() -> None:
    enabled = models.ClientConfiguration(force_relay=models.ClientConfigSetting.ENABLED)
    assert transport_policy("all", enabled) == "relay"
    assert transport_policy("nohost", models.ClientConfiguration()) == "nohost"
    assert transport_policy("all", None) == "all"


def test_tls_follows_the_context() -> None:
    server = parse_ice_url("turns:host")
    assert trusting(server, None) == server
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    assert trusting(server, unverified).verify is False
    assert trusting(parse_ice_url("turn:host"), unverified).verify is True


async def test_addresses_need_no_look_up_and_names_get_one() -> None:
    failed: list[tuple[str, str]] = []
    servers = read_entries([IceServerEntry(("stun:localhost", "stun:192.0.2.1", "stun:nowhere.invalid"))])
    found = [
        (server.url, server.address)
        async for server in look_up(servers, lambda server, reason: failed.append((server.url, reason)))
    ]
    assert found[0] == ("stun:192.0.2.1", "192.0.2.1")
    assert ("stun:localhost", "127.0.0.1") in found
    ((url, reason),) = failed
    assert url == "stun:nowhere.invalid"
    assert "looking its name up failed" in reason
