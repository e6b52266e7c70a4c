"""A machine that loses addresses in the middle of a session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = Path(__file__).parent / "lost_address_program.py"
_ALONE = ("unshare", "--map-root-user", "--net")
"""In a network namespace of its own: what is done to addresses there is done to nothing else."""


@pytest.mark.parametrize("scene", ["media", "data", "signalling"])
def test_it_goes_on_over_another_address(scene: str) -> None:
    if subprocess.run(
        [*_ALONE, "ip", "link", "set", "lo", "up"], check=False, capture_output=True
    ).returncode:
        pytest.skip("network namespaces can't be made here")
    environment = os.environ | {"PYTHONPATH": str(_PROGRAM.parents[1])}
    done = subprocess.run(
        [*_ALONE, sys.executable, _PROGRAM, scene],
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
