"""Two programs in one room, each a process of its own with an SDK of its own: one is there until the other is done."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .peers import ended_well, sdk_python

_LEAVE_LIMIT_S = 15
_JOINED = {"joined": True}
"""What programs may print before the rest."""


def _start(program: Path, sdk: str, *arguments: str) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    if sdk == "official":
        environment.pop("PYTHONPATH", None)  # it may lead to ours
    return subprocess.Popen(
        [sdk_python(sdk), program, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_both(
    program: Path, there: tuple[str, ...], doing: tuple[str, ...], limit_s: float
) -> tuple[dict[str, Any], bool]:
    """What one prints at last, a JSON line, and whether the other ended well when its standard input was closed then. Of
    each: its SDK, and the program's arguments. The test fails when the one has not ended well within the limit."""
    other, one = _start(program, *there), _start(program, *doing)
    try:
        out, err = one.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        one.kill()
        out, err = one.communicate()
    _, others_err = other.communicate(input="", timeout=_LEAVE_LIMIT_S)
    said = [json.loads(line) for line in out.splitlines()]
    if not ended_well(doing[0], one.returncode) or said in ([], [_JOINED]):
        pytest.fail(
            f"{doing[:2]} ended with {one.returncode} and printed {out!r}:\n{err[-4000:]}\n"
            f"{there[:2]}:\n{others_err[-4000:]}"
        )
    result: dict[str, Any] = said[-1]
    return result, ended_well(there[0], other.returncode)
