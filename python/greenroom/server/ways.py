"""Which way clients reach media: what one behind a firewall asks for holds from its next session on.

As livekit-server's ICE preference: a client that asks for TLS is told to use nothing but TURN servers over TLS. Where the
server names none, it is reached over ICE-TCP, which gets through the same firewalls that let TLS through.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Sequence
from dataclasses import replace

from livekit.protocol import models
from livekit.protocol import rtc as messages

from .ice_servers import IceServer, for_participant

_logger = logging.getLogger("greenroom.server")

MAX_REMEMBERED = 1000
"""Identities of one room that asked for a way; more are not remembered."""


class Way(enum.Enum):
    ANY = "any"
    TCP = "tcp"
    """ICE-TCP to this server."""
    RELAY = "relay"
    """TURN over TLS."""


class Ways:
    """Of the identities of one room."""

    def __init__(self, ice_servers: Sequence[IceServer], *, has_tcp: bool) -> None:
        self._servers = ice_servers
        self._over_tls = [
            replace(server, urls=urls)
            for server in ice_servers
            if (urls := tuple(url for url in server.urls if url.startswith("turns:")))
        ]
        self._has_tcp = has_tcp
        self._ways: dict[str, Way] = {}

    def ask(self, identity: str, protocol: int) -> None:
        """A client asks to be reached over `protocol`, a CandidateProtocol, from its next session on."""
        if protocol == messages.CandidateProtocol.UDP:
            self._ways.pop(identity, None)
            return
        tls = protocol == messages.CandidateProtocol.TLS and bool(self._over_tls)
        if not tls and not self._has_tcp:
            _logger.info("%s can't be reached over TCP: the server has no tcp_port", identity)
        elif identity in self._ways or len(self._ways) < MAX_REMEMBERED:
            self._ways[identity] = Way.RELAY if tls else Way.TCP

    def of(self, identity: str) -> Way:
        return self._ways.get(identity, Way.ANY)

    def ice_servers(self, identity: str, participant_sid: str) -> list[messages.ICEServer]:
        """What the participant is told to use."""
        servers = self._over_tls if self.of(identity) is Way.RELAY else self._servers
        return for_participant(servers, participant_sid)

    def client_configuration(self, identity: str) -> models.ClientConfiguration | None:
        """What the participant has to do; None for nothing in particular."""
        if self.of(identity) is not Way.RELAY:
            return None
        return models.ClientConfiguration(force_relay=models.ClientConfigSetting.ENABLED)
