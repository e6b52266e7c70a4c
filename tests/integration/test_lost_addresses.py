"""A machine that loses addresses in the middle of a session."""

from __future__ import annotations

import pytest
from lost_address_program import SCENES, run_alone


@pytest.mark.parametrize("scene", SCENES)
def test_it_goes_on_over_another_address(scene: str) -> None:
    run_alone(scene)
