"""Sizes that the server's API checks, in bytes of UTF-8. Each check raises TwirpError `invalid_argument`."""

from __future__ import annotations

from collections.abc import Mapping

from .config import Limits
from .twirp import TwirpError


def attributes_size(attributes: Mapping[str, str]) -> int:
    """Of all keys and values together; an empty value deletes its key and does not count."""
    return sum(len(k.encode()) + len(v.encode()) for k, v in attributes.items() if v)


def _check(size: int, limit: int, what: str) -> None:
    if size > limit > 0:  # 0: no limit
        # livekit-server puts what it found into the argument's place, and the limit into the reason's.
        raise TwirpError("invalid_argument", f"{what} {limit}", argument=what)


def check_metadata(metadata: str, limits: Limits) -> None:
    _check(len(metadata.encode()), limits.metadata_bytes, "metadata size exceeds limits")


def check_attributes(attributes: Mapping[str, str], limits: Limits) -> None:
    size = sum(len(k.encode()) + len(v.encode()) for k, v in attributes.items())
    _check(size, limits.attributes_bytes, "attribute size exceeds limits")


def check_name(name: str, limits: Limits) -> None:
    _check(len(name.encode()), limits.name_bytes, "name length exceeds limits")
