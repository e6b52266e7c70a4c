"""Log lines of a server on its own: for people, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import IO

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
"""By the names that livekit-server's configuration uses."""


class JsonFormatter(logging.Formatter):
    """One object a line: level, ts (RFC 3339, UTC), logger, msg, the record's `fields`, and error with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "level": record.levelname.lower(),
            "ts": f"{moment}.{int(record.msecs):03d}Z",
            "logger": record.name,
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class LineFormatter(logging.Formatter):
    """One line a record, whatever the names in it hold; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return "\\n".join(super().formatMessage(record).splitlines())


def configure(level: str, *, as_json: bool, stream: IO[str] | None = None) -> logging.Handler:
    """Send the log of the server (logger `greenroom`) to `stream` (standard error). KeyError for an unknown level."""
    handler = logging.StreamHandler(stream or sys.stderr)
    if as_json:
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(LineFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("greenroom")
    logger.setLevel(LEVELS[level])
    logger.addHandler(handler)
    return handler
