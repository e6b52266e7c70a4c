"""STUN and TURN servers that clients are told of, with credentials that expire where the server shares a secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterable
from dataclasses import dataclass

from livekit.protocol import rtc as messages

DEFAULT_LIFE_S = 14_400


@dataclass(frozen=True)
class IceServer:
    """One server. With `secret`, user name and credential are made for each participant (TURN REST)."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""
    secret: str = ""
    life_s: int = DEFAULT_LIFE_S

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("an ICE server needs at least one URL")
        for url in self.urls:
            if url.partition(":")[0] not in ("stun", "stuns", "turn", "turns"):
                raise ValueError(f"ICE server {url!r} must begin with stun:, stuns:, turn: or turns:")


def for_participant(
    servers: Iterable[IceServer], participant_sid: str, now_s: float | None = None
) -> list[messages.ICEServer]:
    """What a participant's JoinResponse says."""
    now = time.time() if now_s is None else now_s
    return [_message(server, participant_sid, now) for server in servers]


def _message(server: IceServer, participant_sid: str, now: float) -> messages.ICEServer:
    username, credential = server.username, server.credential
    if server.secret:
        username = f"{int(now) + server.life_s}:{participant_sid}"
        digest = hmac.new(server.secret.encode(), username.encode(), hashlib.sha1).digest()
        credential = base64.b64encode(digest).decode()
    return messages.ICEServer(urls=server.urls, username=username, credential=credential)
