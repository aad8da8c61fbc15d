"""Airflow's REST API on a busy machine."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from moovier.errors import StackError
from moovier.stack.airflow_api import AirflowApi
from tests.unit.stack.fake_airflow import PASSWORD, FakeAirflow, serving


@dataclass
class BusyAirflow(FakeAirflow):
    """Airflow that does not answer the first ``silent`` requests of each method."""

    silent: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    end: threading.Event = field(default_factory=threading.Event)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.requests[method] = self.requests.get(method, 0) + 1
        if self.requests[method] <= self.silent:
            self.end.wait(30)
        return super().answer(method, path, body)


def busy(silent: int) -> BusyAirflow:
    return BusyAirflow(script={"moovier_ingest": [("running", [])]}, silent=silent)


def test_reading_is_repeated_while_airflow_is_busy() -> None:
    airflow = busy(silent=2)
    with serving(airflow), api(airflow) as client:
        assert client.knows("moovier_ingest")
        airflow.end.set()
    assert airflow.requests["GET"] == 3


def test_starting_a_run_is_not_repeated() -> None:
    airflow = busy(silent=1)
    with serving(airflow), api(airflow) as client:
        with pytest.raises(StackError, match=r"does not answer POST .*timed out"):
            client.trigger("moovier_ingest", "a note")
        airflow.end.set()
    assert airflow.requests["POST"] == 1


def test_airflow_that_stays_silent_is_an_error() -> None:
    airflow = busy(silent=99)
    with serving(airflow), api(airflow) as client:
        with pytest.raises(StackError, match=r"does not answer GET .*timed out"):
            client.knows("moovier_ingest")
        airflow.end.set()
    assert airflow.requests["GET"] == 4


def api(airflow: FakeAirflow) -> AirflowApi:
    return AirflowApi(airflow.url, "admin", PASSWORD, timeout_s=2.0)
