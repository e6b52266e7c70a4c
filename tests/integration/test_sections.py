"""Media sections used again on the embedded server."""

from __future__ import annotations

from section_cases import *  # noqa: F403 - the tests
