"""The room's cases on the embedded server, in the same process and on the same loop."""

from __future__ import annotations

from event_cases import *  # noqa: F403 - the tests
from room_cases import *  # noqa: F403 - the tests
