"""Configuration in livekit-server's YAML: what each key sets, what wins, and errors that name everything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from greenroom.server.config import ServerConfig
from greenroom.server.config_file import ConfigError, Configuration, load
from greenroom.server.config_keys import KEYS, WITHOUT_EFFECT
from greenroom.server.ice_servers import IceServer, for_participant

SECRET = "a-secret-of-at-least-thirty-two-characters"
KEYS_YAML = f"keys: {{key: {SECRET}}}\n"


def loaded(body: str, **more: Any) -> ServerConfig:
    return load(body=KEYS_YAML + body, **more).server


def value_of(config: ServerConfig, target: str) -> Any:
    value: Any = config
    for name in target.split("."):
        value = getattr(value, name)
    return value


SET = {
    "port: 1234": ("port", 1234),
    "bind_addresses: [10.0.0.1]": ("host", "10.0.0.1"),
    "region: north": ("region", "north"),
    "rtc: {udp_port: 5000}": ("udp_port", 5000),
    "rtc: {udp_port: 5000-5010}": ("udp_port", 5000),
    "rtc: {udp_port: {start: 5000, end: 5010}}": ("udp_port", 5000),
    "rtc: {port_range_start: 50000, port_range_end: 60000}": ("udp_port", 50_000),
    "rtc: {tcp_port: 0}": ("tcp_port", None),
    "rtc: {tcp_port: 5001, force_tcp: true}": ("force_tcp", True),
    "rtc: {node_ip: '1.2.3.4, ::1'}": ("advertised_addresses", ("1.2.3.4", "::1")),
    "rtc: {node_ip: {ipv4: 1.2.3.4}}": ("advertised_addresses", ("1.2.3.4",)),
    "rtc: {use_external_ip: true, node_ip: 1.2.3.4}": ("advertised_addresses", ("1.2.3.4",)),
    "rtc: {ips: {includes: [10.0.0.1]}}": ("media_addresses", ("10.0.0.1",)),
    "rtc: {stun_servers: ['stun.example:3478']}": ("ice_servers", (IceServer(("stun:stun.example:3478",)),)),
    "rtc: {turn_servers: [{host: t.example, port: 443, protocol: tls, username: u, credential: c}]}": (
        "ice_servers",
        (IceServer(("turns:t.example:443?transport=tcp",), "u", "c"),),
    ),
    "room: {auto_create: false}": ("auto_create_rooms", False),
    "room: {empty_timeout: 5}": ("empty_timeout_s", 5),
    "room: {departure_timeout: 6}": ("departure_timeout_s", 6),
    "room: {max_participants: 7}": ("max_participants", 7),
    "room: {enable_remote_unmute: true}": ("remote_unmute", True),
    "limit: {max_metadata_size: 8}": ("limits.metadata_bytes", 8),
    "limit: {max_attributes_size: 8}": ("limits.attributes_bytes", 8),
    "limit: {max_room_name_length: 9}": ("limits.room_name_bytes", 9),
    "limit: {max_participant_identity_length: 0}": ("limits.identity_bytes", 0),
    "webhook: {urls: ['http://x'], api_key: key}": ("webhooks.urls", ("http://x",)),
    "webhook: {filter_params: {include_events: [room_started]}}": (
        "webhooks.include_events",
        frozenset({"room_started"}),
    ),
    "prometheus: {port: 9000, username: a, password: b}": ("prometheus.port", 9000),
    "room: {sync_streams: true}": ("sync_streams", True),
    "room: {playout_delay: {enabled: true, min: 100, max: 2000}}": ("playout_delay.max_ms", 2000),
    "prometheus_port: 9001": ("prometheus.port", 9001),
    "tls: {cert_file: c, key_file: k}": ("tls.key_file", "k"),
}


@pytest.mark.parametrize(("body", "expected"), SET.items(), ids=SET.keys())
def test_what_a_key_sets(body: str, expected: tuple[str, Any]) -> None:
    target, value = expected
    assert value_of(loaded(body), target) == value


def test_presets_of_rooms() -> None:
    body = "room: {room_configurations: {small: {max_participants: 2, agents: [{agent_name: a}]}}}"
    preset = loaded(body).room_presets["small"]
    assert (preset.max_participants, preset.agents[0].agent_name) == (2, "a")


def test_logging_and_drain() -> None:
    configuration = load(body=KEYS_YAML + "logging: {level: warn, json: true}\ndrain_timeout: 1m30s")
    assert (configuration.log_level, configuration.log_json) == ("warn", True)
    assert configuration.drain_timeout_s == 90.0


def test_development() -> None:
    configuration = load(body="development: true")
    assert configuration.server.keys == {"devkey": "secret"}
    assert configuration.log_level == "debug"
    assert load(body=KEYS_YAML + "development: true").server.keys == {"key": SECRET}


# ---- what wins ----


def port_of(**more: Any) -> int:
    return loaded("port: 1", **more).port


def test_the_order_of_sources() -> None:
    environment, flags = {"LIVEKIT_PORT": "2"}, {"port": "3"}
    assert loaded("", defaults={"port": 9}).port == 9
    assert port_of(defaults={"port": 9}) == 1
    assert port_of(environment=environment) == 2
    assert port_of(environment=environment, flags=flags) == 3
    assert port_of(environment=environment, flags=flags, overrides={"port": 4}) == 4


def test_variables_of_nested_keys_and_foreign_ones() -> None:
    environment = {
        "LIVEKIT_ROOM_EMPTY_TIMEOUT": "60",
        "LIVEKIT_ROOM_AUTO_CREATE": "false",
        "LIVEKIT_RTC_NODE_IP": "1.2.3.4",
        "LIVEKIT_URL": "ws://elsewhere",
        "LIVEKIT_KEYS": "a: b",
        "PATH": "/bin",
    }
    config = loaded("", environment=environment)
    assert (config.empty_timeout_s, config.auto_create_rooms) == (60, False)
    assert config.advertised_addresses == ("1.2.3.4",)


def test_a_misspelt_variable_is_told() -> None:
    environment = {"LIVEKIT_ROOM_EMPTY_TIMOUT": "5", "LIVEKIT_API_KEY": "k", "LIVEKIT_TOKEN": "t"}
    (warning,) = load(body=KEYS_YAML, environment=environment).warnings
    assert "LIVEKIT_ROOM_EMPTY_TIMOUT has no effect" in warning
    assert "did you mean LIVEKIT_ROOM_EMPTY_TIMEOUT?" in warning


def test_weak_secrets_are_told_but_for_development() -> None:
    (warning,) = load(body="keys: {weak: short}").warnings
    assert warning.startswith("the secret of API key weak has fewer than 32 characters")
    assert "short" not in warning
    assert load(body="development: true").warnings == ()


def test_a_key_file_wins_over_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("from_file: secret")
    file.chmod(0o600)
    assert loaded(f"key_file: {file}").keys == {"from_file": "secret"}
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read or write it"):
        loaded(f"key_file: {file}")
    with pytest.raises(ConfigError, match=r"key_file /nowhere: No such file"):
        loaded("key_file: /nowhere")


# ---- what is wrong ----

WRONG = {
    "prot: 5": "prot is not a key of the configuration (did you mean port?)",
    "room: {empty_timeuot: 5}": "room.empty_timeuot is not a key of the configuration (did you mean room.empty_timeout?)",
    "webhook: 5": "webhook must be a section with keys of its own",
    "room: [a]": "room must be a section with keys of its own",
    "room: {empty_timeout: 5, empty_timeout: 6}": "empty_timeout is given twice",
    "port: many": "port must be a whole number, 0 or more",
    "port: 70000": "port must be a port, 0 to 65535",
    "port: true": "port must be a whole number, 0 or more",
    "room: {auto_create: 'yes'}": "room.auto_create must be true or false",
    "region: 5": "region must be text",
    "rtc: {udp_port: 1-x}": "rtc.udp_port must be a port or a range like 7882-7892",
    "rtc: {udp_port: 1-}": "rtc.udp_port must be a port or a range like 7882-7892",
    "rtc: {udp_port: 7892-7882}": "rtc.udp_port is a range that ends, at 7882, below its start, 7892",
    "rtc: {udp_port: 7892-70000}": "rtc.udp_port must be a port, 0 to 65535",
    "rtc: {port_range_end: 5}": "rtc.port_range_end is set without rtc.port_range_start",
    "rtc: {node_ip: example.org}": "rtc.node_ip has 'example.org', which is no IP address",
    "rtc: {ips: {includes: [eth0]}}": "rtc.ips.includes has 'eth0', which is neither an IP address nor a network",
    "rtc: {stun_servers: ['a b']}": "rtc.stun_servers has 'a b', which is no HOST:PORT",
    "rtc: {turn_servers: [{host: a, username: u}]}": "a has one of username and credential: both are needed",
    "drain_timeout: soon": "drain_timeout must be a duration like 100ms, 5s or 1m30s",
    "video: {dynacast_pause_delay: 5}": "video.dynacast_pause_delay must be a duration like 100ms, 5s or 1m30s",
    "bind_addresses: [a, b]": "bind_addresses names several addresses",
    "keys: {a: 5}": "keys has a key or secret that is no text (put 'a' and its secret in quotes)",
    "rtc: {udp_port: 1, port_range_start: 2}": "rtc.udp_port and rtc.port_range_start are both set",
    "rtc: {port_range_start: 9, port_range_end: 2}": "rtc.port_range_end is 2, below rtc.port_range_start, 9",
    "rtc: {use_external_ip: true}": "give it in rtc.node_ip",
    "rtc: {force_tcp: true, tcp_port: 0}": "force_tcp is set but tcp_port is off",
    "rtc: {turn_servers: [{port: 5}]}": "rtc.turn_servers has a server without a host",
    "rtc: {turn_servers: [{host: a, protocol: x}]}": "protocol of a must be udp, tcp or tls",
    "rtc: {turn_servers: [{host: a, user: x}]}": "a has unknown fields: user",
    "room: {room_configurations: {a: {b: 1}}}": "room.room_configurations a: ",
    "room: {room_configurations: {a: 3}}": "room.room_configurations a: must be a section of settings",
    "webhook: {urls: ['http://'], api_key: key}": "webhook URL 'http://' names no host",
    "webhook: {urls: ['http://x'], api_key: who}": "the webhook api_key is 'who'",
    "webhook: {filter_params: {include_events: [nothing]}}": "webhook event 'nothing' is not known",
    "logging: {level: loud}": "logging.level is 'loud': it must be one of debug, info, warn, warning, error",
    "tls: {cert_file: c}": "tls lacks key_file",
    "port: 7000\nrtc: {tcp_port: 7000}": "port and tcp_port are both 7000",
}


@pytest.mark.parametrize(("body", "message"), WRONG.items(), ids=WRONG.keys())
def test_what_is_wrong_is_named(body: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(body=body if body.startswith("keys") else KEYS_YAML + body)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_all_contradictions_are_named_at_once() -> None:
    body = "port: 7000\nrtc: {tcp_port: 7000}\nprometheus: {port: 7000, username: u}"
    with pytest.raises(ConfigError) as raised:
        load(body=KEYS_YAML + body)
    for part in ("port and tcp_port are", "port and prometheus.port are", "prometheus.username and"):
        assert part in str(raised.value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        load(body="prot: 1\nregion: 5", flags={"fly": "1"}, environment={"LIVEKIT_PORT": "x"})
    for part in ("prot is not", "region must", "fly is not", "LIVEKIT_PORT must"):
        assert part in str(raised.value)


@pytest.mark.parametrize("body", ["a: [", "- 1", "5"])
def test_what_is_no_mapping(body: str) -> None:
    with pytest.raises(ConfigError, match="the configuration"):
        load(body=body)


def test_a_server_needs_keys() -> None:
    with pytest.raises(ConfigError, match="at least one API key"):
        load()


# ---- livekit-server's own keys ----

SAMPLE = """
port: 7880
bind_addresses: [""]
logging: {json: false, level: info, sample: true}
rtc:
  port_range_start: 50000
  port_range_end: 60000
  tcp_port: 7881
  use_external_ip: false
  congestion_control: {enabled: false, send_side_bwe_pacer: none}
redis: {address: "localhost:6379"}
keys: {key1: a-secret-of-at-least-thirty-two-characters}
turn: {enabled: true, domain: turn.example}
audio: {active_level: 35}
"""


def test_a_usual_file_works_and_says_what_has_no_effect() -> None:
    configuration: Configuration = load(body=SAMPLE)
    assert configuration.server.udp_port == 50_000
    warned = {warning.split()[0] for warning in configuration.warnings}
    assert warned == {
        *(
            "logging.sample",
            "rtc.port_range_start:",
            "rtc.congestion_control.send_side_bwe_pacer",
            "redis",
            "turn",
            "audio",
        ),
    }


def test_no_key_is_in_both_tables() -> None:
    assert not set(KEYS) & set(WITHOUT_EFFECT)


_PAGE = (Path(__file__).resolve().parents[4] / "docs" / "server.md").read_text()


def test_the_documented_configuration_is_good() -> None:
    (body,) = re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL)
    configuration = load(body=body)
    assert configuration.warnings == ()
    assert configuration.server.advertised_addresses == ("203.0.113.7",)


@pytest.mark.parametrize("path", KEYS)
def test_every_key_is_documented(path: str) -> None:
    deprecated_or_paired = {"log_level", "prometheus_port", "rtc.port_range_end"}
    name = path.rpartition(".")[2].removeprefix("max_participant_").removesuffix("_length")
    assert path in deprecated_or_paired or name in _PAGE


# ---- ICE servers ----


def test_credentials_that_expire() -> None:
    server = IceServer(("turn:t.example:3478",), secret="shared", life_s=100)
    (message,) = for_participant((server,), "PA_x", now_s=1000.5)
    assert message.username == "1100:PA_x"
    assert (
        message.credential == "8fGr7gmwL3UzGa12RrIiW7d9o7Y="
    )  # printf 1100:PA_x | openssl sha1 -hmac shared -binary | base64
    with pytest.raises(ValueError, match="must begin with stun:"):
        IceServer(("http://x",))
    with pytest.raises(ValueError, match="at least one URL"):
        IceServer(())
