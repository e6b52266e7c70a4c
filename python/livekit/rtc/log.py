"""The logger of everything a room does."""

import logging

logger = logging.getLogger("livekit")
