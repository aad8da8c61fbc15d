"""Log lines as programs read them."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from bentos import logs


@pytest.fixture
def line_of() -> logs.JsonLines:
    return logs.JsonLines()


def record(message: str, **more: object) -> logging.LogRecord:
    found = logging.LogRecord("moovier.shelf", logging.WARNING, "file", 1, message, (), None)
    found.__dict__.update(more)
    return found


def test_a_line_is_one_json_object_with_its_request(line_of: logs.JsonLines) -> None:
    token = logs.request_id.set("abc")
    try:
        line = json.loads(line_of.format(record("two\nlines", fields={"status": 503})))
    finally:
        logs.request_id.reset(token)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "moovier.shelf",
        "message": "two\nlines",
        "request_id": "abc",
        "status": 503,
    }
    assert "\n" not in line_of.format(record("two\nlines"))
    assert "request_id" not in json.loads(line_of.format(record("between requests")))


def test_an_error_comes_with_its_stack(line_of: logs.JsonLines) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        text = line_of.format(record("failed", exc_info=sys.exc_info()))
    assert "ZeroDivisionError" in json.loads(text)["error"]


def test_failed_requests_are_logged_others_when_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = "bentos.access_log"
    with caplog.at_level(logging.INFO, name):
        logs.answered("POST", "/predict", 200, 0.001)
        logs.answered("POST", "/predict", 500, 0.25)
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert caplog.records[0].__dict__["fields"] == {
        "method": "POST",
        "route": "/predict",
        "status": 500,
        "ms": 250.0,
    }
    caplog.clear()
    with caplog.at_level(logging.DEBUG, name):
        logs.answered("GET", "/models", 200, 0.001)
    assert [one.getMessage() for one in caplog.records] == ["GET /models 200"]
