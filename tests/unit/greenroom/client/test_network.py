"""When peer connections may use the same sockets."""

from __future__ import annotations

import pytest

from greenroom.client.ice_servers import parse_ice_url
from greenroom.client.network import Network


@pytest.mark.parametrize(
    ("policy", "urls", "may_share"),
    [
        ("all", [], True),
        ("nohost", ["stun:stun.example.org"], True),
        ("all", ["stun:stun.example.org", "turn:turn.example.org?transport=tcp"], True),
        ("all", ["turns:turn.example.org:443"], True),
        # A TURN server has one allocation for each address that asks.
        ("all", ["turns:turn.example.org:443", "turn:turn.example.org"], False),
        ("relay", ["turns:turn.example.org:443"], False),
    ],
)
def test_sockets_are_shared_unless_a_turn_server_tells_by_them(
    policy: str, urls: list[str], may_share: bool
) -> None:
    network = Network(transport_policy=policy, servers=tuple(parse_ice_url(url) for url in urls))
    assert network.may_share_sockets is may_share
