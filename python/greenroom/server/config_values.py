"""Values of a configuration file: each reader takes what YAML gave and returns what it means, or raises ValueError."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from livekit.protocol.room import RoomConfiguration

from .ice_servers import DEFAULT_LIFE_S, IceServer

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+)(:\d{1,5})?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("must be text")


def flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def whole(value: Any) -> int:
    """A whole number that is not negative."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("must be a whole number, 0 or more")


def port(value: Any) -> int:
    number = whole(value)
    if number > 65_535:
        raise ValueError("must be a port, 0 to 65535")
    return number


def port_or_off(value: Any) -> int | None:
    """0 switches it off."""
    return port(value) or None


def first_port(value: Any) -> int:
    """A port, or the first of a range (`7882-7892`, or start and end): all media goes through one port."""
    if isinstance(value, Mapping):
        value = f"{value.get('start')}-{value.get('end')}" if value.get("end") else value.get("start")
    if not isinstance(value, str):
        return port(value)
    start, dash, end = (part.strip() for part in value.partition("-"))
    if not start.isdigit() or not (end.isdigit() if dash else not end):
        raise ValueError("must be a port or a range like 7882-7892")
    if dash and port(int(end)) < int(start):
        raise ValueError(f"is a range that ends, at {end}, below its start, {start}")
    return port(int(start))


def duration(value: Any) -> float:
    """Seconds of a Go duration: `100ms`, `1m30s`."""
    written = str(value)
    parts = _DURATION.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise ValueError("must be a duration like 100ms, 5s or 1m30s")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("must be a list of texts")


def names(value: Any) -> frozenset[str]:
    return frozenset(texts(value))


def one_address(value: Any) -> str | None:
    """The only one of a list; None for an empty list."""
    addresses = texts(value)
    if len(addresses) > 1:
        raise ValueError("names several addresses: this server listens on one, or on 0.0.0.0 for all")
    return addresses[0] if addresses else None


def addresses(value: Any) -> tuple[str, ...]:
    """`v4`, `v4,v6`, or a mapping of ipv4 and ipv6."""
    if isinstance(value, Mapping):
        value = ",".join(str(value[key]) for key in ("ipv4", "ipv6") if value.get(key))
    found = tuple(part.strip() for part in text(value).split(",") if part.strip())
    for address in found:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise ValueError(f"has {address!r}, which is no IP address") from None
    return found


def networks(value: Any) -> tuple[str, ...]:
    """A list of addresses and of networks (`10.0.0.0/8`)."""
    for network in texts(value):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"has {network!r}, which is neither an IP address nor a network") from None
    return texts(value)


def key_pairs(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("must map API keys to secrets")
    for key, secret in value.items():
        if not isinstance(key, str) or not isinstance(secret, str):
            raise ValueError(
                f"has a key or secret that is no text (put {str(key)!r} and its secret in quotes)"
            )
    return dict(value)


def room_configurations(value: Any) -> dict[str, RoomConfiguration]:
    if not isinstance(value, Mapping):
        raise ValueError("must map names to room configurations")
    result = {}
    for name, settings in value.items():
        if not isinstance(settings or {}, Mapping):
            raise ValueError(f"{name}: must be a section of settings")
        try:
            result[str(name)] = json_format.ParseDict(settings or {}, RoomConfiguration())
        except (json_format.ParseError, TypeError, AttributeError) as error:
            raise ValueError(f"{name}: {error}") from error
    return result


def stun_servers(value: Any) -> tuple[IceServer, ...]:
    for host in texts(value):
        if not _HOST_AND_PORT.fullmatch(host):
            raise ValueError(f"has {host!r}, which is no HOST:PORT")
    return tuple(IceServer((f"stun:{host}",)) for host in texts(value))


_TURN_URLS = {
    "udp": "turn:{host}:{port}?transport=udp",
    "tcp": "turn:{host}:{port}?transport=tcp",
    "tls": "turns:{host}:{port}?transport=tcp",
}
_TURN_FIELDS = frozenset({"host", "port", "protocol", "username", "credential", "secret", "ttl"})


def turn_servers(value: Any) -> tuple[IceServer, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list of TURN servers")
    return tuple(_turn_server(entry) for entry in value)


def _turn_server(entry: Any) -> IceServer:
    if not isinstance(entry, Mapping) or not entry.get("host"):
        raise ValueError("has a server without a host")
    unknown = set(entry) - _TURN_FIELDS
    if unknown:
        raise ValueError(f"{entry['host']} has unknown fields: {', '.join(sorted(map(str, unknown)))}")
    protocol = str(entry.get("protocol", "udp"))
    if protocol not in _TURN_URLS:
        raise ValueError(f"protocol of {entry['host']} must be udp, tcp or tls")
    if bool(entry.get("username")) != bool(entry.get("credential")):
        raise ValueError(f"{entry['host']} has one of username and credential: both are needed")
    url = _TURN_URLS[protocol].format(host=entry["host"], port=port(entry.get("port", 3478)))
    return IceServer(
        (url,),
        username=str(entry.get("username", "")),
        credential=str(entry.get("credential", "")),
        secret=str(entry.get("secret", "")),
        life_s=whole(entry.get("ttl", DEFAULT_LIFE_S)),
    )
