"""Log lines as JSON objects, one per line, each with the id of its request."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

#: The id of the request that is being answered; empty between requests.
request_id: ContextVar[str] = ContextVar("request_id", default="")
#: Loggers whose lines are JSON; BentoML and uvicorn format their own.
_LOGGERS = ("moovier", "bentos")
_access = logging.getLogger("bentos.access_log")


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object.

    Its keys are ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``request_id`` within
    a request, ``error`` (the stack trace), and the record's ``extra={"fields": {...}}``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure(*, every_request: bool) -> None:
    """Write Moovier's own log as JSON to standard error, from INFO on.

    With ``every_request`` each request is logged, else only those that failed.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
    if every_request:
        _access.setLevel(logging.DEBUG)


def log_request(method: str, route: str, status: int, seconds: float) -> None:
    """Log one request by its route's template.

    The path and the query are never logged: they may hold private data.
    """
    # A line costs as much as a cached answer, so it is only built if it is written.
    if status < 500 and not _access.isEnabledFor(logging.DEBUG):
        return
    _access.log(
        logging.WARNING if status >= 500 else logging.DEBUG,
        "%s %s %d",
        method,
        route,
        status,
        extra={
            "fields": {
                "method": method,
                "route": route,
                "status": status,
                "ms": round(1000 * seconds, 3),
            }
        },
    )
