"""``make bench-lists``: measure the time of one list for a visitor whom the model does not know.

Each visitor brings 20 ratings of a real history, without timestamps. Each list has one genre and
leaves out 30 movies. It is computed in one thread, without TensorFlow and without HTTP. Times are
processor times of the thread, so that other work on the machine matters less:

- ``fold-in``: the model's scores of the whole catalogue;
- ``list``: fold-in, filter, exclusions and the ten best movies;
- ``answer``: the list with reasons and predicted stars, as for ``POST /recommend``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks import report
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.models import bundle
from moovier.serving import bundle_loader, page_builder
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.events import ServingEvents
from moovier.serving.filters import Filter
from moovier.serving.requests import RecommendRequest
from moovier.settings import load_settings

TOP_K, RATINGS, EXCLUDED, GENRE = 10, 20, 30, "Comedy"
VISITORS, ROUNDS = 300, 5
#: Largest milliseconds of a list of the champion's family.
BAR_MS = 0.4
#: The champion's family first.
FAMILIES, RATING_FAMILY = ("dae", "ease"), "taste"
_NO_ROWS = np.zeros(0, np.int64)


class NoFeedback:
    """A feedback cache without any feedback."""

    def for_user(self, user_id: int) -> None:
        """Return the feedback of a user: none."""


def main() -> None:
    """Print the table, write ``benchmarks/out/lists.json``; exit 1 if the bar is missed."""
    arguments = argparse.ArgumentParser(description="The time of one visitor's list.")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--fit", nargs=2, metavar=("FAMILY", "FOLDER"), help=argparse.SUPPRESS)
    options = arguments.parse_args()
    reference = sources.fetch(load_settings(**report.data_setting(options.data)))
    if options.fit is not None:
        train(options.fit[0], Path(options.fit[1]), reference.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        # Other processes train the models, so that this one never imports TensorFlow.
        for name in (*FAMILIES, RATING_FAMILY):
            command = [sys.executable, "-m", "benchmarks.lists", "--fit", name, temporary]
            data = [] if options.data is None else ["--data", options.data]
            subprocess.run([*command, *data], check=True)
        threadpool_limits(1)
        rating_model, *models = [
            bundle_loader.load(Path(temporary, name), 1, name)
            for name in (RATING_FAMILY, *FAMILIES)
        ]
        rows = [measure(model, rating_model) for model in models]
    assert "tensorflow" not in sys.modules
    console = plain_console(soft_wrap=False)
    table = Table(title=f"{reference.name}: {TOP_K} movies for a visitor with {RATINGS} ratings")
    for column in ("Model", "fold-in ms", "list ms", "p99", "answer ms", "p99"):
        table.add_column(column, justify="left" if column == "Model" else "right")
    for row in rows:
        metrics = ("fold_in_ms", "list_ms", "list_p99_ms", "answer_ms", "answer_p99_ms")
        table.add_row(row["model"], *(f"{row[metric]:.3f}" for metric in metrics))
    console.print(table)
    file = report.write("lists", {"data": reference.name, "bar_ms": BAR_MS, "rows": rows})
    console.print(f"written to {file.relative_to(file.parents[2])}")
    if rows[0]["list_ms"] > BAR_MS:
        sys.exit(f"the bar is missed: {BAR_MS:g} ms per list")


def train(name: str, folder: Path, data: Path) -> None:
    """Train a family for one epoch and save it as ``folder/name``."""
    from benchmarks import models

    model, _ = models.train(data, name)
    bundle.save(model, folder / name)


def requests(model: LoadedModel, count: int) -> list[RecommendRequest]:
    """Return requests of ``count`` visitors, each with a part of a real history."""
    known, rng = model.recommender.bundle, np.random.default_rng(0)
    histories, movie_ids = known.histories, known.index.movies
    long_enough = np.flatnonzero(histories.counts() >= 2 * RATINGS)
    bodies = []
    for user in rng.choice(long_enough, count).tolist():
        history = histories[user]
        rows = rng.choice(len(history), RATINGS, replace=False)
        rated_ids = movie_ids[history.movies[rows]].tolist()
        bodies.append(
            RecommendRequest(
                ratings=tuple(
                    (movie_id, stars, None)
                    for movie_id, stars in zip(rated_ids, history.stars[rows].tolist(), strict=True)
                ),
                filter=Filter(genres=(GENRE,)),
                exclude=tuple(rng.choice(movie_ids, EXCLUDED, replace=False).tolist()),
                top_k=TOP_K,
            )
        )
    return bodies


def measure(model: LoadedModel, rating_model: LoadedModel) -> dict[str, Any]:
    """Return means and 99th percentiles in milliseconds, of the fastest round each."""
    user_recommender = model.recommender.user_recommender
    feedback: Any = NoFeedback()
    events = ServingEvents()
    # Each round has its own visitors, because scores of a visitor are cached.
    bodies = requests(model, 2 * ROUNDS * VISITORS)
    half = ROUNDS * VISITORS
    list_ms = time_each(
        lambda body: page_builder.score_page(model, body, feedback, _NO_ROWS, reasons=False),
        bodies[:half],
    )
    answer_ms = time_each(
        lambda body: page_builder.build_page(model, rating_model, body, feedback, events),
        bodies[half:],
    )
    # By now the cache no longer has the scores of the first half.
    profiles = [
        page_builder.resolve_user(user_recommender, body, feedback) for body in bodies[:half]
    ]
    fold_in_ms = time_each(user_recommender.scores, profiles)
    return {
        "model": model.name,
        "fold_in_ms": float(fold_in_ms.mean()),
        "list_ms": float(list_ms.mean()),
        "list_p99_ms": float(np.percentile(list_ms, 99)),
        "answer_ms": float(answer_ms.mean()),
        "answer_p99_ms": float(np.percentile(answer_ms, 99)),
    }


def time_each(call: Callable[[Any], object], arguments: Sequence[Any]) -> np.ndarray:
    """Return the milliseconds of each call in the fastest of ``ROUNDS`` equal parts."""
    times = []
    for argument in arguments:
        started = time.thread_time()
        call(argument)
        times.append(1000 * (time.thread_time() - started))
    rounds = np.array(times).reshape(ROUNDS, -1)
    return np.asarray(rounds[rounds.mean(axis=1).argmin()])


if __name__ == "__main__":
    main()
