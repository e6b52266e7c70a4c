"""Prometheus metrics of one server, under livekit-server's names where it has them.

What can be counted by looking is looked at when it is asked for; durations and outcomes are noted as they happen (`tallies`).
"""

from __future__ import annotations

import base64
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .tallies import Tallies, kind_of, untyped

if TYPE_CHECKING:
    from .config import PrometheusConfig
    from .rooms import Rooms

_TRAFFIC = {
    "packets_received": ("packet_total", "incoming"),
    "packets_sent": ("packet_total", "outgoing"),
    "bytes_received": ("packet_bytes", "incoming"),
    "bytes_sent": ("packet_bytes", "outgoing"),
    "nacks_received": ("nack_total", "incoming"),
    "nacks_sent": ("nack_total", "outgoing"),
    "plis_received": ("pli_total", "incoming"),
    "plis_sent": ("pli_total", "outgoing"),
}
"""From a counter of the forwarding unit to a series of livekit-server's."""

_DROPPED = ("malformed", "unknown", "stun", "dtls", "unauthenticated", "replayed")
_TCP = ("accepted", "refused", "aborted")

_Values = Mapping[tuple[str, ...], float]
"""From label values to the value of a series."""


class Metrics(Collector):
    """The series of one server. `traffic` returns the counters of its forwarding unit."""

    def __init__(self, rooms: Rooms, traffic: Callable[[], Mapping[str, int]]) -> None:
        self._rooms = rooms
        self._traffic = traffic
        self._constant = {"node_id": rooms.node_id, "node_type": "SERVER"}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self.tallies = Tallies(self._registry)

    # ---- what can be counted ----

    def collect(self) -> Iterator[Metric]:
        """The present state of the server, for the registry."""
        rooms = self._rooms.all()
        participants = [p for room in rooms for p in room.started_participants()]
        published: Counter[tuple[str, ...]] = Counter({("AUDIO",): 0, ("VIDEO",): 0})
        subscribed = published.copy()
        published.update((kind_of(p),) for room in rooms for p in room.announced_publications())
        subscribed.update((kind_of(p),) for q in participants for p in q.subscriptions.publications())
        yield _family("livekit_room_total", "Open rooms.", {(): len(rooms)})
        yield _family("livekit_participant_total", "Participants in rooms.", {(): len(participants)})
        yield _family("livekit_track_published_total", "Tracks that are published.", published, "kind")
        yield _family(
            "livekit_track_subscribed_total", "Tracks on their way to somebody.", subscribed, "kind"
        )
        yield from self.tallies.families()
        traffic = self._traffic()
        yield from _traffic_families(traffic)
        counts = self._rooms.counters + Counter(data_dropped_lossy_full=traffic.get("messages_displaced", 0))
        refused: _Values = {(kind,): count for kind, count in sorted(counts.items())}
        help_ = "Requests, messages and packets turned away, webhooks and the like, by kind."
        yield _family("greenroom_events_total", help_, refused, "kind")

    # ---- the text ----

    def text(self) -> bytes:
        """Everything in Prometheus' text format; each series carries the node's labels too."""
        return generate_latest(_Labelled(self._registry, self._constant))


class _Labelled(CollectorRegistry):
    """A registry's series with labels added."""

    def __init__(self, registry: CollectorRegistry, labels: Mapping[str, str]) -> None:
        super().__init__()
        self._inner = registry
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        for metric in self._inner.collect():
            metric.samples = [
                sample._replace(labels={**sample.labels, **self._labels})
                for sample in metric.samples
                if not sample.name.endswith("_created")  # of Python's library alone
            ]
            yield metric


def _family(name: str, help_: str, values: _Values, *labels: str) -> Metric:
    metric = untyped(name, help_)
    for label_values, value in values.items():
        metric.add_sample(name, dict(zip(labels, label_values, strict=True)), value)
    return metric


def _traffic_families(traffic: Mapping[str, int]) -> Iterator[Metric]:
    families: dict[str, dict[tuple[str, ...], float]] = {}
    for key, (name, direction) in _TRAFFIC.items():
        families.setdefault(name, {})[(direction, "")] = traffic.get(key, 0)
    for name, values in families.items():
        yield _family(f"livekit_{name}", "Of all media connections.", values, "direction", "country")
    dropped: _Values = {(why,): traffic.get(f"packets_dropped_{why}", 0) for why in _DROPPED}
    help_ = "Datagrams that belong to nobody, are malformed, or do not prove to be a client's."
    yield _family("greenroom_packets_dropped_total", help_, dropped, "why")
    failed: _Values = {(): traffic.get("transports_failed", 0)}
    yield _family("greenroom_media_connections_failed_total", "Media connections that failed.", failed)
    tcp: _Values = {(what,): traffic.get(f"tcp_connections_{what}", 0) for what in _TCP}
    yield _family("greenroom_tcp_connections_total", "ICE-TCP connections of this process.", tcp, "what")


def metrics_application(metrics: Metrics, config: PrometheusConfig) -> web.Application:
    """What answers on the metrics port: the text on every path, behind a password when there is one."""
    expected = f"{config.username}:{config.password}".encode()

    async def answer(request: web.Request) -> web.Response:
        if config.username and config.password and not _is_allowed(request, expected):
            challenge = {"WWW-Authenticate": 'Basic realm="Protected Area"'}
            return web.Response(status=401, text="Unauthorized\n", headers=challenge)
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    return application


def _is_allowed(request: web.Request, expected: bytes) -> bool:
    scheme, _, encoded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True)
    except ValueError:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, expected)
