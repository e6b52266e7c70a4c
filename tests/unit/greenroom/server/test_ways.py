"""What a client that asks for TCP or TLS is told in its next session."""

from __future__ import annotations

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom.server import IceServer, ways
from greenroom.server.ways import Way, Ways

UDP, TCP, TLS = (
    messages.CandidateProtocol.UDP,
    messages.CandidateProtocol.TCP,
    messages.CandidateProtocol.TLS,
)
PLAIN = IceServer(("turn:a:3478",), "user", "secret")
BOTH = IceServer(("turn:b:3478", "turns:b:443"), "user", "secret")


@pytest.mark.parametrize(
    ("servers", "has_tcp", "protocol", "way", "urls"),
    [
        ((PLAIN, BOTH), True, TCP, Way.TCP, ["turn:a:3478", "turn:b:3478", "turns:b:443"]),
        ((PLAIN, BOTH), True, TLS, Way.RELAY, ["turns:b:443"]),
        ((PLAIN, BOTH), False, TLS, Way.RELAY, ["turns:b:443"]),
        ((PLAIN,), True, TLS, Way.TCP, ["turn:a:3478"]),
        ((PLAIN,), False, TLS, Way.ANY, ["turn:a:3478"]),
        ((), False, TCP, Way.ANY, []),
        ((BOTH,), True, UDP, Way.ANY, ["turn:b:3478", "turns:b:443"]),
    ],
)
def test_the_way_that_is_asked_for(
    servers: tuple[IceServer, ...], has_tcp: bool, protocol: int, way: Way, urls: list[str]
) -> None:
    room = Ways(servers, has_tcp=has_tcp)
    room.ask("anna", protocol)
    assert room.of("anna") is way
    assert [url for server in room.ice_servers("anna", "PA_1") for url in server.urls] == urls
    configuration = room.client_configuration("anna")
    if way is Way.RELAY:
        assert configuration is not None
        assert configuration.force_relay == models.ClientConfigSetting.ENABLED
    else:
        assert configuration is None
    assert room.of("bob") is Way.ANY
    room.ask("anna", UDP)
    assert room.of("anna") is Way.ANY


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "MAX_REMEMBERED", 2)
    room = Ways((BOTH,), has_tcp=True)
    for identity in ("a", "b", "c"):
        room.ask(identity, TCP)
    room.ask("a", TLS)
    assert [room.of(identity) for identity in "abc"] == [Way.RELAY, Way.TCP, Way.ANY]
