"""What can't be counted by looking, for Prometheus: outcomes and durations, noted as they happen. Names, labels and buckets
are livekit-server's."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from livekit.protocol import models
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import Metric

from .config import PROTOCOL_VERSION
from .quality import mean_opinion, quality_of
from .room_listener import RoomListener
from .twirp import HTTP_STATUS

if TYPE_CHECKING:
    from .participant import Participant
    from .publications import Publication
    from .room import Room
    from .subscriptions import Subscription

_ROOM_S = (5, 10, 60, 300, 600, 1800, 3600, 7200, 18_000, 36_000)
_CALL_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000)
_TRACK_MS = (100, 200, 500, 700, 1000, 5000, 10_000)
_SCORES = (1.0, 2.0, 2.5, 3.0, 3.25, 3.5, 3.75, 4.0, 4.25, 4.5)
_RECEIVERS = (1, 2, 3, 4, 5, 10, 15, 25, 50)
_STREAM_BYTES = (128, 512, 2048, 8192, 32_768, 131_072, 524_288, 2_097_152, 8_388_608, 33_554_432)
_STREAM_CONTENTS = frozenset({"text", "image", "application", "audio", "video"})
_TRACK_LABELS = ("direction", "source", "type", "country", "sdk", "kind", "count")
_FAMILIES = {
    "livekit_participant_join_total": ("Joins by how far they came.", ("state",)),
    "livekit_track_publish_counter": ("Tracks published so far.", ("kind", "state")),
    "livekit_track_subscribe_counter": ("Subscriptions so far.", ("state", "error")),
    "livekit_node_twirp_request_status": (
        "Calls of the server API.",
        ("service", "method", "status", "code"),
    ),
}
_CANCELED = frozenset(
    {
        models.DisconnectReason.CLIENT_INITIATED,
        models.DisconnectReason.DUPLICATE_IDENTITY,
        models.DisconnectReason.ROOM_CLOSED,
        models.DisconnectReason.ROOM_DELETED,
    }
)
"""Who leaves before media is up for one of these has not failed."""


def kind_of(publication: Publication) -> str:
    """The label that tells audio from video."""
    return models.TrackType.Name(publication.info.type)


def untyped(name: str, help_: str) -> Metric:
    """A family to which samples can be added."""
    # Untyped, because the library would add to the names of counters, which are livekit-server's.
    return Metric(name, help_, "unknown")


def _exponential(least: float, most: float) -> list[float]:
    return [least * (most / least) ** (step / 14) for step in range(15)]


class Tallies(RoomListener):
    """Of one server, since it started."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in _FAMILIES}
        self._since: WeakKeyDictionary[object, float] = WeakKeyDictionary()
        """When something began whose duration will be asked for."""

        def histogram(name: str, help_: str, buckets: object, *labels: str) -> Histogram:
            return Histogram(f"livekit_{name}", help_, labels, buckets=buckets, registry=registry)  # type: ignore[arg-type]

        self._room_s = histogram("room_duration_seconds", "Life of rooms that are closed.", _ROOM_S)
        version, stream = "protocol_version", ("type", "mime_type")
        self._call_ms = histogram(
            "node_twirp_request_latency_ms", "Calls of the server API.", _CALL_MS, "service", "method"
        )
        self._join_ms = histogram(
            "session_join_latency_ms", "From a join to its greeting.", _exponential(10, 10_000), version
        )
        self._start_ms = histogram(
            "session_start_time_ms", "From a join until media is up.", _exponential(100, 10_000), version
        )
        self._session_ms = histogram(
            "session_duration_ms", "Sessions that ended.", _exponential(100, 14_400_000), version
        )
        self._track_ms = histogram(
            "pubsubtime_ms", "From the wish until media can flow.", _TRACK_MS, *_TRACK_LABELS
        )
        self._rating = histogram("quality_rating", "Of participants: 0 poor, 1 good, 2 excellent.", (0, 1, 2))
        self._score = histogram("quality_score", "Of participants, 1 to 4.5.", _SCORES)
        self._receivers = histogram(
            "datapacket_stream_dest_count", "Named receivers of data streams.", _RECEIVERS, *stream
        )
        self._stream_bytes = histogram(
            "datapacket_stream_bytes", "Sizes of data streams that tell theirs.", _STREAM_BYTES, *stream
        )

    def families(self) -> Iterator[Metric]:
        """All counts."""
        for name, (help_, labels) in _FAMILIES.items():
            family = untyped(name, help_)
            for values, count in self._counts[name].items():
                family.add_sample(name, dict(zip(labels, values, strict=True)), count)
            yield family

    def _count(self, name: str, *values: str) -> None:
        self._counts[f"livekit_{name}"][values] += 1

    # ---- the server API ----

    def request_finished(self, service: str, method: str, code: str, duration_s: float) -> None:
        """A call of the server API ended; `code` is empty when it succeeded."""
        service = service.removeprefix("livekit.")
        status = HTTP_STATUS.get(code, 200)
        family = f"{status // 100}xx" if status >= 400 else str(status)
        self._count("node_twirp_request_status", service, method, family, code)
        self._call_ms.labels(service, method).observe(duration_s * 1000)

    # ---- rooms and participants ----

    def room_finished(self, room: Room) -> None:
        self._room_s.observe(time.time() - room.created_at_ms / 1000)

    def join_refused(self) -> None:
        """Somebody may not join, or asks for it wrongly."""
        self._count("participant_join_total", "signal_validation_failed")

    def participant_joined(self, participant: Participant) -> None:
        for state in ("signal_connected", "rtc_init", "rtc_connected"):
            self._count("participant_join_total", state)
        self._join_ms.labels(_protocol(participant)).observe(_age_ms(participant))

    def participant_active(self, participant: Participant) -> None:
        for state in ("rtc_active", "rtc_success"):
            self._count("participant_join_total", state)
        self._start_ms.labels(_protocol(participant)).observe(_age_ms(participant))
        self._since[participant] = time.monotonic()

    def participant_left(self, participant: Participant) -> None:
        duration_ms = self._passed_ms(participant)
        if duration_ms is not None:
            self._session_ms.labels(_protocol(participant)).observe(duration_ms)
        else:
            canceled = participant.disconnect_reason in _CANCELED
            self._count("participant_join_total", "rtc_canceled" if canceled else "rtc_failure")

    def participant_measured(self, participant: Participant) -> None:
        score = participant.room.qualities.score(participant.sid)
        self._rating.observe(quality_of(score))
        self._score.observe(mean_opinion(score))

    # ---- tracks ----

    def track_added(self, publication: Publication) -> None:
        self._since[publication] = time.monotonic()
        self._count("track_publish_counter", kind_of(publication), "attempt")

    def track_published(self, publication: Publication) -> None:
        self._count("track_publish_counter", kind_of(publication), "success")
        self._observe_track("publish", publication, publication.publisher, publication)

    def track_subscribed(self, subscription: Subscription) -> None:
        self._since[subscription] = time.monotonic()
        self._count("track_subscribe_counter", "attempt", "")

    def subscription_bound(self, subscription: Subscription) -> None:
        self._count("track_subscribe_counter", "success", "")
        self._observe_track("subscribe", subscription, subscription.subscriber, subscription.publication)

    def subscription_failed(self, subscription: Subscription) -> None:
        error = models.SubscriptionError.Name(subscription.error or 0)
        self._count("track_subscribe_counter", "failure", error)

    def stream_begun(self, packet: models.DataPacket) -> None:
        header = packet.stream_header
        kind = (header.WhichOneof("content_header") or "unknown_header").removesuffix("_header")
        kind = "bytes" if kind == "byte" else kind
        content = header.mime_type.lower().partition("/")[0]
        content = content if content in _STREAM_CONTENTS else "unknown"
        self._receivers.labels(kind, content).observe(len(packet.destination_identities))
        if header.HasField("total_length"):
            self._stream_bytes.labels(kind, content).observe(header.total_length)

    def _observe_track(
        self, direction: str, began: object, who: Participant, publication: Publication
    ) -> None:
        duration_ms = self._passed_ms(began)
        if duration_ms is not None:  # the first time; tracks move between sections
            source = _name(models.TrackSource, publication.info.source)
            sdk = _name(models.ClientInfo.SDK, who.client.sdk)
            kind = _name(models.ParticipantInfo.Kind, who.kind)
            labels = (direction, source, kind_of(publication), "", sdk, kind, "1")
            self._track_ms.labels(*labels).observe(duration_ms)

    def _passed_ms(self, began: object) -> float | None:
        since = self._since.pop(began, None)
        return None if since is None else (time.monotonic() - since) * 1000


def _name(enum: Any, number: int) -> str:
    """Of a value that a client chose. Those without a name share one: nobody can make up series."""
    return str(enum.Name(number)) if number in enum.values() else "UNKNOWN"


def _protocol(participant: Participant) -> int:
    """Newer ones, made up ones too, are counted as the newest that is known."""
    return min(participant.protocol, PROTOCOL_VERSION)


def _age_ms(participant: Participant) -> float:
    return max(0.0, time.time() * 1000 - participant.joined_at_ms)
