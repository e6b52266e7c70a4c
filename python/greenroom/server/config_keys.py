"""The keys of livekit-server's configuration: what each sets here, and which have no effect on one machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import config_values as values


@dataclass(frozen=True)
class Key:
    """One key. `target` is a field of ServerConfig, or `part.field` of one of its parts (limits, webhooks…)."""

    target: str
    read: Callable[[Any], Any]
    scalar: bool = True
    """It can be given as a flag and as an environment variable too."""


KEYS: Mapping[str, Key] = {
    "port": Key("port", values.port),
    "bind_addresses": Key("host", values.one_address, scalar=False),
    "keys": Key("keys", values.key_pairs, scalar=False),
    "key_file": Key("file.key_file", values.text),
    "region": Key("region", values.text),
    "development": Key("file.development", values.flag),
    "log_level": Key("logging.level", values.text),
    "logging.level": Key("logging.level", values.text),
    "logging.json": Key("logging.json", values.flag),
    "rtc.udp_port": Key("udp_port", values.first_port),
    "rtc.port_range_start": Key("file.port_range_start", values.port),
    "rtc.port_range_end": Key("file.port_range_end", values.port),
    "rtc.tcp_port": Key("tcp_port", values.port_or_off),
    "rtc.force_tcp": Key("force_tcp", values.flag),
    "rtc.node_ip": Key("advertised_addresses", values.addresses),
    "rtc.ips.includes": Key("media_addresses", values.networks, scalar=False),
    "rtc.use_external_ip": Key("file.use_external_ip", values.flag),
    "rtc.stun_servers": Key("file.stun_servers", values.stun_servers, scalar=False),
    "rtc.turn_servers": Key("file.turn_servers", values.turn_servers, scalar=False),
    "rtc.congestion_control.enabled": Key("congestion_control", values.flag),
    "rtc.congestion_control.allow_pause": Key("allow_pause", values.flag),
    "room.auto_create": Key("auto_create_rooms", values.flag),
    "room.empty_timeout": Key("empty_timeout_s", values.whole),
    "room.departure_timeout": Key("departure_timeout_s", values.whole),
    "room.max_participants": Key("max_participants", values.whole),
    "room.sync_streams": Key("sync_streams", values.flag),
    "room.playout_delay.enabled": Key("playout_delay.enabled", values.flag),
    "room.playout_delay.min": Key("playout_delay.min_ms", values.whole),
    "room.playout_delay.max": Key("playout_delay.max_ms", values.whole),
    "room.enable_remote_unmute": Key("remote_unmute", values.flag),
    "room.update_batch_target_size": Key("limits.update_bytes", values.whole),
    "room.room_configurations": Key("room_presets", values.room_configurations, scalar=False),
    "limit.max_metadata_size": Key("limits.metadata_bytes", values.whole),
    "limit.max_attributes_size": Key("limits.attributes_bytes", values.whole),
    "limit.max_room_name_length": Key("limits.room_name_bytes", values.whole),
    "limit.max_participant_identity_length": Key("limits.identity_bytes", values.whole),
    "limit.max_participant_name_length": Key("limits.name_bytes", values.whole),
    "video.dynacast_pause_delay": Key("dynacast_pause_delay_s", values.duration),
    "webhook.urls": Key("webhooks.urls", values.texts, scalar=False),
    "webhook.api_key": Key("webhooks.api_key", values.text),
    "webhook.filter_params.include_events": Key("webhooks.include_events", values.names, scalar=False),
    "webhook.filter_params.exclude_events": Key("webhooks.exclude_events", values.names, scalar=False),
    "prometheus_port": Key("prometheus.port", values.port_or_off),
    "prometheus.port": Key("prometheus.port", values.port_or_off),
    "prometheus.username": Key("prometheus.username", values.text),
    "prometheus.password": Key("prometheus.password", values.text),
    "tls.cert_file": Key("tls.cert_file", values.text),
    "tls.key_file": Key("tls.key_file", values.text),
    "drain_timeout": Key("file.drain_timeout", values.duration),
}
"""By dotted path. `tls` and `drain_timeout` are Greenroom's own."""

_ONE_NODE = "this server is one node"
_NOT_TUNABLE = "the media path is not tuned by hand"
_ELSEWHERE = "that service is not part of this server"

WITHOUT_EFFECT: Mapping[str, str] = {
    "redis": _ONE_NODE,
    "node_selector": _ONE_NODE,
    "signal_relay": _ONE_NODE,
    "psrpc": _ONE_NODE,
    "node_stats": _ONE_NODE,
    "api": _ONE_NODE,
    "ingress": _ELSEWHERE,
    "sip": _ELSEWHERE,
    "turn": "it has no TURN server; name one of your own in rtc.turn_servers",
    "trace": "it writes no traces",
    "metric": "it collects no client metrics",
    "debug_handler": "it has no debug port",
    "audio": _NOT_TUNABLE,
    "video.stream_tracker_manager": _NOT_TUNABLE,
    "video.codec_regression_threshold": "video is forwarded in the codec it comes in",
    "agents": "every available agent worker is asked",
    "enable_data_tracks": "data tracks are not switched",
    "enable_participant_data_blob": "it keeps no data blobs",
    "logging.sample": "every line is logged",
    "logging.pion_level": "there is no pion in it",
    "logging.component_levels": "all components log at one level",
    "webhook.url_notifier": "queues have fixed bounds",
    "webhook.resource_url_notifier": "queues have fixed bounds",
    "room.enabled_codecs": "the codecs it forwards are fixed",
    "room.create_room_timeout": _ONE_NODE,
    "room.create_room_attempts": _ONE_NODE,
    "limit.num_tracks": "it has no limits over all rooms",
    "limit.bytes_per_sec": "it has no limits over all rooms",
    "limit.subscription_limit_video": "subscriptions are not limited",
    "limit.subscription_limit_audio": "subscriptions are not limited",
    "limit.max_data_blob_key_length": "it keeps no data blobs",
    "limit.max_data_blobs_size": "it keeps no data blobs",
    "limit.max_data_track_custom_encoding_length": "it does not look into data tracks",
    **{
        f"rtc.{name}": _NOT_TUNABLE
        for name in (
            *("use_ice_lite", "use_mdns", "enable_loopback_candidate", "interfaces", "ips.excludes"),
            *("skip_external_ip_validation", "advertise_internal_ip", "external_ip_only", "batch_io"),
            *("use_stun_port_as_ice", "strict_acks", "packet_buffer_size", "packet_buffer_size_video"),
            *("packet_buffer_size_audio", "pli_throttle", "allow_tcp_fallback"),
            *("congestion_control.stream_allocator", "congestion_control.remote_bwe"),
            *("congestion_control.use_send_side_bwe_interceptor", "congestion_control.use_send_side_bwe"),
            *("congestion_control.send_side_bwe_pacer", "congestion_control.send_side_bwe"),
            *("tcp_fallback_rtt_threshold", "allow_udp_unstable_fallback", "forward_stats"),
            *("reconnect_on_publication_error", "reconnect_on_subscription_error"),
            *("reconnect_on_data_channel_error", "data_channel_max_buffered_amount"),
            *("datachannel_slow_threshold", "datachannel_lossy_target_latency"),
            *("datachannel_data_track_target_latency", "enable_rtp_stream_restart_detection"),
            *("sctp_min_cwnd", "sctp_fast_rtx_wnd", "sctp_cwnd_ca_step", "host_acceptance_min_wait"),
            *("srflx_acceptance_min_wait", "prflx_acceptance_min_wait", "relay_acceptance_min_wait"),
        )
    },
}
"""Keys, and whole sections, that livekit-server has and this server takes without acting on them; and why."""
