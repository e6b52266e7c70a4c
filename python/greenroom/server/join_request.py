"""What a client asks for when it joins, checked against its token: the query string of `/rtc`, or the JoinRequest
of `/rtc/v1`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from livekit.protocol import models
from livekit.protocol import rtc as messages

from greenroom.signalling.wrapped_join import JoinRequestError, unwrap

from .config import Limits
from .permissions import VideoGrant
from .refusal import Refusal
from .tokens import Claims

_SDKS = {
    "js": models.ClientInfo.SDK.JS,
    "ios": models.ClientInfo.SDK.SWIFT,
    "swift": models.ClientInfo.SDK.SWIFT,
    "android": models.ClientInfo.SDK.ANDROID,
    "flutter": models.ClientInfo.SDK.FLUTTER,
    "go": models.ClientInfo.SDK.GO,
    "unity": models.ClientInfo.SDK.UNITY,
    "reactnative": models.ClientInfo.SDK.REACT_NATIVE,
    "rust": models.ClientInfo.SDK.RUST,
    "python": models.ClientInfo.SDK.PYTHON,
    "cpp": models.ClientInfo.SDK.CPP,
    "unityweb": models.ClientInfo.SDK.UNITY_WEB,
    "node": models.ClientInfo.SDK.NODE,
    "esp32": models.ClientInfo.SDK.ESP32,
}


@dataclass(frozen=True)
class JoinRequest:
    """A join that the token allows."""

    claims: Claims
    grant: VideoGrant
    client: models.ClientInfo = field(default_factory=models.ClientInfo)
    auto_subscribe: bool = True
    auto_subscribe_data_track: bool = False
    adaptive_stream: bool = False
    allow_pause: bool | None = None
    """Whether video may be paused for lack of bandwidth; None: as the server is configured."""
    reconnect: bool = False
    participant_sid: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Of the token, with those of the query merged in."""
    single_connection: bool = False
    """One peer connection carries both directions."""
    requests: tuple[messages.SignalRequest, ...] = ()
    """What the client would else send first: tracks to add, its offer; when it resumes, its SyncState."""

    @property
    def room(self) -> str:
        return self.grant.room

    @property
    def identity(self) -> str:
        return self.claims.identity

    @property
    def protocol(self) -> int:
        return self.client.protocol


def read_join_request(
    claims: Claims | None,
    query: Mapping[str, str],
    limits: Limits,
    *,
    strict_attributes: bool = False,
    needs_wrapped: bool = False,
) -> JoinRequest:
    """Check the token and the query together. Raises Refusal.

    `strict_attributes`: undecodable attributes are refused (the validate path) rather than ignored.
    `needs_wrapped`: the path is one of `/rtc/v1`. On others, too, a `join_request` counts when it is there.
    """
    if claims is None or claims.video is None:
        raise Refusal(401, "no permissions to access the room")
    wrapped = _unwrap(query, needs_wrapped)
    grant = claims.video
    if not grant.room_join:
        raise Refusal(401, "permissions denied")
    if wrapped is not None:
        _check_names(claims.identity, grant.room, limits)
        return _from_wrapped(claims, grant, wrapped)
    if query.get("publish") and grant.can_publish is False:
        raise Refusal(401, "no permissions to access the room")
    _check_names(claims.identity, grant.room, limits)
    return JoinRequest(
        claims=claims,
        grant=grant,
        client=_client_info(query),
        auto_subscribe=_flag(query, "auto_subscribe", True),
        auto_subscribe_data_track=_flag(query, "auto_subscribe_data_track", False),
        adaptive_stream=_flag(query, "adaptive_stream", False),
        allow_pause=_flag(query, "subscriber_allow_pause", False)
        if query.get("subscriber_allow_pause")
        else None,
        reconnect=_flag(query, "reconnect", False),
        participant_sid=query.get("sid", ""),
        attributes=_attributes(claims, grant, query, strict_attributes),
    )


def _unwrap(query: Mapping[str, str], needed: bool) -> messages.JoinRequest | None:
    value = query.get("join_request", "")
    if not value:
        if needed:
            raise Refusal(400, "join_request is required")
        return None
    try:
        return unwrap(value)
    except JoinRequestError as error:
        raise Refusal(400, str(error)) from error


def _from_wrapped(claims: Claims, grant: VideoGrant, wrapped: messages.JoinRequest) -> JoinRequest:
    if (wrapped.metadata or wrapped.participant_attributes) and not grant.can_update_own_metadata:
        raise Refusal(401, "no permissions to access the room")
    given = {key: value for key, value in wrapped.participant_attributes.items() if value}
    return JoinRequest(
        claims=replace(claims, metadata=wrapped.metadata) if wrapped.metadata else claims,
        grant=grant,
        client=wrapped.client_info,
        auto_subscribe=wrapped.connection_settings.auto_subscribe,
        auto_subscribe_data_track=wrapped.connection_settings.auto_subscribe_data_track,
        adaptive_stream=wrapped.connection_settings.adaptive_stream,
        allow_pause=_allow_pause(wrapped.connection_settings),
        reconnect=wrapped.reconnect,
        participant_sid=wrapped.participant_sid if wrapped.reconnect else "",
        attributes={**claims.attributes, **given},
        single_connection=True,
        requests=tuple(_first_requests(wrapped)),
    )


def _allow_pause(settings: messages.ConnectionSettings) -> bool | None:
    return settings.subscriber_allow_pause if settings.HasField("subscriber_allow_pause") else None


def _first_requests(wrapped: messages.JoinRequest) -> Iterator[messages.SignalRequest]:
    if wrapped.reconnect:
        if wrapped.HasField("sync_state"):
            yield messages.SignalRequest(sync_state=wrapped.sync_state)
        return
    for add_track in wrapped.add_track_requests:
        yield messages.SignalRequest(add_track=add_track)
    if wrapped.publisher_offer.sdp:
        yield messages.SignalRequest(offer=wrapped.publisher_offer)


def _check_names(identity: str, room: str, limits: Limits) -> None:
    if not room:
        raise Refusal(400, "no room name")
    if not identity:
        raise Refusal(400, "identity cannot be empty")
    if len(identity.encode()) > limits.identity_bytes > 0:
        longest = limits.identity_bytes
        raise Refusal(400, f"participant identity length exceeds limits: max length {longest}")
    if len(room.encode()) > limits.room_name_bytes > 0:
        raise Refusal(400, f"room name length exceeds limits: max length {limits.room_name_bytes}")


def _flag(query: Mapping[str, str], name: str, default: bool) -> bool:
    value = query.get(name)
    return default if not value else value in ("1", "true")


def _number(query: Mapping[str, str], name: str) -> int:
    value = query.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _client_info(query: Mapping[str, str]) -> models.ClientInfo:
    known = models.ClientInfo.Capability.keys()
    capabilities = [name for name in query.get("capabilities", "").split(",") if name in known]
    return models.ClientInfo(
        sdk=_SDKS.get(query.get("sdk", ""), models.ClientInfo.SDK.UNKNOWN),
        protocol=_number(query, "protocol"),
        client_protocol=_number(query, "client_protocol"),
        version=query.get("version", ""),
        os=query.get("os", ""),
        os_version=query.get("os_version", ""),
        device_model=query.get("device_model", ""),
        browser=query.get("browser", ""),
        browser_version=query.get("browser_version", ""),
        network=query.get("network", ""),
        capabilities=capabilities,
    )


def _attributes(claims: Claims, grant: VideoGrant, query: Mapping[str, str], strict: bool) -> dict[str, str]:
    text = query.get("attributes", "")
    merged = dict(claims.attributes)
    if not text:
        return merged
    if not grant.can_update_own_metadata:
        raise Refusal(401, "no permissions to access the room")
    try:
        given = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
            raise ValueError("not an object of strings")
    except (ValueError, binascii.Error, RecursionError) as error:
        if strict:
            raise Refusal(400, "cannot decode attributes") from error
        return merged
    merged.update({key: value for key, value in given.items() if value})
    return merged
