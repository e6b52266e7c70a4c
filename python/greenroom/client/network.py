"""How the peer connections of one session reach the network: which candidates, which servers, whom to tell."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from livekit.protocol import models
from livekit.protocol import rtc as proto

from .ice_servers import IceServer, IceServerEntry, read_entries, trusting


@dataclass(frozen=True)
class Network:
    """For `PeerLink`s, both of one session."""

    include_loopback: bool = False
    """The server is on this machine."""
    transport_policy: str = "all"
    """all, nohost, relay."""
    gather_continually: bool = True
    """Addresses that this machine gets or loses during the session count."""
    servers: tuple[IceServer, ...] = ()
    on_candidate: Callable[[str, str], None] = lambda name, candidate: None
    """Called with the link's name and a `candidate:…` line that was found late."""

    @property
    def may_share_sockets(self) -> bool:
        """Other peer connections can use the same sockets: a TURN server would take all for one (RFC 8656 section 5)."""
        asks_relays = any(server.kind == "turn" and server.transport == "udp" for server in self.servers)
        return self.transport_policy != "relay" and not asks_relays


def usable_servers(
    own: Iterable[IceServerEntry], named: Iterable[proto.ICEServer], context: ssl.SSLContext | None
) -> tuple[IceServer, ...]:
    """The user's own servers if there are any, else those that the server named."""
    entries = tuple(own) or tuple(
        IceServerEntry(tuple(server.urls), server.username, server.credential) for server in named
    )
    return tuple(trusting(server, context) for server in read_entries(entries))


def transport_policy(own: str, configuration: models.ClientConfiguration | None) -> str:
    """The user's, unless the server found that only relays work for this client."""
    if configuration is not None and configuration.force_relay == models.ClientConfigSetting.ENABLED:
        return "relay"
    return own
