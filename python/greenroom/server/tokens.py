"""Access tokens: checking those that clients bring, and making new ones (RFC 7519, HS256 only)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import jwt
from google.protobuf import json_format
from livekit.protocol import models
from livekit.protocol import room as room_messages

from .permissions import KIND_NAMES, VideoGrant, permission_claim
from .refusal import Refusal

LEEWAY_S = 60
"""Clocks of the two sides may differ by this much."""
DEFAULT_LIFE_S = 6 * 3600
REFRESHED_LIFE_S = 600
"""A refreshed token lives at least this long, and as long as the one it replaces."""

SIGNED_BODY_LIFE_S = 300

_BEARER = "Bearer "
_MESSAGES: tuple[tuple[type[jwt.InvalidTokenError], str], ...] = (
    (jwt.InvalidSignatureError, "token signature is invalid: signature is invalid"),
    (jwt.ExpiredSignatureError, "token has invalid claims: token is expired"),
    (jwt.ImmatureSignatureError, "token has invalid claims: token is not valid yet"),
)


@dataclass(frozen=True)
class Claims:
    """What a valid token says about its bearer."""

    identity: str
    video: VideoGrant | None
    name: str = ""
    kind: str = ""
    kind_details: tuple[str, ...] = ()
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    room_config: room_messages.RoomConfiguration = field(default_factory=room_messages.RoomConfiguration)
    room_preset: str = ""
    expires_at: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    """The JSON claims, for making a refreshed token of the same content."""


def bearer_token(authorization: str | None, query_token: str | None) -> str | None:
    """The token of a request: from the header, else from the query; None when it has none."""
    if authorization:
        if not authorization.startswith(_BEARER):
            raise Refusal(401, "invalid authorization header. Must start with Bearer ")
        return authorization.removeprefix(_BEARER)
    return query_token or None


def verify(token: str, keys: Mapping[str, str]) -> Claims:
    """The claims of a token that one of `keys` signed.

    Raises Refusal with livekit-server's status and text.
    """
    algorithm, issuer = _unverified(token)
    secret = keys.get(issuer)
    if secret is None:
        raise Refusal(401, f"invalid API key: {issuer}")
    if algorithm != "HS256":
        raise _invalid(token, f"token signature is invalid: signing method {algorithm} is invalid")
    try:
        with _any_key_length():
            raw: dict[str, Any] = jwt.decode(
                token,
                secret,
                algorithms=["HS256"],
                leeway=LEEWAY_S,
                options={"verify_aud": False, "verify_iat": False, "verify_sub": False, "verify_jti": False},
            )
    except jwt.InvalidTokenError as error:
        raise _invalid(token, _reason(error)) from error
    try:
        return _claims(raw)
    except (ValueError, json_format.ParseError) as error:
        raise _invalid(token, f"token has invalid claims: {error}") from error


def _unverified(token: str) -> tuple[str, str]:
    try:
        header = jwt.get_unverified_header(token)
        payload = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise Refusal(401, "invalid authorization token") from error
    return str(header.get("alg", "")), str(payload.get("iss", ""))


def _invalid(token: str, reason: str) -> Refusal:
    return Refusal(401, f"invalid token: {token}, error: {reason}")


def _reason(error: jwt.InvalidTokenError) -> str:
    for kind, text in _MESSAGES:
        if isinstance(error, kind):
            return text
    return f"token has invalid claims: {error}"


def _claims(raw: dict[str, Any]) -> Claims:
    video = _typed(raw, "video", dict, None)
    attributes = _typed(raw, "attributes", dict, {})
    if not all(isinstance(v, str) for v in attributes.values()):
        raise ValueError("attributes must be an object of strings")
    room_config = room_messages.RoomConfiguration()
    json_format.ParseDict(_typed(raw, "roomConfig", dict, {}), room_config, ignore_unknown_fields=True)
    expires_at = raw.get("exp")
    return Claims(
        identity=_typed(raw, "sub", str, "") or _typed(raw, "jti", str, ""),
        video=VideoGrant.from_claim(video) if video is not None else None,
        name=_typed(raw, "name", str, ""),
        kind=_typed(raw, "kind", str, ""),
        kind_details=tuple(str(d) for d in _typed(raw, "kindDetails", list, [])),
        metadata=_typed(raw, "metadata", str, ""),
        attributes=attributes,
        room_config=room_config,
        room_preset=_typed(raw, "roomPreset", str, ""),
        expires_at=float(expires_at) if expires_at is not None else None,
        raw=raw,
    )


def _typed(raw: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = raw.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise ValueError(f"{key} must be of JSON type {kind.__name__}")
    return value


@contextmanager
def _any_key_length() -> Iterator[None]:
    # Development secrets are short; livekit-server takes them, and whoever starts a server chooses its keys.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The HMAC key is")
        yield


def _sign(raw: Mapping[str, Any], key: str, secret: str) -> str:
    with _any_key_length():
        return jwt.encode({**raw, "iss": key}, secret, algorithm="HS256")


def refresh(claims: Claims, key: str, secret: str) -> str:
    """A newer token of the same content, valid for ten minutes or as long as the one it replaces."""
    now = int(time.time())
    raw = {k: v for k, v in claims.raw.items() if k not in ("exp", "nbf", "iat", "jti", "iss")}
    raw["sub"] = claims.identity
    raw["nbf"] = raw["iat"] = now
    raw["exp"] = int(max(now + REFRESHED_LIFE_S, claims.expires_at or 0))
    return _sign(raw, key, secret)


def with_profile(claims: Claims, *, name: str, metadata: str, attributes: Mapping[str, str]) -> Claims:
    """The same claims after the participant's profile changed."""
    profile: dict[str, Any] = {"name": name, "metadata": metadata, "attributes": dict(attributes)}
    raw = {k: v for k, v in claims.raw.items() if k not in profile}
    raw.update({k: v for k, v in profile.items() if v})
    return replace(claims, name=name, metadata=metadata, attributes=dict(attributes), raw=raw)


def with_permission(claims: Claims, permission: models.ParticipantPermission) -> Claims:
    """The same claims after the participant's permission changed."""
    video = dict(claims.raw.get("video") or {}) | permission_claim(permission)
    raw = {**claims.raw, "video": {key: value for key, value in video.items() if value not in (None, [])}}
    return replace(claims, video=VideoGrant.from_claim(video), raw=raw)


_GRANT_KEYS = {
    "room_create": "roomCreate",
    "room_list": "roomList",
    "room_record": "roomRecord",
    "room_admin": "roomAdmin",
    "room_join": "roomJoin",
    "can_publish": "canPublish",
    "can_subscribe": "canSubscribe",
    "can_publish_data": "canPublishData",
    "can_publish_sources": "canPublishSources",
    "can_update_own_metadata": "canUpdateOwnMetadata",
    "can_subscribe_metrics": "canSubscribeMetrics",
    "can_manage_agent_session": "canManageAgentSession",
    "hidden": "hidden",
    "recorder": "recorder",
    "agent": "agent",
    "ingress_admin": "ingressAdmin",
    "destination_room": "destinationRoom",
}
_PROFILE_KEYS = {
    "name": "name",
    "kind": "kind",
    "kind_details": "kindDetails",
    "metadata": "metadata",
    "attributes": "attributes",
    "room_config": "roomConfig",
}


def mint(
    key: str, secret: str, room: str, identity: str, *, life_s: float = DEFAULT_LIFE_S, **grants: Any
) -> str:
    """A token to join `room` as `identity`.

    `grants` are the video grants in Python spelling (`can_publish=False`, `hidden=True`…) and `name`, `kind`,
    `kind_details`, `metadata`, `attributes`, `room_config` (a RoomConfiguration or its JSON object). TypeError for any other,
    and for a room or an identity that is no string; ValueError for a `kind` that there is not.
    """
    for what, given in (("room", room), ("identity", identity)):
        if not isinstance(given, str):
            raise TypeError(f"{what} is {given!r}: it must be a string")
    kind = grants.get("kind", "standard")
    if kind not in list(KIND_NAMES):
        raise ValueError(f"kind is {kind!r}: it must be one of {', '.join(KIND_NAMES)}")
    video: dict[str, Any] = {"roomJoin": True, "room": room}
    now = int(time.time())
    raw: dict[str, Any] = {"sub": identity, "nbf": now, "exp": int(now + life_s), "video": video}
    for name, value in grants.items():
        if isinstance(value, room_messages.RoomConfiguration):
            value = json_format.MessageToDict(value)
        if name in _GRANT_KEYS:
            video[_GRANT_KEYS[name]] = value
        elif name in _PROFILE_KEYS:
            raw[_PROFILE_KEYS[name]] = value
        else:
            known = ", ".join(sorted((*_GRANT_KEYS, *_PROFILE_KEYS)))
            raise TypeError(f"unknown grant {name!r}; known are {known}")
    return _sign(raw, key, secret)


def mint_claims(
    key: str, secret: str, identity: str, video: Mapping[str, Any], *, life_s: float, **claims: Any
) -> str:
    """A token of a whole `video` claim; `claims` as the JSON has them, empty ones are left out."""
    now = int(time.time())
    raw = {"sub": identity, "nbf": now, "exp": int(now + life_s), "video": dict(video)}
    return _sign({**raw, **{k: v for k, v in claims.items() if v}}, key, secret)


def sign_body(key: str, secret: str, sha256: str, *, life_s: float = SIGNED_BODY_LIFE_S) -> str:
    """A token that vouches for an HTTP body by its hash (standard base64)."""
    now = int(time.time())
    return _sign({"nbf": now, "iat": now, "exp": int(now + life_s), "sha256": sha256}, key, secret)
