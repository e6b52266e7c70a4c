"""Names of files that come from somebody else."""

from __future__ import annotations

import re

_DRIVE = re.compile(r"^[A-Za-z]:")
_SEPARATOR = re.compile(r"[/\\]")


def escapes_directory(name: str) -> bool:
    """True for a name that, joined to a directory, could end outside of it, or that no file can have."""
    if "\0" in name or _DRIVE.match(name):
        return True
    parts = _SEPARATOR.split(name)
    return (len(parts) > 1 and parts[0] == "") or ".." in parts
