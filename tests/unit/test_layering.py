"""Imports point the way the architecture says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PYTHON = _ROOT / "python"

_FORBIDDEN = {
    "greenroom/signalling": [
        "greenroom.client",
        "greenroom.server",
        "greenroom.cli",
        "greenroom.testing",
        "livekit.rtc",
    ],
    "greenroom/server": ["greenroom.client", "greenroom.cli", "greenroom.testing", "livekit.rtc"],
    "greenroom/client": ["greenroom.server", "greenroom.cli", "greenroom.testing"],
    "greenroom/testing": ["greenroom.client", "greenroom.cli", "livekit.rtc"],
    "livekit/rtc": ["greenroom.server", "greenroom.cli", "greenroom.testing"],
}
"""Folder to the packages it may not import."""

_CRATES = {
    "media": set(),
    "e2ee": set(),
    "transport": set(),
    "net": set(),
    "datatrack": set(),
    "sfu": {"transport", "datatrack"},
    "turn": set(),
    "peer": {"media", "e2ee", "turn"},
    "sim": {"net"},
    "py": {"media", "e2ee", "transport", "turn", "sfu", "peer", "net", "datatrack", "sim"},
}
"""Crate to the crates of ours that it may use."""


def _imports(path: Path) -> set[str]:
    package = ".".join(path.relative_to(_PYTHON).with_suffix("").parts)
    parents = package.split(".")
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parents[: len(parents) - node.level]) + "." if node.level else ""
            names.add(f"{base}{node.module or ''}".strip("."))
            names.update(f"{base}{node.module or ''}.{alias.name}".strip(".") for alias in node.names)
    return names


@pytest.mark.parametrize("folder", sorted(_FORBIDDEN))
def test_python_packages_import_only_downwards(folder: str) -> None:
    for path in (_PYTHON / folder).rglob("*.py"):
        for name in _imports(path):
            for forbidden in _FORBIDDEN[folder]:
                assert not f"{name}.".startswith(f"{forbidden}."), f"{path} imports {name}"


@pytest.mark.parametrize("crate", sorted(_CRATES))
def test_crates_depend_only_downwards(crate: str) -> None:
    manifest = (_ROOT / "crates" / crate / "Cargo.toml").read_text()
    dependencies = manifest.split("[dependencies]")[1].split("\n[")[0]
    assert set(re.findall(r"^greenroom-(\w+)", dependencies, re.MULTILINE)) <= _CRATES[crate]


@pytest.mark.parametrize(
    "crate", ["media", "e2ee", "sctp", "transport", "turn", "sfu", "peer", "sim", "datatrack"]
)
def test_sans_io_crates_have_no_sockets_threads_or_clock(crate: str) -> None:
    for path in (_ROOT / "crates" / crate / "src").rglob("*.rs"):
        if path.name == "tests.rs" or path.stem.endswith("_tests"):
            continue
        code = path.read_text().split("#[cfg(test)]")[0]
        for forbidden in ("Instant::now()", "SystemTime::now()", "thread::spawn", "UdpSocket", "TcpStream"):
            assert forbidden not in code, f"{path} uses {forbidden}"
