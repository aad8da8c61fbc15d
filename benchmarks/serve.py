"""``make bench-serve``: ``/predict`` beside a bare FastAPI endpoint that returns the same bytes.

Everything is the real thing and started as its user starts it: MLflow with three registered models,
``bentoml serve`` with one worker, uvicorn with one worker. The answer is three movies for each of
two users, with the catalogue's details. Both are asked in turns, so that whatever else the machine
does meets both; the figures are medians over the rounds. The load comes from this process, over
kept-alive connections.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import load, report
from benchmarks.bare import ANSWER_FILE
from moovier.data import store
from moovier.jobs.registration import connect
from moovier.settings import Settings, load_settings
from moovier.stack.parts import program, service_command
from tests.projects import ROOT
from tests.registered import register_trained
from tests.servers import end_group, free_port, mlflow_server

HOST = "127.0.0.1"
USERS, TOP_K = [1, 263], 3
#: The champion, and two more that are loaded while its memory is measured.
CHAMPION, OTHERS = ("ease", 3), (("emb", 25), ("emb", 10))
READY_S, MEMORY_MB = 5.0, 400.0
_START_S = 120.0
_MIB = 2**20


def main() -> None:
    """Measure, print the table, write ``benchmarks/out/serve.json``; exit 1 below a bar."""
    arguments = argparse.ArgumentParser(description="/predict beside a bare endpoint.")
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    arguments.add_argument("--connections", type=int, default=16)
    arguments.add_argument("--seconds", type=float, default=5.0, help="of each round")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    console = Console()
    given = {} if options.data is None else {"data": options.data}
    reference = store.fetch(load_settings(**given))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with mlflow_server(folder) as mlflow:
            settings = Settings(home=folder / "home", mlflow_tracking_uri=mlflow.address)
            console.print(f"registering three models of {reference.name}")
            versions = [
                register_trained(settings, folder, reference.folder, *one)
                for one in (CHAMPION, *OTHERS)
            ]
            connect(settings).promote(versions[0], "for a benchmark")
            names = [version.name for version in versions]
            result = _measured(console, settings, names, folder, options)
    console.print(_table(result))
    console.print(
        f"ready after {result['ready_s']:.1f} s; worker {result['worker_mb']:.0f} MB with one "
        f"model, {result['worker_three_models_mb']:.0f} MB with three"
    )
    data = {"name": reference.name, "hash": reference.hash, "synthetic": reference.synthetic}
    file = report.write("serve", {"data": data, **result})
    console.print(f"written to {file.relative_to(file.parents[2])}")
    if result["ready_s"] > READY_S or result["worker_three_models_mb"] > MEMORY_MB:
        console.print(f"below the bar: ready within {READY_S:g} s, under {MEMORY_MB:g} MB")
        sys.exit(1)


def _measured(
    console: Console,
    settings: Settings,
    names: Sequence[str],
    folder: Path,
    options: argparse.Namespace,
) -> dict[str, Any]:
    path = f"/predict?top_k={TOP_K}"
    port, bare_port = free_port(), free_port()
    environment = {
        **os.environ,
        "MOOVIER_HOME": str(settings.home),
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "BENTOML_HOME": str(settings.path("bentoml")),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    environment.pop("TMDB_API_KEY", None)
    settings.path().mkdir(parents=True, exist_ok=True)
    command = service_command(settings.model_copy(update={"port": port}))
    with _process(command, environment, folder / "service.log") as service:
        ready_s = _until_ready(f"http://{HOST}:{port}/readyz", service, folder / "service.log")
        worker = _worker(service)
        answer = _ask(port, path)
        one_model = worker.memory_info().rss / _MIB
        for name in names:
            _ask(port, f"{path}&model_name={name}")
        three_models = worker.memory_info().rss / _MIB
        answer_file = folder / "answer.json"
        answer_file.write_bytes(answer)
        uvicorn = (program("uvicorn"), "--factory", "benchmarks.bare:create_app", "--host", HOST)
        command = (*uvicorn, "--port", str(bare_port), "--log-level", "warning")
        bare_environment = {**environment, ANSWER_FILE: str(answer_file)}
        with _process(command, bare_environment, folder / "bare.log") as bare:
            _until_ready(f"http://{HOST}:{bare_port}/openapi.json", bare, folder / "bare.log")
            if _ask(bare_port, path) != answer:
                raise RuntimeError("the two endpoints answer different bytes")
            rounds = [
                {
                    side: load.shown(
                        load.run(
                            HOST,
                            side_port,
                            load.post(HOST, side_port, path, USERS),
                            connections=options.connections,
                            seconds=options.seconds,
                        )
                    )
                    for side, side_port in (("bare", bare_port), ("moovier", port))
                }
                for _ in _counted(console, options.rounds)
            ]
        after = worker.memory_info().rss / _MIB
    return {
        "request": {"users": USERS, "top_k": TOP_K, "answer_bytes": len(answer)},
        "connections": options.connections,
        "seconds_per_round": options.seconds,
        "ready_s": ready_s,
        "worker_mb": one_model,
        "worker_three_models_mb": three_models,
        "worker_after_load_mb": after,
        "rows": _rows(rounds),
        "rounds": rounds,
    }


def _counted(console: Console, rounds: int) -> Iterator[int]:
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        yield number


def _rows(rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> list[dict[str, Any]]:
    """A row a side, the medians over the rounds; ours with its ratios to the bare one's."""
    rows = [
        {
            "endpoint": side,
            **{figure: statistics.median(one[side][figure] for one in rounds) for figure in first},
            "failed": sum(int(one[side]["failed"]) for one in rounds),
        }
        for side, first in rounds[0].items()
    ]
    for figure in ("requests_per_s", "p99_ms"):
        ratios = [one["moovier"][figure] / one["bare"][figure] for one in rounds]
        rows[1][f"{figure}_ratio"] = statistics.median(ratios)
    return rows


def _table(result: Mapping[str, Any]) -> Table:
    size, connections = result["request"]["answer_bytes"], result["connections"]
    shown = Table(
        title=f"{len(USERS)} users, top {TOP_K}: {size} bytes, {connections} connections",
    )
    shown.add_column("endpoint")
    for column in ("requests/s", "p50 ms", "p99 ms", "failed"):
        shown.add_column(column, justify="right")
    for row in result["rows"]:
        shown.add_row(
            "bare FastAPI" if row["endpoint"] == "bare" else "Moovier /predict",
            f"{row['requests_per_s']:.0f}",
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            str(row["failed"]),
        )
    ours = result["rows"][1]
    shown.caption = (
        f"{ours['requests_per_s_ratio']:.2f} of its requests/s, "
        f"{ours['p99_ms_ratio']:.1f} times its p99"
    )
    return shown


@contextlib.contextmanager
def _process(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_group(process)


def _until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> float:
    """Seconds from now until ``url`` answers 200; called right after the start."""
    started = time.monotonic()
    while time.monotonic() - started < _START_S and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False, timeout=10.0).is_success:
                return time.monotonic() - started
        time.sleep(0.02)
    raise RuntimeError(f"it did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _worker(service: subprocess.Popen[bytes]) -> psutil.Process:
    """The process that answers ``/predict``."""
    for process in psutil.Process(service.pid).children(recursive=True):
        words = process.cmdline()
        if "--service-name" in words and words[words.index("--service-name") + 1] == "Moovier":
            return process
    raise RuntimeError("BentoML runs no worker named Moovier")


def _ask(port: int, path: str) -> bytes:
    answer = httpx.post(f"http://{HOST}:{port}{path}", json=USERS, trust_env=False, timeout=60.0)
    return answer.raise_for_status().content


if __name__ == "__main__":
    main()
