"""Messages and notes reach a webhook and Airflow's API; a missing receiver fails no task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port

DAGS = Path(__file__).parents[2] / "dags"


class _Receiver(BaseHTTPRequestHandler):
    """Records the requests in ``server.received``."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.command, self.path, json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_PATCH = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def receiver() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as server:
        server.received = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def call(port: int, home: Path) -> str:
    """Run a failed task's callback and write a note; return the log."""
    address = f"http://127.0.0.1:{port}"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("call_notify.py")), str(DAGS)],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "MOOVIER_NOTIFY_CONNECTION": "team",
            "AIRFLOW_CONN_TEAM": json.dumps({"conn_type": "http", "host": f"{address}/hook"}),
            "AIRFLOW_CONN_MOOVIER_AIRFLOW": f"http://admin:secret@127.0.0.1:{port}",
            "NO_PROXY": "127.0.0.1",
        },
        cwd=home,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "secret" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_failure_is_posted_and_note_is_written(
    receiver: ThreadingHTTPServer, tmp_path: Path
) -> None:
    log = call(receiver.server_port, tmp_path)
    assert len(receiver.received) == 2, log  # type: ignore[attr-defined]
    message, note = receiver.received  # type: ignore[attr-defined]
    assert message[:2] == ("POST", "/hook")
    assert "`gate` of moovier_retrain failed" in message[2]["text"]
    assert "no data" in message[2]["text"]
    path = "/api/v2/dags/moovier_retrain/dagRuns/scheduled__2026%2B00%3A00"
    assert note == ("PATCH", path, {"note": "promoted"})


def test_absent_receiver_is_logged_and_fails_nothing(tmp_path: Path) -> None:
    log = call(free_port(), tmp_path)
    assert "cannot send the notification" in log
    assert "cannot write the note" in log
