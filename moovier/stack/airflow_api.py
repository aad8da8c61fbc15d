"""The few calls of Airflow's REST API (v2) that starting and following a pipeline takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from moovier.errors import StackError

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Run:
    """One run of a DAG; ``state``: queued, running, success or failed."""

    dag: str
    id: str
    state: str
    run_after: datetime

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class Task:
    """One task instance. ``label`` tells mapped ones apart; ``duration_s`` is None until it ran.

    ``state``: None (not yet looked at), scheduled, queued, running, success, failed,
    up_for_retry, skipped, upstream_failed, removed, ...
    """

    id: str
    map_index: int
    label: str
    state: str | None
    attempt: int
    duration_s: float | None


class AirflowApi:
    """Airflow at ``url``, as ``user``. A context manager; every method raises StackError when
    Airflow does not answer or refuses."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._login = {"username": user, "password": password}
        # trust_env: an HTTP proxy of the surroundings has no business with this machine's ports.
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def unhealthy(self) -> list[str]:
        """Which of the metadata database, scheduler and DAG processor are not well; no login."""
        try:
            answer = self._http.get("/api/v2/monitor/health")
            answer.raise_for_status()
            health = answer.json()
        except (httpx.HTTPError, ValueError):
            return ["api-server"]
        needed = ("metadatabase", "scheduler", "dag_processor")
        return [name for name in needed if health.get(name, {}).get("status") != "healthy"]

    def knows(self, dag: str) -> bool:
        """Whether the DAG processor has taken in ``dag``."""
        return self._request("GET", f"/api/v2/dags/{dag}", missing=True) is not None

    def import_errors(self) -> list[str]:
        """One text a DAG file that could not be imported: its name and the error."""
        found = self._request("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip()}" for error in found]

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Make the pool ``name`` unless there is one; a size that somebody set is kept."""
        if self._request("GET", f"/api/v2/pools/{name}", missing=True) is None:
            body = {"name": name, "slots": slots, "description": description}
            self._request("POST", "/api/v2/pools", json=body)

    def unpause(self, dag: str) -> bool:
        """Let ``dag`` run; True when it was paused."""
        if not self._request("GET", f"/api/v2/dags/{dag}")["is_paused"]:
            return False
        self._request("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": False})
        return True

    def trigger(self, dag: str, note: str) -> Run:
        """Ask for a run of ``dag`` now, with its parameters as they stand by default."""
        body: dict[str, Any] = {"logical_date": None, "conf": {}, "note": note}
        return _run(self._request("POST", f"/api/v2/dags/{dag}/dagRuns", json=body))

    def latest_run(self, dag: str) -> Run | None:
        """The run of ``dag`` that was asked for last, if there is any."""
        answer = self._request(
            "GET", f"/api/v2/dags/{dag}/dagRuns", params={"order_by": "-run_after", "limit": 1}
        )
        return _run(answer["dag_runs"][0]) if answer["dag_runs"] else None

    def run(self, run: Run) -> Run:
        """The same run as it is now."""
        return _run(self._request("GET", f"/api/v2/dags/{run.dag}/dagRuns/{run.id}"))

    def tasks(self, run: Run) -> list[Task]:
        """The task instances of ``run``, in the order in which they started."""
        answer = self._request(
            "GET",
            f"/api/v2/dags/{run.dag}/dagRuns/{run.id}/taskInstances",
            params={"limit": 100},
        )
        found = sorted(answer["task_instances"], key=lambda task: task["start_date"] or "9")
        return [_task(task) for task in found]

    def _request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        missing: bool = False,
    ) -> Any:
        """The answer's JSON; with ``missing``, None for a 404."""
        try:
            answer = self._http.request(method, path, json=json, params=params)
            if answer.status_code == 401:
                self._log_in()
                answer = self._http.request(method, path, json=json, params=params)
            if missing and answer.status_code == 404:
                return None
            answer.raise_for_status()
            return answer.json()
        except httpx.HTTPStatusError as error:
            said = error.response.text[:300]
            raise StackError(
                f"Airflow refused {method} {path}: {error.response.status_code} {said}"
            ) from error
        except (httpx.HTTPError, ValueError) as error:
            raise StackError(f"Airflow does not answer {method} {path}: {error}") from error

    def _log_in(self) -> None:
        answer = self._http.post("/auth/token", json=self._login)
        answer.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def _run(answer: Mapping[str, Any]) -> Run:
    return Run(
        answer["dag_id"],
        answer["dag_run_id"],
        answer["state"],
        datetime.fromisoformat(answer["run_after"]),
    )


def _task(answer: Mapping[str, Any]) -> Task:
    label = answer.get("rendered_map_index") or (
        str(answer["map_index"]) if answer["map_index"] >= 0 else ""
    )
    return Task(
        answer["task_id"],
        answer["map_index"],
        label,
        answer["state"],
        answer["try_number"],
        answer["duration"],
    )
