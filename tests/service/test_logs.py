"""The JSON lines of the log."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from bentos import logs


@pytest.fixture
def formatter() -> logs.JsonLines:
    return logs.JsonLines()


def record(message: str, **attributes: object) -> logging.LogRecord:
    record = logging.LogRecord(
        "moovier.serving.model_store", logging.WARNING, "file", 1, message, (), None
    )
    record.__dict__.update(attributes)
    return record


def test_line_is_one_json_object_with_the_request_id(formatter: logs.JsonLines) -> None:
    token = logs.request_id.set("abc")
    try:
        line = json.loads(formatter.format(record("two\nlines", fields={"status": 503})))
    finally:
        logs.request_id.reset(token)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "moovier.serving.model_store",
        "message": "two\nlines",
        "request_id": "abc",
        "status": 503,
    }
    assert "\n" not in formatter.format(record("two\nlines"))
    assert "request_id" not in json.loads(formatter.format(record("between requests")))


def test_error_has_its_stack_trace(formatter: logs.JsonLines) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        text = formatter.format(record("failed", exc_info=sys.exc_info()))
    assert "ZeroDivisionError" in json.loads(text)["error"]


def test_failed_requests_are_logged_and_others_only_on_demand(
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = "bentos.access_log"
    with caplog.at_level(logging.INFO, name):
        logs.log_request("POST", "/predict", 200, 0.001)
        logs.log_request("POST", "/predict", 500, 0.25)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].__dict__["fields"] == {
        "method": "POST",
        "route": "/predict",
        "status": 500,
        "ms": 250.0,
    }
    caplog.clear()
    with caplog.at_level(logging.DEBUG, name):
        logs.log_request("GET", "/models", 200, 0.001)
    assert [record.getMessage() for record in caplog.records] == ["GET /models 200"]
