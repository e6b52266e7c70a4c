"""What `greenroom serve` makes of its options before the configuration is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

KEYS_VARIABLE = "LIVEKIT_KEYS"


def parse_keys(texts: list[str]) -> dict[str, str]:
    """`key: secret` pairs, one a line, as livekit-server's LIVEKIT_KEYS has them. ValueError otherwise."""
    keys = {}
    for line in (line for text in texts for line in text.splitlines() if line.strip()):
        key, _, secret = (part.strip() for part in line.partition(":"))
        if not key or not secret:
            # The line may hold a secret: only its beginning is shown.
            raise ValueError(f"--keys or {KEYS_VARIABLE}: {line[:12]!r}… is not 'key: secret'")
        keys[key] = secret
    return keys


def configuration_body(path: Path | None, body: str | None) -> str:
    """The YAML text: of the file, else of `--config-body`. ValueError when the file can't be read."""
    if path is None:
        return body or ""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"the configuration {path} can't be read: {reason}") from error


def dotted_flags(arguments: Sequence[str]) -> dict[str, str]:
    """`--room.empty_timeout 60` and `--room.empty_timeout=60` by path. ValueError for anything else."""
    flags: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, has_value, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            raise ValueError(f"unexpected argument {name!r}")
        if not has_value:
            takes_next = bool(rest) and not rest[0].startswith("--")
            value = rest.pop(0) if takes_next else "true"
        flags[name.removeprefix("--")] = value
    return flags
