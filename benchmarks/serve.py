"""``make bench-serve``: our routes beside a bare FastAPI endpoint that returns the same bytes.

Everything is the real thing and started as its user starts it: MLflow with four registered models,
``bentoml serve`` with one worker, uvicorn with one worker. All have the catalogue's details.

- ``/predict``: three movies for each of two users;
- ``/recommend``: ten movies of one genre for a person who gives 20 ratings, with stars and reasons;
- ``/recommend, another person each time``: the same for people whom the service has not met in
  the last minutes, so that every answer is computed.

Service and bare endpoint are asked in turns, so that whatever else the machine does meets both; the
figures are medians over the rounds. The load comes from this process, over kept-alive connections.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import load_generator, report
from benchmarks.fastapi_baseline import ANSWERS
from moovier.data import sources
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.jobs.registration import open_registry
from moovier.settings import Settings, load_settings
from moovier.stack.services import console_script, service_command
from tests.dvc_checkout import ROOT
from tests.registry_fixtures import register_trained
from tests.servers import end_group, free_port, mlflow_server, worker_of

HOST = "127.0.0.1"
USERS, TOP_K = [1, 263], 3
GIVEN, GENRE, PEOPLE = 20, "Comedy", 20_000
#: The champion, the model of the stars, and two more that are loaded while memory is measured.
CHAMPION, OF_STARS, OTHERS = ("dae", 128), ("taste", 10), (("ease", 3), ("emb", 25))
READY_S, MEMORY_MB = 5.0, 400.0
LEAST_RATIO, MOST_P99_RATIO = 0.5, 3.0
PREDICT, RECOMMEND = f"/predict?top_k={TOP_K}", "/recommend"
AGAIN, ANEW = "/recommend", "/recommend, another person each time"
_START_S = 120.0
_MIB = 2**20


def main() -> None:
    """Measure, print the table, write ``benchmarks/out/serve.json``; exit 1 below a bar."""
    arguments = argparse.ArgumentParser(description="Our routes beside a bare endpoint.")
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    arguments.add_argument("--connections", type=int, default=16)
    arguments.add_argument("--seconds", type=float, default=5.0, help="of each round")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    console = Console()
    given = {} if options.data is None else {"data": options.data}
    reference = sources.fetch(load_settings(**given))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with mlflow_server(folder) as mlflow:
            settings = Settings(home=folder / "home", mlflow_tracking_uri=mlflow.address)
            console.print(f"registering four models of {reference.name}")
            champion, of_stars, *others = [
                register_trained(settings, folder, reference.folder, *one)
                for one in (CHAMPION, OF_STARS, *OTHERS)
            ]
            open_registry(settings).promote(champion, "for a benchmark")
            open_registry(settings).set_rating_model(of_stars)
            names = [version.name for version in (champion, *others)]
            _, ratings, _ = to_arrays(read_movielens(reference.folder))
            asking = _people(ratings, reference.folder)
            result = _measured(console, settings, names, asking, folder, options)
    console.print(_table(result))
    console.print(
        f"ready after {result['ready_s']:.1f} s (the bare endpoint after "
        f"{result['bare_ready_s']:.1f} s); worker {result['worker_mb']:.0f} MB with the "
        f"champion and the model of the stars, {result['worker_all_models_mb']:.0f} MB with all "
        f"four models, {result['worker_after_load_mb']:.0f} MB after "
        f"{result['requests']:,} requests"
    )
    tuning = result["fine_tuning"]
    console.print(
        f"during {tuning['trainings']} fine-tunings /predict's p99 is "
        f"{tuning['p99_ratio']:.2f} times what it is without (2 connections)"
    )
    data = {"name": reference.name, "hash": reference.hash, "synthetic": reference.synthetic}
    file = report.write("serve", {"data": data, **result})
    console.print(f"written to {file.relative_to(file.parents[2])}")
    missed = [
        row["route"]
        for row in result["rows"]
        if row["route"] != ANEW
        and (row["ratio"] < LEAST_RATIO or row["p99_ratio"] > MOST_P99_RATIO)
    ]
    if result["ready_s"] > READY_S or result["worker_all_models_mb"] > MEMORY_MB or missed:
        console.print(
            f"below the bar ({', '.join(missed) or 'start or memory'}): {LEAST_RATIO:g} of the "
            f"bare endpoint's requests/s, {MOST_P99_RATIO:g} times its p99, ready within "
            f"{READY_S:g} s, under {MEMORY_MB:g} MB"
        )
        sys.exit(1)


def _people(ratings: Ratings, folder: Path) -> list[bytes]:
    """Bodies that ask for somebody with ``GIVEN`` ratings each, no two alike: parts of people's
    real histories."""
    index, _, _ = to_arrays(read_movielens(folder))
    histories, random = ratings.histories, np.random.default_rng(0)
    long_enough = np.flatnonzero(histories.counts() >= 2 * GIVEN)
    bodies = []
    for user in random.choice(long_enough, PEOPLE).tolist():
        history = histories[user]
        chosen = np.sort(random.choice(len(history), GIVEN, replace=False))
        given = {
            str(index.movies[movie]): float(stars)
            for movie, stars in zip(history.movies[chosen], history.stars[chosen], strict=True)
        }
        bodies.append(orjson.dumps({"ratings": given, "genres": [GENRE]}))
    return bodies


def _measured(
    console: Console,
    settings: Settings,
    names: Sequence[str],
    asking: Sequence[bytes],
    folder: Path,
    options: argparse.Namespace,
) -> dict[str, Any]:
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
    users = orjson.dumps(USERS)
    with _process(command, environment, folder / "service.log") as service:
        ready_s = _until_ready(f"http://{HOST}:{port}/readyz", service, folder / "service.log")
        worker = worker_of(service, "Moovier")
        if worker is None:
            raise RuntimeError("BentoML runs no worker named Moovier")
        answers = {"predict": _ask(port, PREDICT, users)}
        answers["recommend"] = _ask(port, RECOMMEND, asking[0])
        one_model = worker.memory_info().rss / _MIB
        for name in names:
            _ask(port, f"{PREDICT}&model_name={name}", users)
        all_models = worker.memory_info().rss / _MIB
        for name, answer in answers.items():
            (folder / name).write_bytes(answer)
        uvicorn = (
            console_script("uvicorn"),
            "--factory",
            "benchmarks.fastapi_baseline:create_app",
            "--host",
            HOST,
        )
        command = (*uvicorn, "--port", str(bare_port), "--log-level", "warning")
        bare_environment = {**environment, ANSWERS: str(folder)}
        with _process(command, bare_environment, folder / "bare.log") as bare:
            bare_url = f"http://{HOST}:{bare_port}/openapi.json"
            bare_ready_s = _until_ready(bare_url, bare, folder / "bare.log")
            if _ask(bare_port, PREDICT, users) != answers["predict"]:
                raise RuntimeError("the two endpoints answer different bytes")
            rounds = []
            for number in _counted(console, options.rounds):
                # Others in each round: whom the service met before it need not compute again.
                strangers = asking[1 + number :: options.rounds]
                asked = {
                    "/predict": (PREDICT, [users]),
                    AGAIN: (RECOMMEND, asking[:1]),
                    ANEW: (RECOMMEND, strangers),
                }
                rounds.append(
                    {
                        route: {
                            side: _loaded(side_port, path, bodies, options)
                            for side, side_port in (("bare", bare_port), ("moovier", port))
                        }
                        for route, (path, bodies) in asked.items()
                    }
                )
        after = worker.memory_info().rss / _MIB
        console.print("fine-tuning under load")
        tuning = _beside_fine_tuning(port, names[-1], users, options)
    return {
        "fine_tuning": tuning,
        "request": {name: len(answer) for name, answer in answers.items()},
        "connections": options.connections,
        "seconds_per_round": options.seconds,
        "ready_s": ready_s,
        "bare_ready_s": bare_ready_s,
        "worker_mb": one_model,
        "worker_all_models_mb": all_models,
        "worker_after_load_mb": after,
        "requests": sum(
            int(sides["moovier"]["requests"]) for one in rounds for sides in one.values()
        ),
        "rows": [_row(route, [one[route] for one in rounds]) for route in rounds[0]],
        "rounds": rounds,
    }


def _beside_fine_tuning(
    port: int, name: str, users: bytes, options: argparse.Namespace
) -> dict[str, Any]:
    """``/predict``'s 99th percentile alone and while ``name`` is fine-tuned again and again, in
    turns, over few connections: what a client notices, not who gets the processor."""
    few = argparse.Namespace(connections=2, seconds=options.seconds)
    body = {"users": USERS * 50, "movies": [1, 2, 3, 6, 10] * 20, "ratings": [4, 3.5, 5, 2, 3] * 20}
    url = f"http://{HOST}:{port}/train?model_name={name}"
    httpx.post(url, json=body, trust_env=False, timeout=300.0).raise_for_status()
    done = 0
    rounds = []
    for _ in range(options.rounds):
        alone = _loaded(port, PREDICT, [users], few)
        stop = threading.Event()

        def tune(stop: threading.Event = stop) -> int:
            trained = 0
            while not stop.is_set():
                httpx.post(url, json=body, trust_env=False, timeout=300.0).raise_for_status()
                trained += 1
            return trained

        with ThreadPoolExecutor(1) as thread:
            tuned = thread.submit(tune)
            beside = _loaded(port, PREDICT, [users], few)
            stop.set()
            done += tuned.result()
        rounds.append({"alone": alone, "beside": beside})
    ratio = statistics.median(one["beside"]["p99_ms"] / one["alone"]["p99_ms"] for one in rounds)
    return {"p99_ratio": ratio, "trainings": done, "rounds": rounds}


def _loaded(
    port: int, path: str, bodies: Sequence[bytes], options: argparse.Namespace
) -> dict[str, float]:
    requests = [load_generator.post(HOST, port, path, body) for body in bodies]
    result = load_generator.run(
        HOST, port, requests, connections=options.connections, seconds=options.seconds
    )
    return {**load_generator.shown(result), "requests": float(result.latencies_s.size)}


def _counted(console: Console, rounds: int) -> Iterator[int]:
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        yield number


def _row(route: str, rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """A route's figures and the bare endpoint's, medians over the rounds, and their ratios."""

    def middle(side: str, figure: str) -> float:
        return statistics.median(one[side][figure] for one in rounds)

    def ratio(figure: str) -> float:
        return statistics.median(one["moovier"][figure] / one["bare"][figure] for one in rounds)

    figures = ("requests_per_s", "p50_ms", "p99_ms")
    return {
        "route": route,
        **{figure: middle("moovier", figure) for figure in figures},
        "bare": {figure: middle("bare", figure) for figure in figures},
        "ratio": ratio("requests_per_s"),
        "p99_ratio": ratio("p99_ms"),
        "failed": sum(int(sides[side]["failed"]) for sides in rounds for side in sides),
    }


def _table(result: Mapping[str, Any]) -> Table:
    shown = Table(title=f"{result['connections']} connections, one worker each")
    shown.add_column("route")
    for column in ("requests/s", "of bare", "p50 ms", "p99 ms", "of bare's", "failed"):
        shown.add_column(column, justify="right")
    for row in result["rows"]:
        shown.add_row(
            row["route"],
            f"{row['requests_per_s']:.0f}",
            f"{row['ratio']:.2f}",
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            f"{row['p99_ratio']:.1f}",
            str(row["failed"]),
        )
        bare = row["bare"]
        shown.add_row(
            "  bare FastAPI",
            f"{bare['requests_per_s']:.0f}",
            "",
            f"{bare['p50_ms']:.1f}",
            f"{bare['p99_ms']:.1f}",
            style="dim",
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
    # One client: each new one reads certificates, which takes the processor from what starts.
    with httpx.Client(trust_env=False, timeout=10.0) as client:
        while time.monotonic() - started < _START_S and process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if client.get(url).is_success:
                    return time.monotonic() - started
            time.sleep(0.02)
    raise RuntimeError(f"it did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _ask(port: int, path: str, body: bytes) -> bytes:
    answer = httpx.post(
        f"http://{HOST}:{port}{path}",
        content=body,
        headers={"Content-Type": "application/json"},
        trust_env=False,
        timeout=60.0,
    )
    return answer.raise_for_status().content


if __name__ == "__main__":
    main()
