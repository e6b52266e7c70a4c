"""Identifiers in LiveKit's formats: a prefix and 12 characters that can't be mistaken for one another."""

from __future__ import annotations

import secrets
import string

from livekit.protocol import models

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE62 = string.digits + string.ascii_letters

_TYPE_LETTER = {models.TrackType.AUDIO: "A", models.TrackType.VIDEO: "V"}
_SOURCE_LETTER = {
    models.TrackSource.CAMERA: "C",
    models.TrackSource.MICROPHONE: "M",
    models.TrackSource.SCREEN_SHARE: "S",
    models.TrackSource.SCREEN_SHARE_AUDIO: "s",
}


def _random(length: int, alphabet: str = _ALPHABET) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def room_sid() -> str:
    return "RM_" + _random(12)


def participant_sid() -> str:
    return "PA_" + _random(12)


def node_id() -> str:
    return "ND_" + _random(12)


def track_sid(kind: int, source: int) -> str:
    """`TR_`, a letter for the track's type, one for its source (none when unknown), then the random part."""
    letters = _TYPE_LETTER.get(kind, "") + _SOURCE_LETTER.get(source, "")  # type: ignore[call-overload]
    return f"TR_{letters}{_random(12)}"


def agent_dispatch() -> str:
    return "AD_" + _random(12)


def agent_job() -> str:
    return "AJ_" + _random(12)


def agent_worker() -> str:
    return "AW_" + _random(12)


def event() -> str:
    return "EV_" + _random(12)


def data_track_sid() -> str:
    """Clients of the Rust SDK accept no other prefix."""
    return "DTR_" + _random(12)


def sif_trailer() -> bytes:
    """The room's mark on frames that the server makes itself, which receivers must not try to decrypt."""
    return _random(44, _BASE62).encode()


def api_key() -> str:
    return "API" + _random(12)


def api_secret() -> str:
    return _random(43, _BASE62)
