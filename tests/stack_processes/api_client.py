"""Clients of a running stack: Airflow, the MLflow registry and the service."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from tests.stack_processes.driver import Stack

INGEST, RETRAIN = "moovier_ingest", "moovier_retrain"


def http(**options: Any) -> httpx.Client:
    """Return a client that ignores the proxy settings of the environment."""
    return httpx.Client(trust_env=False, timeout=30.0, **options)


class AirflowClient:
    """Airflow's API as its admin uses it. Requests that fail for a while are repeated."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._http = http(base_url=stack.url("airflow-api-server", 8080))

    def pause(self, dag: str, *, paused: bool = True) -> None:
        """Pause a DAG, or resume it."""
        self._request("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": paused})

    def trigger(self, dag: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run of a DAG and return its id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self._request("POST", f"/api/v2/dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, newest first."""
        runs: list[dict[str, Any]] = self._request(
            "GET", f"/api/v2/dags/{dag}/dagRuns", params={"order_by": "-run_after"}
        )["dag_runs"]
        return runs

    def state(self, dag: str, run: str) -> str:
        """Return the state of a run."""
        return str(self._request("GET", f"/api/v2/dags/{dag}/dagRuns/{run}")["state"])

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        tasks: list[dict[str, Any]] = self._request(
            "GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances"
        )["task_instances"]
        return tasks

    def result(self, dag: str, run: str, task: str, key: str = "return_value") -> Any:
        """Return an XCom of a task."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/{key}"
        return self._request("GET", path, params={"deserialize": False})["value"]

    def log(self, dag: str, run: str, task: str, attempt: int, map_index: int = -1) -> str:
        """Return the log of one attempt of a task; ``map_index``: -1 for one that is not mapped."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}"
        return str(self._request("GET", path, params={"map_index": map_index})["content"])

    def follow(
        self, dag: str, run: str, *, timeout_s: float, meanwhile: Callable[[], None] | None = None
    ) -> str:
        """Wait until a run ends and return its state."""
        deadline = time.monotonic() + timeout_s
        while (state := self.state(dag, run)) not in ("success", "failed"):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{dag} is {state} after {timeout_s:.0f} s\n{self.describe(dag, run)}"
                )
            if meanwhile is not None:
                meanwhile()
            time.sleep(1.0)
        return state

    def describe(self, dag: str, run: str) -> str:
        """Return the states and attempts of a run's tasks, a line a task."""
        return "\n".join(
            f"{task['task_id']} {task['map_index']}: {task['state']}, attempt {task['try_number']}"
            for task in self.tasks(dag, run)
        )

    def _request(self, method: str, path: str, **arguments: Any) -> Any:
        deadline = time.monotonic() + 180.0
        while True:
            try:
                answer = self._http.request(method, path, **arguments)
                if answer.status_code == 401:
                    self._log_in()
                    continue
                if answer.status_code < 500 and answer.status_code != 404:
                    answer.raise_for_status()
                    return answer.json()
            except httpx.TransportError as error:
                problem = str(error)
            else:
                problem = f"{answer.status_code} {answer.text[:500]}"
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path}: {problem}")
            time.sleep(1.0)

    def _log_in(self) -> None:
        password = self._stack.variables["AIRFLOW_ADMIN_PASSWORD"]
        answer = self._http.post("/auth/token", json={"username": "admin", "password": password})
        if answer.status_code < 500:
            answer.raise_for_status()
            self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


class RegistryClient:
    """MLflow's API, by default with the admin's password."""

    def __init__(self, stack: Stack, login: tuple[str, str] | None = None) -> None:
        login = login or ("admin", stack.variables["MLFLOW_ADMIN_PASSWORD"])
        self._http = http(base_url=stack.url("mlflow", 5000), auth=login)

    def champion(self) -> dict[str, Any]:
        """Return the version that has the alias ``champion``."""
        answer = self._http.get(
            "/api/2.0/mlflow/registered-models/alias",
            params={"name": "moovier", "alias": "champion"},
        )
        answer.raise_for_status()
        version: dict[str, Any] = answer.json()["model_version"]
        return version

    def versions(self) -> list[dict[str, Any]]:
        """Return all versions, oldest first."""
        answer = self._http.get(
            "/api/2.0/mlflow/model-versions/search",
            params={"filter": "name='moovier'", "max_results": 1000},
        )
        answer.raise_for_status()
        versions: list[dict[str, Any]] = answer.json().get("model_versions", [])
        return sorted(versions, key=lambda version: int(version["version"]))

    def runs(self, retraining: str) -> list[dict[str, Any]]:
        """Return the runs of one retraining."""
        experiment = self._http.get(
            "/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "moovier"}
        )
        experiment.raise_for_status()
        answer = self._http.post(
            "/api/2.0/mlflow/runs/search",
            json={
                "experiment_ids": [experiment.json()["experiment"]["experiment_id"]],
                "filter": f"tags.retraining = '{retraining}'",
                "max_results": 1000,
            },
        )
        answer.raise_for_status()
        runs: list[dict[str, Any]] = answer.json().get("runs", [])
        return runs

    def files(self, source: str, folder: str = "") -> list[str]:
        """Return the paths of the artifacts of a version, as the server lists them."""
        path = source.removeprefix("mlflow-artifacts:/").strip("/")
        answer = self._http.get(
            "/api/2.0/mlflow-artifacts/artifacts", params={"path": f"{path}/{folder}".strip("/")}
        )
        answer.raise_for_status()
        return [file["path"] for file in answer.json().get("files", [])]


class ServiceClient:
    """The service's API."""

    def __init__(self, stack: Stack) -> None:
        self.http = http(base_url=stack.url("service", 8000))

    def predict(self, *users: int, top_k: int = 5) -> httpx.Response:
        """Request the movies of users, by default of user 1."""
        return self.http.post("/predict", params={"top_k": top_k}, json=list(users or (1,)))

    def await_version(self, number: str, *, timeout_s: float = 60.0) -> httpx.Response:
        """Repeat a request until the version ``number`` answers, and return that answer."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self.predict()
            if answer.headers.get("X-Moovier-Model-Version") == number:
                return answer
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"version {number} does not answer: {answer.status_code} {answer.headers}"
                )
            time.sleep(0.5)
