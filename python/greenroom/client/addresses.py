"""Which server to connect to: the one a user names, those that it names itself, and the regions of LiveKit Cloud."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from .http_route import HttpRoute
from .waiting import loop_time

_logger = logging.getLogger("livekit")

MAX_ALTERNATIVES = 16
REGIONS_TIMEOUT_S = 3.0
SHORTEST_REGIONS_LIFE_S = 5.0
"""They are not asked for more often, whatever the cloud says."""
_MAX_REGIONS_BYTES = 64 * 1024
_CLOUD_HOSTS = (".livekit.cloud", ".livekit.run")
_HTTP_SCHEMES = {"ws": "http", "wss": "https"}


class Addresses:
    """`current` is where the next signal connection goes. `use_next` after it has failed."""

    def __init__(self, url: str, route: HttpRoute | None = None) -> None:
        self.current = url
        self._home = url
        self._route = route or HttpRoute()
        self._alternatives: list[str] = []
        self._regions_expire_s = 0.0

    def named(self, urls: Iterable[str]) -> None:
        """The server names others, the best first: for when it does not work itself."""
        fresh = [url for url in dict.fromkeys(urls) if url and url != self.current]
        if fresh:
            self._alternatives = fresh[:MAX_ALTERNATIVES]

    def moved(self, url: str) -> None:
        """The server wants to be reached at another address from now on."""
        if url and url != self.current:
            self._alternatives = [self.current, *self._alternatives][:MAX_ALTERNATIVES]
            self.current = url

    async def use_next(self, token: str) -> bool:
        """The current address failed: go to the next that is known. False when there is no other.

        On LiveKit Cloud the regions are asked for when none is known, and each is used once until they are asked for
        anew. Elsewhere the addresses take turns.
        """
        if not self._alternatives and is_cloud(self._home) and loop_time() >= self._regions_expire_s:
            regions, fresh_s = await fetch_regions(self._home, token, self._route)
            self._regions_expire_s = loop_time() + max(fresh_s, SHORTEST_REGIONS_LIFE_S)
            self.named(regions)
        if not self._alternatives:
            return False
        if not is_cloud(self.current):
            self._alternatives.append(self.current)
        self.current = self._alternatives.pop(0)
        return True


def is_cloud(url: str) -> bool:
    """Whether a server has regions."""
    return (urlsplit(url).hostname or "").endswith(_CLOUD_HOSTS)


async def fetch_regions(url: str, token: str, route: HttpRoute | None = None) -> tuple[list[str], float]:
    """The URLs of a cloud's regions, the nearest first, and for how many seconds they hold. None on any failure."""
    parts = urlsplit(url)
    scheme = _HTTP_SCHEMES.get(parts.scheme, parts.scheme)
    address = urlunsplit((scheme, parts.netloc, "/settings/regions", "", ""))
    try:
        timeout = aiohttp.ClientTimeout(total=REGIONS_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.get(
                address, timeout=timeout, raise_for_status=True, **(route or HttpRoute()).arguments(address)
            ) as response,
        ):
            text = b""
            async for block in response.content.iter_any():
                text += block
                if len(text) > _MAX_REGIONS_BYTES:
                    raise ValueError(f"the answer has more than {_MAX_REGIONS_BYTES} bytes")
            fresh_s = _max_age_s(response.headers.get("Cache-Control", ""))
        return _region_urls(text), fresh_s
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError) as error:
        _logger.warning(
            "the regions of %s can't be had: %s", parts.hostname, str(error) or type(error).__name__
        )
        return [], 0.0


def _region_urls(text: bytes) -> list[str]:
    answer = json.loads(text) if text else {}
    regions = answer.get("regions", []) if isinstance(answer, dict) else None
    if not isinstance(regions, list):
        raise ValueError("the answer has no list of regions")
    return [r["url"] for r in regions if isinstance(r, dict) and isinstance(r.get("url"), str)]


def _max_age_s(cache_control: str) -> float:
    found = re.search(r"max-age=(\d{1,9})", cache_control)
    return float(found[1]) if found else 0.0
