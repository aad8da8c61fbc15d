"""Log lines as JSON objects, one per line, each with the id of its request."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

#: The id of the request that is being answered; empty between requests.
request_id: ContextVar[str] = ContextVar("request_id", default="")
#: Loggers whose lines are JSON; BentoML and uvicorn format their own.
_LOGGERS = ("moovier", "bentos")
_access = logging.getLogger("bentos.access_log")


class JsonLines(OrjsonFormatter):
    """Formats a record as a JSON object.

    Its keys are ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``request_id`` within
    a request, ``error`` (the stack trace), and the record's ``extra={"fields": {...}}``.
    """

    def __init__(self) -> None:
        super().__init__(json_default=str)

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Fill ``log_data``, the JSON object of ``record``; see the base class."""
        time = datetime.fromtimestamp(record.created, UTC)
        log_data["time"] = time.isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = record.message
        if request_id.get():
            log_data["request_id"] = request_id.get()
        log_data |= getattr(record, "fields", {})
        if "exc_info" in message_dict:
            log_data["error"] = message_dict["exc_info"]


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
