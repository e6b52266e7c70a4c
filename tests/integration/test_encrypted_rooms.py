"""The cases of an encrypted room on the embedded server, in the same process and on the same loop."""

from __future__ import annotations

from encryption_cases import *  # noqa: F403 - the tests
