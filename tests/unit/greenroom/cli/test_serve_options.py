"""Options of `greenroom serve` before the configuration is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.cli.serve_options import configuration_body, dotted_flags


def test_flags_by_path() -> None:
    given = ["--room.empty_timeout", "60", "--rtc.tcp_port=7881", "--room.auto_create", "--region", "north"]
    assert dotted_flags(given) == {
        "room.empty_timeout": "60",
        "rtc.tcp_port": "7881",
        "room.auto_create": "true",
        "region": "north",
    }
    with pytest.raises(ValueError, match="unexpected argument 'extra'"):
        dotted_flags(["extra"])


def test_the_body(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("port: 1")
    assert configuration_body(file, "port: 2") == "port: 1"
    assert configuration_body(None, "port: 2") == "port: 2"
    assert configuration_body(None, None) == ""
    with pytest.raises(ValueError, match=r"missing.yaml can't be read: No such file"):
        configuration_body(tmp_path / "missing.yaml", None)
