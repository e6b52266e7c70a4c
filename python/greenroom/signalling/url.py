"""The addresses of a server's signal connection, from the URL a user gives."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

_WEBSOCKET_SCHEME = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_HTTP_SCHEME = {"ws": "http", "wss": "https"}


class UrlError(ValueError):
    """A server URL that can't be used: the message names the URL, what is wrong with it and a good form."""


def signal_url(url: str, query: Mapping[str, str], *, path: str = "/rtc") -> str:
    """The websocket URL of `url`'s server: its own path plus `path`. Raises UrlError."""
    parts = urlsplit(_checked(url))
    path = parts.path.rstrip("/") + path
    return urlunsplit((_WEBSOCKET_SCHEME[parts.scheme.lower()], parts.netloc, path, urlencode(query), ""))


def validate_url(websocket_url: str) -> str:
    """Where the same checks as those of `websocket_url` are answered over plain HTTP."""
    parts = urlsplit(websocket_url)
    return urlunsplit((_HTTP_SCHEME[parts.scheme], parts.netloc, parts.path + "/validate", parts.query, ""))


def _checked(url: str) -> str:
    if not isinstance(url, str):
        raise UrlError(f"server URL {url!r} is no string; use a form like wss://host:7880")
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UrlError(
            f"server URL {url!r} can't be read: {error}; use a form like wss://host:7880"
        ) from error
    if parts.scheme.lower() not in _WEBSOCKET_SCHEME:
        given = f"scheme {parts.scheme!r}" if parts.scheme else "no scheme"
        raise UrlError(f"server URL {url!r} has {given}; use ws://, wss://, http:// or https://")
    if not host:
        raise UrlError(f"server URL {url!r} has no host; use a form like wss://host:7880")
    return url.strip()
