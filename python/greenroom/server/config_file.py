"""A server's configuration from livekit-server's YAML, the environment and flags.

Everything that is wrong is named at once; keys that have no effect here are told as warnings.
"""

from __future__ import annotations

import dataclasses
import difflib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import config_values
from .config import Limits, PlayoutDelayConfig, PrometheusConfig, ServerConfig, TlsConfig, WebhookConfig
from .config_keys import KEYS, WITHOUT_EFFECT
from .logs import LEVELS

DEVELOPMENT_KEYS = {"devkey": "secret"}
DEFAULT_PORTS = {"port": 7880, "tcp_port": 7881, "udp_port": 7882}
DEFAULT_DRAIN_S = 20.0
SECRET_LENGTH = 32
"""Shorter secrets are warned of, as livekit-server does."""
_ENVIRONMENT_PREFIX = "LIVEKIT_"
_PARTS: Mapping[str, Any] = {
    "limits": Limits,
    "webhooks": WebhookConfig,
    "prometheus": PrometheusConfig,
    "playout_delay": PlayoutDelayConfig,
    "tls": TlsConfig,
}


class ConfigError(ValueError):
    """The configuration can't be used; the message names every problem."""


@dataclass(frozen=True)
class Configuration:
    """What was read: the server's settings, and what concerns the command around it."""

    server: ServerConfig
    log_level: str = "info"
    log_json: bool = False
    drain_timeout_s: float = DEFAULT_DRAIN_S
    warnings: tuple[str, ...] = ()


@dataclass
class _Reading:
    """Values by target, as they come; later ones win."""

    found: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def take(self, path: str, value: Any, source: str) -> None:
        key = KEYS[path]
        try:
            self.found[key.target] = key.read(value)
        except ValueError as error:
            # Not every value may be shown: keys and passwords are secrets.
            self.problems.append(f"{source} {error}")


def load(
    *,
    body: str = "",
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Configuration:
    """The configuration of a YAML text, over which the environment goes, over which flags go.

    `flags` are by dotted path; `defaults` and `overrides` by field of ServerConfig: what nobody sets, and what
    wins over everything. Raises ConfigError.
    """
    reading = _Reading()
    for path, value in _flattened(_parsed(body), reading):
        reading.take(path, value, path)
    for path in (path for path, key in KEYS.items() if key.scalar):
        variable = _ENVIRONMENT_PREFIX + path.upper().replace(".", "_")
        given = (environment or {}).get(variable)
        if given:
            reading.take(path, _from_text(given), variable)
    reading.warnings.extend(_misspelt_variables(environment or {}))
    for path, value in (flags or {}).items():
        if path not in KEYS:
            reading.problems.append(_unknown(path))
        else:
            reading.take(path, _from_text(value) if isinstance(value, str) else value, f"--{path}")
    return _assemble(reading, defaults or {}, overrides or {})


def _parsed(body: str) -> Mapping[str, Any]:
    try:
        parsed = yaml.load(body, _OnceOnly)
    except yaml.YAMLError as error:
        raise ConfigError(f"the configuration is no YAML: {' '.join(str(error).split())}") from error
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise ConfigError(f"the configuration must be a mapping of keys, not {type(parsed).__name__}")
    return parsed


class _OnceOnly(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value} is given twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _from_text(value: str) -> Any:
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return parsed if isinstance(parsed, bool | int) else value


def _flattened(tree: Mapping[str, Any], reading: _Reading, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if path in KEYS:
            if value is not None:
                yield path, value
        elif path in WITHOUT_EFFECT:
            reading.warnings.append(f"{path} has no effect: {WITHOUT_EFFECT[path]}")
        elif _is_section(path) and (value is None or isinstance(value, dict)):
            yield from _flattened(value or {}, reading, f"{path}.")
        elif _is_section(path):
            reading.problems.append(f"{path} must be a section with keys of its own")
        else:
            reading.problems.append(_unknown(path))


def _misspelt_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """LiveKit's clients have variables too: only what is hardly another's is told."""
    known = {_ENVIRONMENT_PREFIX + path.upper().replace(".", "_"): path for path in KEYS}
    for name in sorted(environment):
        close = difflib.get_close_matches(name, known, 1, 0.92) if name not in known else []
        if name.startswith(_ENVIRONMENT_PREFIX) and close:
            yield f"{name} has no effect: there is no such variable (did you mean {close[0]}?)"


def _is_section(path: str) -> bool:
    return any(known.startswith(f"{path}.") for known in (*KEYS, *WITHOUT_EFFECT))


def _unknown(path: str) -> str:
    close = difflib.get_close_matches(path, (*KEYS, *WITHOUT_EFFECT), 1, 0.7)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{path} is not a key of the configuration{hint}"


# ---- from values to settings ----


def _assemble(reading: _Reading, defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> Configuration:
    settings: dict[str, Any] = dict(defaults)
    parts: dict[str, dict[str, Any]] = {}
    for target, value in reading.found.items():
        part, _, name = target.rpartition(".")
        if part:
            parts.setdefault(part, {})[name] = value
        elif value is not None or target == "tcp_port":
            settings[target] = value
    file = parts.pop("file", {})
    logging = parts.pop("logging", {})
    settings.update(overrides)
    _resolve(file, settings, reading)
    level = str(logging.get("level", "debug" if file.get("development") else "info"))
    if level not in LEVELS:
        reading.problems.append(f"logging.level is {level!r}: it must be one of {', '.join(LEVELS)}")
    _build_parts(parts, settings, reading)
    server = None
    try:
        server = ServerConfig(**{"keys": {}, **settings}) if not reading.problems else None
    except ValueError as error:
        reading.problems.append(str(error))
    if server is None or reading.problems:
        raise ConfigError("; ".join(" ".join(problem.split()) for problem in reading.problems))
    if not file.get("development"):
        reading.warnings.extend(_weak_secrets(server.keys))
    return Configuration(
        server,
        log_level=level,
        log_json=bool(logging.get("json", False)),
        drain_timeout_s=file.get("drain_timeout", DEFAULT_DRAIN_S),
        warnings=tuple(reading.warnings),
    )


def _weak_secrets(keys: Mapping[str, str]) -> Iterator[str]:
    for key, secret in keys.items():
        if len(secret) < SECRET_LENGTH:
            yield f"the secret of API key {key} has fewer than {SECRET_LENGTH} characters: it can be guessed"


def _build_parts(parts: Mapping[str, dict[str, Any]], settings: dict[str, Any], reading: _Reading) -> None:
    for name, fields in parts.items():
        needed = {f.name for f in dataclasses.fields(_PARTS[name]) if f.default is dataclasses.MISSING}
        missing = sorted(needed - set(fields)) if name == "tls" else []
        if missing:
            reading.problems.append(f"{name} lacks {', '.join(missing)}: both files are needed")
            continue
        try:
            settings[name] = _PARTS[name](**{k: v for k, v in fields.items() if v is not None})
        except ValueError as error:
            reading.problems.append(str(error))


def _resolve(file: Mapping[str, Any], settings: dict[str, Any], reading: _Reading) -> None:
    """What several keys say together."""
    key_file = file.get("key_file")
    if key_file:
        try:
            settings["keys"] = _key_file(Path(key_file))
        except (OSError, ValueError, yaml.YAMLError) as error:
            reading.problems.append(f"key_file {key_file}: {getattr(error, 'strerror', None) or error}")
    if file.get("development") and not settings.get("keys"):
        settings["keys"] = DEVELOPMENT_KEYS
    start, end = file.get("port_range_start"), file.get("port_range_end")
    if end and not start:
        reading.problems.append("rtc.port_range_end is set without rtc.port_range_start")
    if start and "udp_port" in reading.found:
        reading.problems.append("rtc.udp_port and rtc.port_range_start are both set: give one of them")
    elif start and end and end < start:
        reading.problems.append(f"rtc.port_range_end is {end}, below rtc.port_range_start, {start}")
    elif start:
        settings["udp_port"] = start
        reading.warnings.append(f"rtc.port_range_start: all media goes through one UDP port, {start}")
    if file.get("use_external_ip") and not settings.get("advertised_addresses"):
        reading.problems.append(
            "rtc.use_external_ip is set, but this server asks nobody for its address: give it in rtc.node_ip"
        )
    ice_servers = (*file.get("stun_servers", ()), *file.get("turn_servers", ()))
    if ice_servers:
        settings["ice_servers"] = ice_servers


def _key_file(path: Path) -> dict[str, str]:
    if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ValueError("others may read or write it; make it private: chmod o-rw")
    return config_values.key_pairs(yaml.safe_load(path.read_text()))
