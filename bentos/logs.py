"""Log lines as JSON objects, one a line, each with the request that it is about."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

#: Of the request that is being answered; empty between requests.
request_id: ContextVar[str] = ContextVar("request_id", default="")
#: Names of the loggers whose lines are ours to shape; BentoML and uvicorn have their own.
_OURS = ("moovier", "bentos")
_access = logging.getLogger("bentos.access_log")


class JsonLines(logging.Formatter):
    """``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``request_id`` within a
    request, ``error`` (the stack trace) and what the line gives as ``extra={"fields": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
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
    """Let our own loggers write JSON to standard error, from INFO on, and with ``every_request`` a
    line for each that is answered; else for those that failed."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
    if every_request:
        _access.setLevel(logging.DEBUG)


def answered(method: str, route: str, status: int, seconds: float) -> None:
    """One line a request: the route's template, never the path or the query, which may hold what
    nobody else should read."""
    # Building a line costs as much as finding the answer: only for who wants it, or has to know.
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
