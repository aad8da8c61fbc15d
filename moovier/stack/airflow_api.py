"""A client of Airflow's REST API (v2), with the calls that start and follow a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from moovier.errors import StackError

_TIMEOUT_S = 30.0
#: Characters; Airflow refuses a longer note.
_LONGEST_NOTE = 1000
#: Tries of a request that only reads. While a training uses all cores, an answer may take longer.
_TRIES = 4


@dataclass(frozen=True)
class Run:
    """A run of a DAG.

    ``state`` is queued, running, success or failed.
    """

    dag: str
    id: str
    state: str
    run_after: datetime

    @property
    def active(self) -> bool:
        """Whether the run has not ended."""
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class Task:
    """A task instance.

    Attributes:
        id: Id of the task.
        map_index: Index of a mapped task, else -1.
        label: Name of a mapped task among its siblings, else empty.
        state: None (not scheduled yet), scheduled, queued, running, success, failed,
            up_for_retry, skipped, upstream_failed, removed, ...
        attempt: Number of the attempt, from 1.
        duration_s: Seconds that the task ran; None before it ran.
    """

    id: str
    map_index: int
    label: str
    state: str | None
    attempt: int
    duration_s: float | None


class AirflowApi:
    """A client of Airflow at ``url``, and a context manager.

    Every method except :meth:`unhealthy` raises StackError if Airflow does not answer or refuses
    the request.
    """

    def __init__(
        self, url: str, user: str, password: str, *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Make the client; it logs in at the first request that needs a login."""
        self._login = {"username": user, "password": password}
        self._url = url.rstrip("/")
        self._http = requests.Session()
        # Ignore HTTP proxies of the environment: they cannot reach this machine's ports.
        self._http.trust_env = False
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    @property
    def required_actions(self) -> str:
        """Address of the page with the tasks that wait for a person."""
        return f"{self._url}/required_actions"

    @property
    def user(self) -> str:
        """Name of the user that this client logs in as."""
        return self._login["username"]

    @property
    def password(self) -> str:
        """The user's password."""
        return self._login["password"]

    def unhealthy(self) -> list[str]:
        """Return the unhealthy ones of metadata database, scheduler and DAG processor.

        Needs no login. Returns ``["api-server"]`` if Airflow does not answer.
        """
        try:
            response = self._send("GET", "/api/v2/monitor/health")
            response.raise_for_status()
            health = response.json()
        except (requests.RequestException, ValueError):
            return ["api-server"]
        components = ("metadatabase", "scheduler", "dag_processor")
        return [name for name in components if health.get(name, {}).get("status") != "healthy"]

    def knows(self, dag: str) -> bool:
        """Return whether the DAG processor has imported ``dag``."""
        return self._request("GET", f"/api/v2/dags/{dag}", missing=True) is not None

    def import_errors(self) -> list[str]:
        """Return the name and the error of each DAG file that could not be imported."""
        errors = self._request("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip()}" for error in errors]

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Create the pool ``name`` unless it exists; an existing pool keeps its size."""
        if self._request("GET", f"/api/v2/pools/{name}", missing=True) is None:
            body = {"name": name, "slots": slots, "description": description}
            self._request("POST", "/api/v2/pools", json=body)

    def unpause(self, dag: str) -> bool:
        """Resume ``dag``; return whether it was paused."""
        if not self._request("GET", f"/api/v2/dags/{dag}")["is_paused"]:
            return False
        self._request("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": False})
        return True

    def trigger(self, dag: str, note: str) -> Run:
        """Start a run of ``dag`` with its default parameters."""
        body: dict[str, Any] = {"logical_date": None, "conf": {}, "note": note}
        return _run(self._request("POST", f"/api/v2/dags/{dag}/dagRuns", json=body))

    def set_note(self, dag: str, run_id: str, note: str) -> None:
        """Set the note of a run, in Markdown; at most 1,000 characters are stored."""
        # Ids of scheduled runs hold a time zone's plus sign.
        path = f"/api/v2/dags/{quote(dag, safe='')}/dagRuns/{quote(run_id, safe='')}"
        self._request("PATCH", path, json={"note": note[:_LONGEST_NOTE]})

    def latest_run(self, dag: str) -> Run | None:
        """Return the latest run of ``dag``; None without any run."""
        response = self._request(
            "GET", f"/api/v2/dags/{dag}/dagRuns", params={"order_by": "-run_after", "limit": 1}
        )
        return _run(response["dag_runs"][0]) if response["dag_runs"] else None

    def run(self, run: Run) -> Run:
        """Return the current state of ``run``."""
        return _run(self._request("GET", f"/api/v2/dags/{run.dag}/dagRuns/{run.id}"))

    def tasks(self, run: Run) -> list[Task]:
        """Return the task instances of ``run`` in the order of their starts."""
        response = self._request(
            "GET",
            f"/api/v2/dags/{run.dag}/dagRuns/{run.id}/taskInstances",
            params={"limit": 100},
        )
        # A task without a start date sorts last.
        tasks = sorted(response["task_instances"], key=lambda task: task["start_date"] or "9")
        return [_task(task) for task in tasks]

    def _request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        missing: bool = False,
    ) -> Any:
        """Return the response's JSON; with ``missing``, None for a 404."""
        # Airflow may have done what a request asked that was not answered in time.
        tries = _TRIES if method == "GET" else 1
        send = Retrying(
            retry=retry_if_exception_type(requests.Timeout),
            stop=stop_after_attempt(tries),
            reraise=True,
        ).wraps(partial(self._send, method, path, json=json, params=params))
        try:
            response = send()
            if response.status_code == 401:
                self._log_in()
                response = send()
            if missing and response.status_code == 404:
                return None
            response.raise_for_status()
            return response.json()
        except requests.HTTPError as error:
            text = error.response.text[:300]
            raise StackError(
                f"Airflow refused {method} {path}: {error.response.status_code} {text}; see the "
                "log of airflow-api-server"
            ) from error
        except (requests.RequestException, ValueError) as error:
            raise StackError(
                f"Airflow does not answer {method} {path}: {error}; see the log of "
                "airflow-api-server"
            ) from error

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        # Airflow's API does not redirect; a redirect would be another server.
        return self._http.request(
            method, self._url + path, timeout=self._timeout_s, allow_redirects=False, **arguments
        )

    def _log_in(self) -> None:
        response = self._send("POST", "/auth/token", json=self._login)
        response.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"


def _run(fields: Mapping[str, Any]) -> Run:
    return Run(
        dag=fields["dag_id"],
        id=fields["dag_run_id"],
        state=fields["state"],
        run_after=datetime.fromisoformat(fields["run_after"]),
    )


def _task(fields: Mapping[str, Any]) -> Task:
    index = str(fields["map_index"]) if fields["map_index"] >= 0 else ""
    return Task(
        id=fields["task_id"],
        map_index=fields["map_index"],
        label=fields.get("rendered_map_index") or index,
        state=fields["state"],
        attempt=fields["try_number"],
        duration_s=fields["duration"],
    )
