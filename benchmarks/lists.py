"""``make bench-lists``: what one list costs for a person whom the model never saw.

Each person is a part of somebody's real history: 20 ratings, given without timestamps. Each list is
of one genre, leaves out 30 movies, and is made in one thread, without TensorFlow and without HTTP.
Times are the thread's processor time, so that other work on the machine matters less:

- ``fold-in``: the model's own scores of the whole catalogue;
- ``list``: fold-in, filter, exclusions and the ten best;
- ``answer``: the list with its reasons and predicted stars, as ``POST /recommend`` makes it.
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
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks import report
from bentos import lists, schemas
from moovier.data import sources
from moovier.data.movielens import read_movielens, to_arrays
from moovier.models import bundle
from moovier.models.bundle import Bundle, Card, DataFacts, display_name
from moovier.models.families import family
from moovier.models.family import FitContext
from moovier.serving import bundle_loader
from moovier.serving.bundle_loader import LoadedModel
from moovier.settings import load_settings

TOP_K, GIVEN, EXCLUDED, GENRE = 10, 20, 30, "Comedy"
PEOPLE, ROUNDS, BAR_MS = 300, 5, 0.4
#: The champion's family first, then the peer; stars are predicted by the last.
MODELS, STARS = ("dae", "ease"), "taste"
_NO_ROWS = np.zeros(0, np.int64)


class NoFeedback:
    """Nobody rated anything since the model was trained."""

    def of(self, user_id: int) -> None:
        """Return what the user did since: nothing."""


def main() -> None:
    """Print the table, write ``benchmarks/out/lists.json``; exit 1 where a list takes too long."""
    arguments = argparse.ArgumentParser(description="What one stranger's list costs.")
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    arguments.add_argument("--fit", nargs=2, metavar=("FAMILY", "FOLDER"), help=argparse.SUPPRESS)
    options = arguments.parse_args()
    given = {} if options.data is None else {"data": options.data}
    reference = sources.fetch(load_settings(**given))
    if options.fit is not None:
        fit(options.fit[0], Path(options.fit[1]), reference.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        # In processes of their own, so that TensorFlow never comes into this one.
        for name in (*MODELS, STARS):
            command = [sys.executable, "-m", "benchmarks.lists", "--fit", name, temporary]
            data = [] if options.data is None else ["--data", options.data]
            subprocess.run([*command, *data], check=True)
        threadpool_limits(1)
        stars, *models = [
            bundle_loader.load(Path(temporary, name), 1, name) for name in (STARS, *MODELS)
        ]
        rows = [measured(model, stars) for model in models]
    assert "tensorflow" not in sys.modules
    console = Console()
    table = Table(title=f"{reference.name}: {TOP_K} movies for a person of {GIVEN} ratings")
    for column in ("Model", "fold-in ms", "list ms", "p99", "answer ms", "p99"):
        table.add_column(column, justify="left" if column == "Model" else "right")
    for row in rows:
        figures = ("fold_in_ms", "list_ms", "list_p99_ms", "answer_ms", "answer_p99_ms")
        table.add_row(row["model"], *(f"{row[figure]:.3f}" for figure in figures))
    console.print(table)
    file = report.write("lists", {"data": reference.name, "bar_ms": BAR_MS, "rows": rows})
    console.print(f"written to {file.relative_to(file.parents[2])}")
    if rows[0]["list_ms"] > BAR_MS:
        sys.exit(f"above the bar: {BAR_MS:g} ms a list")


def fit(name: str, folder: Path, data: Path) -> None:
    """Train one epoch of a family and save it as ``folder/name``: the cost is the same."""
    movielens = read_movielens(data)
    index, ratings, catalogue = to_arrays(movielens)
    kind = family(name)
    params = kind.hyper_parameters.model_validate({})
    fitted = kind.fit(ratings, params, FitContext(catalogue, seed=0, epochs=1))
    facts = DataFacts(
        name=movielens.name,
        hash=movielens.hash,
        synthetic=movielens.synthetic,
        ratings=len(ratings),
        users=ratings.n_users,
        movies=len(catalogue),
    )
    card = Card(
        name=display_name(name, params.size, 0),
        family=name,
        params=params.model_dump(mode="json"),
        data=facts,
    )
    bundle.save(Bundle(card, index, ratings.histories, catalogue, fitted.arrays), folder / name)


def requests(model: LoadedModel, count: int) -> list[schemas.RecommendRequest]:
    """Return requests of as many different people, each a part of a real history."""
    known, random = model.recommender.bundle, np.random.default_rng(0)
    histories, movie_ids = known.histories, known.index.movies
    long_enough = np.flatnonzero(histories.counts() >= 2 * GIVEN)
    asked = []
    for user in random.choice(long_enough, count).tolist():
        history = histories[user]
        chosen = random.choice(len(history), GIVEN, replace=False)
        ratings = [
            {"movie_id": movie, "stars": stars}
            for movie, stars in zip(
                movie_ids[history.movies[chosen]].tolist(),
                history.stars[chosen].tolist(),
                strict=True,
            )
        ]
        excluded = random.choice(movie_ids, EXCLUDED, replace=False).tolist()
        body = {"ratings": ratings, "genres": [GENRE], "exclude": excluded, "top_k": TOP_K}
        asked.append(schemas.RecommendRequest.model_validate(body))
    return asked


def measured(model: LoadedModel, stars: LoadedModel) -> dict[str, Any]:
    """Return mean and 99th percentile in milliseconds, each of the best of some rounds."""
    people, feedback = model.recommender.user_recommender, NoFeedback()
    # Each round has people of its own: scores of the same person are kept.
    asked = requests(model, 2 * ROUNDS * PEOPLE)
    fold_in: Any = people.scores

    def make_list(one: schemas.RecommendRequest) -> None:
        lists.score_page(model, one, feedback, _NO_ROWS, reasons=False)  # type: ignore[arg-type]

    def make_answer(one: schemas.RecommendRequest) -> None:
        lists.build_page(model, stars, one, feedback)  # type: ignore[arg-type]

    def make_scores(one: Any) -> None:
        fold_in(one)

    half = ROUNDS * PEOPLE
    made = timed(make_list, asked[:half])
    answered = timed(make_answer, asked[half:])
    # By then the scores of these people are no longer kept.
    persons = [lists.resolve_user(people, one, feedback) for one in asked[:half]]  # type: ignore[arg-type]
    scored = timed(make_scores, persons)
    return {
        "model": model.name,
        "fold_in_ms": float(scored.mean()),
        "list_ms": float(made.mean()),
        "list_p99_ms": float(np.percentile(made, 99)),
        "answer_ms": float(answered.mean()),
        "answer_p99_ms": float(np.percentile(answered, 99)),
    }


def timed(work: Callable[[Any], None], each: Sequence[Any]) -> np.ndarray:
    """Return the milliseconds of each in the fastest of ``ROUNDS`` equal parts."""
    took = []
    for one in each:
        started = time.thread_time()
        work(one)
        took.append(1000 * (time.thread_time() - started))
    rounds = np.array(took).reshape(ROUNDS, -1)
    return np.asarray(rounds[rounds.mean(axis=1).argmin()])


if __name__ == "__main__":
    main()
