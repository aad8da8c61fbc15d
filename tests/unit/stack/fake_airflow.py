"""A small HTTP server that imitates Airflow's REST API with scripted states."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

PASSWORD = "correct"
OLD_FAILED_RUN = "manual__old"


def task(name: str, state: str | None, *, attempt: int = 1, label: str = "") -> dict[str, Any]:
    """Return a task instance in the API's form."""
    return {
        "task_id": name,
        "map_index": 0 if label else -1,
        "rendered_map_index": label or None,
        "state": state,
        "try_number": attempt,
        "duration": 1.0,
        "start_date": "2026-01-01T00:00:00Z",
    }


@dataclass
class FakeAirflow:
    """Airflow with scripted runs.

    ``script`` holds for each DAG the state of its run and its tasks at each poll.
    """

    url: str = ""
    script: dict[str, list[tuple[str, list[dict[str, Any]]]]] = field(default_factory=dict)
    runs: dict[str, list[str]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    pools: dict[str, int] = field(default_factory=dict)
    import_errors: list[dict[str, str]] = field(default_factory=list)
    #: The end of the first DAG's run starts a run of the second, as the scheduler does.
    asset: tuple[str, str] | None = ("moovier_ingest", "moovier_retrain")
    polls: dict[str, int] = field(default_factory=dict)
    triggered: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        match [part for part in unquote(urlsplit(path).path).split("/") if part]:
            case ["api", "v2", "monitor", "health"]:
                healthy = {"status": "healthy"}
                names = ("metadatabase", "scheduler", "dag_processor")
                return 200, dict.fromkeys(names, healthy)
            case ["api", "v2", "importErrors"]:
                return 200, {"import_errors": self.import_errors}
            case ["api", "v2", "pools", name] if method == "GET":
                return (200, {"name": name}) if name in self.pools else (404, {"detail": "none"})
            case ["api", "v2", "pools"]:
                self.pools[body["name"]] = body["slots"]
                return 201, body
            case ["api", "v2", "dags", dag, *rest] if dag in self.script:
                return self.of_dag(method, dag, rest, body)
        return 404, {"detail": "not found"}

    def of_dag(self, method: str, dag: str, rest: list[str], body: Any) -> tuple[int, Any]:
        runs = self.runs.setdefault(dag, [])
        match rest:
            case []:
                if method == "PATCH" and body["is_paused"] is False:
                    self.paused.discard(dag)
                return 200, {"dag_id": dag, "is_paused": dag in self.paused}
            case ["dagRuns"] if method == "POST":
                if "logical_date" not in body:
                    return 422, {"detail": "logical_date is required"}
                self.triggered.append(dag)
                runs.append(f"manual__{len(runs)}")
                return 200, self.run(dag)
            case ["dagRuns"]:
                return 200, {"dag_runs": [self.run(dag)] if runs else []}
            case ["dagRuns", _]:
                run = self.run(dag)
                if self.asset and dag == self.asset[0] and run["state"] == "success":
                    self.runs.setdefault(self.asset[1], []).append("asset_triggered__0")
                return 200, run
            case ["dagRuns", _, "taskInstances"]:
                poll = self.polls.get(dag, 0)
                self.polls[dag] = min(poll + 1, len(self.script[dag]) - 1)
                return 200, {"task_instances": self.script[dag][poll][1]}
        return 404, {"detail": "not found"}

    def run(self, dag: str) -> dict[str, Any]:
        run_id = self.runs[dag][-1]
        state = self.script[dag][self.polls.get(dag, 0)][0]
        if run_id == OLD_FAILED_RUN:
            state = "failed"
        return {
            "dag_id": dag,
            "dag_run_id": run_id,
            "state": state,
            "run_after": "2026-01-01T00:00:00Z",
        }


@contextmanager
def serving(airflow: FakeAirflow) -> Iterator[FakeAirflow]:
    """Serve ``airflow`` on a free port, and set its ``url``."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "null")
            if self.path == "/auth/token":
                right = body["password"] == PASSWORD
                status, answer = (201, {"access_token": "t"}) if right else (401, {"detail": "no"})
            elif "health" not in self.path and self.headers.get("Authorization") != "Bearer t":
                status, answer = 401, {"detail": "log in first"}
            else:
                status, answer = airflow.answer(self.command, self.path, body)
            content = json.dumps(answer).encode()
            # A client that timed out has gone.
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    airflow.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield airflow
    finally:
        server.shutdown()
        server.server_close()
