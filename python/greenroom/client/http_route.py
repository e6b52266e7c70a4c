"""How HTTP and websocket connections of a session are made: TLS, and proxies."""

from __future__ import annotations

import ssl
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_PROXY_VARIABLES = {"ws": ("ws", "http"), "wss": ("wss", "https"), "http": ("http",), "https": ("https",)}
"""Scheme of the URL to the `*_proxy` environment variables that count for it, the first that is set."""


@dataclass(frozen=True)
class HttpRoute:
    ssl_context: ssl.SSLContext | None = None
    """None: this machine's certificates."""
    proxy: str | None = None
    """`http://[USER:PASSWORD@]HOST:PORT`; None: as the environment says (HTTPS_PROXY, HTTP_PROXY, NO_PROXY, in upper
    or lower case); empty: none."""

    def arguments(self, url: str) -> dict[str, Any]:
        """Keyword arguments for aiohttp's request to `url`."""
        found: dict[str, Any] = {}
        if self.ssl_context is not None:
            found["ssl"] = self.ssl_context
        proxy = self.proxy if self.proxy is not None else proxy_of_environment(url)
        if proxy:
            found["proxy"] = proxy
        return found


def proxy_of_environment(url: str) -> str | None:
    """The proxy that the environment names for this URL; the one of HTTP counts for websockets, too."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if urllib.request.proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxies = urllib.request.getproxies()
    named = [proxies[name] for name in _PROXY_VARIABLES.get(parts.scheme, ()) if proxies.get(name)]
    return named[0] if named else None


def without_credentials(proxy: str) -> str:
    """To show it."""
    parts = urlsplit(proxy)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
