"""``make bench-serve``: compare the service with a bare FastAPI endpoint that returns equal bytes.

All servers run as their users start them: MLflow with four registered models, ``bentoml serve``
with one worker, uvicorn with one worker. Movie details come from the catalogue.

- ``/predict``: three movies for each of two users;
- ``/recommend``: ten movies of one genre for a visitor with 20 ratings, with stars and reasons;
- ``/recommend, another person each time``: the same for visitors who are not in the service's
  caches, so that every answer is computed.

The service and the bare endpoint take turns, so that other work on the machine affects both. The
results are medians over the rounds. This process sends the requests over kept-alive connections.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import load_generator, models, report
from benchmarks.fastapi_baseline import ANSWERS
from benchmarks.servers import (
    HOST,
    free_port,
    mlflow_server,
    process,
    proportional_memory,
    service,
    wait_until_ready,
    workers_of,
)
from benchmarks.visitors import visitors as visitors_of
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.jobs.registration import open_registry
from moovier.settings import Settings, load_settings
from moovier.stack.services import console_script

USERS, TOP_K = [1, 263], 3
GENRE, VISITORS = "Comedy", 20_000
#: The champion, the rating model, and two models that are loaded to measure the memory.
CHAMPION, RATING_MODEL, OTHERS = ("dae", 128), ("taste", 10), (("ease", 3), ("emb", 25))
#: The bars: seconds until ready, MB of the worker, ratios of requests/s and of the 99th percentile.
READY_S, MEMORY_MB = 5.0, 400.0
MIN_RATIO, MAX_P99_RATIO = 0.5, 3.0
PREDICT, RECOMMEND = f"/predict?top_k={TOP_K}", "/recommend"
SAME_VISITOR, NEW_VISITORS = "/recommend", "/recommend, another person each time"
_MIB = 2**20


def main() -> None:
    """Print the table, write ``benchmarks/out/serve.json``; exit 1 if a bar is missed."""
    arguments = argparse.ArgumentParser(description="The service and a bare endpoint.")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--connections", type=int, default=16)
    arguments.add_argument("--seconds", type=float, default=5.0, help="seconds per round")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    console = plain_console(soft_wrap=False)
    reference = sources.fetch(load_settings(**report.data_setting(options.data)))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with mlflow_server(folder) as mlflow:
            settings = Settings(home=folder / "home", mlflow_tracking_uri=mlflow)
            console.print(f"registering four models of {reference.name}")
            champion, rating_model, *others = [
                models.register(settings, folder, reference.folder, *model)
                for model in (CHAMPION, RATING_MODEL, *OTHERS)
            ]
            open_registry(settings).promote(champion, "for a benchmark")
            open_registry(settings).set_rating_model(rating_model)
            names = [version.name for version in (champion, *others)]
            _, ratings, _ = to_arrays(read_movielens(reference.folder))
            visitors = _visitors(ratings, reference.folder)
            result = _measure(console, settings, names, visitors, folder, options)
    console.print(_table(result))
    console.print(
        f"ready after {result['ready_s']:.1f} s (the bare endpoint after "
        f"{result['bare_ready_s']:.1f} s); worker {result['worker_mb']:.0f} MB with the "
        f"champion and the rating model, {result['worker_all_models_mb']:.0f} MB with all "
        f"four models, {result['worker_after_load_mb']:.0f} MB after "
        f"{result['requests']:,} requests"
    )
    pss = result["worker_pss_mb"]
    console.print(
        f"proportional memory (PSS): one worker {pss[0][0]:.0f} MB; two workers "
        f"{pss[1][0]:.0f} and {pss[1][1]:.0f} MB, because they share pages of files"
    )
    tuning = result["fine_tuning"]
    console.print(
        f"during {tuning['trainings']} fine-tunings the p99 of /predict is "
        f"{tuning['p99_ratio']:.2f} times the p99 without (2 connections)"
    )
    data = {"name": reference.name, "hash": reference.hash, "synthetic": reference.synthetic}
    file = report.write("serve", {"data": data, **result})
    console.print(f"written to {file.relative_to(file.parents[2])}")
    missed = [
        row["route"]
        for row in result["rows"]
        if row["route"] != NEW_VISITORS
        and (row["ratio"] < MIN_RATIO or row["p99_ratio"] > MAX_P99_RATIO)
    ]
    if result["ready_s"] > READY_S or result["worker_all_models_mb"] > MEMORY_MB or missed:
        console.print(
            f"a bar is missed ({', '.join(missed) or 'start or memory'}): {MIN_RATIO:g} of the "
            f"bare endpoint's requests/s, {MAX_P99_RATIO:g} times its p99, ready within "
            f"{READY_S:g} s, under {MEMORY_MB:g} MB"
        )
        sys.exit(1)


def _visitors(ratings: Ratings, folder: Path) -> list[bytes]:
    """Return the bodies of different visitors."""
    index, _, _ = to_arrays(read_movielens(folder))
    made = visitors_of(index, ratings.histories, VISITORS)
    return [orjson.dumps({"ratings": stars, "genres": [GENRE]}) for stars in made]


def _measure(
    console: Console,
    settings: Settings,
    names: Sequence[str],
    visitors: Sequence[bytes],
    folder: Path,
    options: argparse.Namespace,
) -> dict[str, Any]:
    shares = [
        proportional_memory(settings.model_copy(update={"workers": workers}), visitors)
        for workers in (1, 2)
    ]
    users = orjson.dumps(USERS)
    with service(settings) as running:
        port = running.port
        (worker,) = workers_of(running.process, "Moovier")
        answers = {
            "predict": _post(port, PREDICT, users),
            "recommend": _post(port, RECOMMEND, visitors[0]),
        }
        one_model = worker.memory_info().rss / _MIB
        for name in names:
            _post(port, f"{PREDICT}&model_name={name}", users)
        all_models = worker.memory_info().rss / _MIB
        bare_ready_s, rounds = _rounds(console, port, answers, visitors, folder, options)
        after = worker.memory_info().rss / _MIB
        console.print("fine-tuning under load")
        tuning = _fine_tuning(port, names[-1], users, options)
    return {
        "fine_tuning": tuning,
        "request": {name: len(answer) for name, answer in answers.items()},
        "connections": options.connections,
        "seconds_per_round": options.seconds,
        "ready_s": running.ready_s,
        "bare_ready_s": bare_ready_s,
        "worker_mb": one_model,
        "worker_pss_mb": shares,
        "worker_all_models_mb": all_models,
        "worker_after_load_mb": after,
        "requests": sum(
            int(sides["moovier"]["requests"]) for routes in rounds for sides in routes.values()
        ),
        "rows": [_row(route, [routes[route] for routes in rounds]) for route in rounds[0]],
        "rounds": rounds,
    }


def _rounds(
    console: Console,
    port: int,
    answers: Mapping[str, bytes],
    visitors: Sequence[bytes],
    folder: Path,
    options: argparse.Namespace,
) -> tuple[float, list[dict[str, Any]]]:
    """Load the service at ``port`` and a bare endpoint with the same ``answers`` in turns.

    Returns the seconds until the bare endpoint was ready, and the results of each round.
    """
    for name, answer in answers.items():
        (folder / name).write_bytes(answer)
    bare_port, log = free_port(), folder / "bare.log"
    command = (
        *(console_script("uvicorn"), "--factory", "benchmarks.fastapi_baseline:create_app"),
        *("--host", HOST, "--port", str(bare_port), "--log-level", "warning"),
    )
    users = orjson.dumps(USERS)
    with process(command, {**os.environ, ANSWERS: str(folder)}, log) as bare:
        ready_s = wait_until_ready(f"http://{HOST}:{bare_port}/openapi.json", bare, log)
        if _post(bare_port, PREDICT, users) != answers["predict"]:
            raise RuntimeError("the two endpoints answer different bytes")
        rounds = []
        for number in range(options.rounds):
            console.print(f"round {number + 1} of {options.rounds}")
            # Each round has its own visitors, because the service caches their scores.
            requests = {
                "/predict": (PREDICT, [users]),
                SAME_VISITOR: (RECOMMEND, visitors[:1]),
                NEW_VISITORS: (RECOMMEND, visitors[1 + number :: options.rounds]),
            }
            rounds.append(
                {
                    route: {
                        side: _load(side_port, path, bodies, options)
                        for side, side_port in (("bare", bare_port), ("moovier", port))
                    }
                    for route, (path, bodies) in requests.items()
                }
            )
    return ready_s, rounds


def _fine_tuning(port: int, name: str, users: bytes, options: argparse.Namespace) -> dict[str, Any]:
    """Compare the 99th percentile of ``/predict`` with and without fine-tuning of ``name``.

    Few connections show the latency that a client notices, and not the competition for cores.
    """
    few = argparse.Namespace(connections=2, seconds=options.seconds)
    body = {"users": USERS * 50, "movies": [1, 2, 3, 6, 10] * 20, "ratings": [4, 3.5, 5, 2, 3] * 20}
    url = f"http://{HOST}:{port}/train?model_name={name}"
    httpx.post(url, json=body, trust_env=False, timeout=300.0).raise_for_status()
    trainings = 0
    rounds = []
    for _ in range(options.rounds):
        alone = _load(port, PREDICT, [users], few)
        stop = threading.Event()

        def tune(stop: threading.Event = stop) -> int:
            trained = 0
            while not stop.is_set():
                httpx.post(url, json=body, trust_env=False, timeout=300.0).raise_for_status()
                trained += 1
            return trained

        with ThreadPoolExecutor(1) as thread:
            tuned = thread.submit(tune)
            beside = _load(port, PREDICT, [users], few)
            stop.set()
            trainings += tuned.result()
        rounds.append({"alone": alone, "beside": beside})
    ratio = statistics.median(
        sides["beside"]["p99_ms"] / sides["alone"]["p99_ms"] for sides in rounds
    )
    return {"p99_ratio": ratio, "trainings": trainings, "rounds": rounds}


def _load(
    port: int, path: str, bodies: Sequence[bytes], options: argparse.Namespace
) -> dict[str, float]:
    requests = [load_generator.post(HOST, port, path, body) for body in bodies]
    result = load_generator.run(
        HOST, port, requests, connections=options.connections, seconds=options.seconds
    )
    return {**load_generator.summary(result), "requests": float(result.latencies_s.size)}


def _row(route: str, rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """Return a route's medians over the rounds, those of the bare endpoint, and the ratios."""

    def median(side: str, metric: str) -> float:
        return statistics.median(sides[side][metric] for sides in rounds)

    def ratio(metric: str) -> float:
        return statistics.median(
            sides["moovier"][metric] / sides["bare"][metric] for sides in rounds
        )

    metrics = ("requests_per_s", "p50_ms", "p99_ms")
    return {
        "route": route,
        **{metric: median("moovier", metric) for metric in metrics},
        "bare": {metric: median("bare", metric) for metric in metrics},
        "ratio": ratio("requests_per_s"),
        "p99_ratio": ratio("p99_ms"),
        "failed": sum(int(sides[side]["failed"]) for sides in rounds for side in sides),
    }


def _table(result: Mapping[str, Any]) -> Table:
    shown = Table(title=f"{result['connections']} connections, one worker each")
    shown.add_column("route")
    for column in ("requests/s", "x bare", "p50 ms", "p99 ms", "x bare", "failed"):
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


def _post(port: int, path: str, body: bytes) -> bytes:
    response = httpx.post(
        f"http://{HOST}:{port}{path}",
        content=body,
        headers={"Content-Type": "application/json"},
        trust_env=False,
        timeout=60.0,
    )
    return response.raise_for_status().content


if __name__ == "__main__":
    main()
