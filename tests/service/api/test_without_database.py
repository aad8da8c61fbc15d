"""The service without its feedback database."""

from __future__ import annotations

import logging
import time

import pytest

from tests.servers import Server, free_port
from tests.service.api.client import (
    ApiClient,
    error_of,
)
from tests.service.in_process import becomes_champion, started


def test_everything_but_ratings_works_without_a_database(
    mlflow: Server,
    api: ApiClient,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    address = f"postgresql://moovier:s3cr%65t@127.0.0.1:{free_port()}/moovier"
    answers = []
    with started(api.settings, MOOVIER_DATABASE_URL=address) as client:
        assert becomes_champion(client, api.champion.name)
        given = {"user_id": 1, "ratings": [{"movie_id": 9, "stars": 4}]}
        for answer in (
            client.post("/ratings", json=given),
            client.post("/ratings", json=given, headers={"Idempotency-Key": "a"}),
            client.get("/ratings?user_id=1"),
            client.delete("/ratings?user_id=1"),
        ):
            error_of(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
            answers.append(answer)
        for method, path, body in (
            ("POST", "/recommend", {"user_id": 1}),
            ("POST", "/recommend", {"ratings": {"1": 5}}),
            ("POST", "/predict", [1, 2]),
            ("GET", "/popular", None),
            ("GET", "/movies?query=toy", None),
            ("GET", "/movies/1", None),
            ("GET", "/movies/1/similar", None),
            ("GET", "/models", None),
            ("GET", "/models/champion", None),
        ):
            answer = client.request(method, path, json=body)
            assert answer.status_code == 200, path
        # Invalid requests still get 422.
        error_of(client.post("/ratings", json={}), 422)
        # The other service in this process writes the same gauge for its own database.
        end = time.monotonic() + 90
        while "moovier_database_reachable 0.0" not in client.get("/metrics").text:
            assert time.monotonic() < end
            time.sleep(0.02)
    captured = capfd.readouterr()
    written = caplog.text + captured.out + captured.err + "".join(answer.text for answer in answers)
    for secret in ("s3cret", "s3cr%65t"):
        assert secret not in written
    with started(api.settings, MOOVIER_DATABASE_URL=address, MOOVIER_REQUIRE_KEYS="true") as client:
        answer = client.post("/ratings", json=given, headers={"X-API-Key": "moo_" + "x" * 43})
        assert "s3cr" not in error_of(answer, 503)
        assert client.post("/predict", json=[1]).status_code == 200
