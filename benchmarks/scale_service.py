"""``python -m benchmarks.scale_service``: the service, lists and monitoring on large data.

It takes a home that ``python -m benchmarks.scale --size N --data DIR --keep`` left in
``DIR/home-N``, with its MLflow and its champion, and measures:

- seconds until the service is ready, for the first time (the models are downloaded) and again;
- proportional memory (PSS) of one worker, and of each of two;
- mean milliseconds of a stranger's list (24 movies with stars and reasons for 20 ratings, another
  stranger each time) and of a title search, over one connection;
- failed requests while the champion is swapped, back and forth;
- seconds of `moovier batch` for the lists of all users, and of `moovier monitor`.

Requests are few and follow each other; seconds say little on a machine with other work, so
``processor_s`` is printed beside those of the commands.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np
import orjson
from rich.table import Table

from benchmarks import load_generator, report
from benchmarks.memory import processor_s
from benchmarks.servers import (
    HOST,
    ROOT,
    Service,
    mlflow_server,
    proportional_memory,
    service,
    service_environment,
)
from benchmarks.visitors import visitors
from moovier.cli.console import plain_console
from moovier.jobs.registration import open_registry
from moovier.models.bundle import Bundle
from moovier.models.families import family
from moovier.registry.client import Registry
from moovier.settings import Settings
from moovier.stack.services import console_script

TOP_K, STRANGERS, WORDS = 24, 2_000, 500
SECONDS = 5.0
#: The bars, by the name of a figure.
BARS = {
    "ready again, s": 10.0,
    "one worker, MB": 700.0,
    "second worker, MB": 200.0,
    "a stranger's list, ms": 3.0,
    "a title search, ms": 5.0,
    "failed requests of swaps": 0.0,
    "lists of all users, s": 180.0,
    "one look of the monitoring, s": 60.0,
}


@dataclass(frozen=True)
class Figure:
    """A measured figure with its bar; ``processor_s``: of a command's processes."""

    name: str
    value: float
    bar: float | None = None
    processor_s: float | None = None


def main() -> None:
    """Print the figures, write ``benchmarks/out/scale_service.json``; exit 1 on a missed bar."""
    parser = argparse.ArgumentParser(description="The service on large data.")
    parser.add_argument("--home", type=Path, required=True, help="home that bench-scale kept")
    options = parser.parse_args()
    console = plain_console(soft_wrap=False)
    home = options.home.absolute()
    figures: list[Figure] = []

    def found(name: str, value: float, processor_s: float | None = None) -> None:
        figures.append(Figure(name, value, BARS.get(name), processor_s))
        console.print(f"{name}: {value:.2f}")

    stack = home / "mlflow"  # where bench-scale's stack of Airflow keeps its MLflow
    with (
        mlflow_server(stack if stack.is_dir() else home) as address,
        tempfile.TemporaryDirectory() as scratch,
    ):
        settings = Settings(
            home=home, mlflow_tracking_uri=address, lists=str(Path(scratch) / "lists")
        )
        registry = open_registry(settings)
        model = registry.load_bundle(registry.resolve("champion"), Path(scratch) / "champion")
        bodies = strangers(model)
        # The home of a service that has not downloaded a model.
        empty = {"home": Path(scratch) / "service", "workers": 1}
        served = settings.model_copy(update=empty)
        for name in ("ready for the first time, s", "ready again, s"):
            with service(served) as running:
                found(name, running.ready_s)
        found("one worker, MB", proportional_memory(served, bodies)[0])
        two = proportional_memory(served.model_copy(update={"workers": 2}), bodies)
        found("first of two workers, MB", two[0])
        found("second worker, MB", two[1])
        with service(served) as running:
            _measure_answers(running, model, bodies, found)
            failed = _failed_in_swaps(registry, running, bodies)
            found("failed requests of swaps", failed)
        for name, command in (
            ("lists of all users, s", "batch"),
            ("one look of the monitoring, s", "monitor"),
        ):
            found(name, *_run(command, settings))
    console.print(_table(figures, model))
    file = report.write("scale_service", {"rows": [asdict(figure) for figure in figures]})
    console.print(f"written to {file.relative_to(ROOT)}")
    if problems := missed(figures):
        console.print("missed bars: " + "; ".join(problems))
        sys.exit(1)


def missed(figures: Sequence[Figure]) -> list[str]:
    """Return the names of the figures beyond their bars."""
    return [one.name for one in figures if one.bar is not None and one.value > one.bar]


def strangers(model: Bundle) -> list[bytes]:
    """Return the bodies of visitors with ratings of a history each."""
    made = visitors(model.index, model.histories, STRANGERS)
    return [orjson.dumps({"ratings": stars, "top_k": TOP_K}) for stars in made]


def searches(model: Bundle) -> list[str]:
    """Return the first letters of words of titles, as somebody types them."""
    random = np.random.default_rng(0)
    titles = [movie.title for movie in model.catalogue]
    words = [titles[at].split()[0] for at in random.integers(0, len(titles), WORDS).tolist()]
    return [word[: 3 + number % 4] for number, word in enumerate(words)]


def _measure_answers(
    running: Service, model: Bundle, bodies: Sequence[bytes], found: Callable[..., None]
) -> None:
    """Measure lists and searches, one request after the other."""
    lists = [load_generator.post(HOST, running.port, "/recommend", body) for body in bodies]
    typed = [
        f"GET {httpx.URL('/movies', params={'query': text})} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
        for text in searches(model)
    ]
    started = time.monotonic()
    httpx.get(
        f"{running.address}/movies?query=the", trust_env=False, timeout=120.0
    ).raise_for_status()
    found("the first title search, s", time.monotonic() - started)
    for name, requests in (
        ("a stranger's list, ms", lists),
        ("a title search, ms", [text.encode() for text in typed]),
    ):
        load = load_generator.run(HOST, running.port, requests, connections=1, seconds=SECONDS)
        assert not load.failed, f"{name}: {load.failed} of {load.latencies_s.size} failed"
        found(name, float(load.latencies_s.mean() * 1e3))


def _failed_in_swaps(registry: Registry, running: Service, bodies: Sequence[bytes]) -> int:
    """Promote another version and the champion again under load; return the failed requests."""
    champion = registry.resolve("champion")
    others = [
        one
        for one in registry.versions()
        if one.number != champion.number and family(one.family).objective == "ranking"
    ]
    if not others:
        raise SystemExit("there is no second model that ranks")
    requests = [load_generator.post(HOST, running.port, "/recommend", body) for body in bodies]
    failed: list[int] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            load = load_generator.run(HOST, running.port, requests, connections=2, seconds=1.0)
            failed.append(load.failed)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for version in (others[0], champion):
            registry.promote(version, "for a benchmark")
            _wait_until_served(running, version.name)
    finally:
        ended.set()
        asking.join()
    return sum(failed)


def _wait_until_served(running: Service, name: str) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        ready = httpx.get(f"{running.address}/readyz", trust_env=False, timeout=30).json()
        if ready["champion"]["name"] == name:
            return
        time.sleep(0.5)
    raise SystemExit(f"the service does not serve {name}")


def _run(command: str, settings: Settings) -> tuple[float, float]:
    """Run a command of Moovier; return its seconds and processor seconds."""
    environment = {**service_environment(settings), "MOOVIER_LISTS": str(settings.lists)}
    used, started = processor_s(), time.monotonic()
    words = [console_script("moovier"), command]
    subprocess.run(words, env=environment, cwd=ROOT, check=True, stdout=sys.stderr)
    return time.monotonic() - started, processor_s() - used


def _table(figures: Sequence[Figure], model: Bundle) -> Table:
    facts = model.card.data
    shown = Table(title=f"{facts.ratings:,} ratings, {facts.users:,} users, {model.card.name}")
    for column in ("figure", "value", "bar", "processor s"):
        shown.add_column(column, justify="left" if column == "figure" else "right")
    for one in figures:
        bar, processor = (
            "" if value is None else f"{value:g}" for value in (one.bar, one.processor_s)
        )
        shown.add_row(one.name, f"{one.value:.2f}", bar, processor)
    return shown


if __name__ == "__main__":
    main()
