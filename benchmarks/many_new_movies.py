"""``python -m benchmarks.many_new_movies``: measure adding and changing one of many new movies.

Thousands of movies with titles, people and texts made of words of the catalogue are stored in a
database of their own and added to a loaded model, as ``PUT /movies/{id}`` and a running service do.
Times are processor times of the thread, so that other work on the machine matters less:

- ``store all``: check the movies and write them, as ``moovier movies add FILE`` does;
- ``add all to the model``: what a service does after that, once for each model in memory;
- ``store one more``: write one movie, as ``PUT`` does;
- ``read the change``: what each process of the service reads from the database after that;
- ``add one to the model``: what each process does for each model in memory.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks import report
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.catalogue import Catalogue
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.new_movies import MOVIES_CHANGED, NewMovie, NewMovieStore
from moovier.feedback.store import FeedbackStore
from moovier.serving import bundle_loader
from moovier.serving.new_movies import NewMovies
from moovier.settings import load_settings

FAMILY = "ease"
#: The first id of the new movies.
_FIRST_ID = 9_000_000
_WORDS, _PEOPLE, _ROUNDS = 40, 6, 5


def main() -> None:
    """Print the times and write ``benchmarks/out/many_new_movies.json``."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.many_new_movies")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--movies", type=int, default=5000, help="number of new movies")
    options = arguments.parse_args()
    reference = sources.fetch(load_settings(**report.data_setting(options.data)))
    with tempfile.TemporaryDirectory() as temporary:
        # Another process trains the model, so that this one never imports TensorFlow.
        command = [sys.executable, "-m", "benchmarks.lists", "--fit", FAMILY, temporary]
        data = [] if options.data is None else ["--data", options.data]
        subprocess.run([*command, *data], check=True)
        threadpool_limits(1)
        model = bundle_loader.load(Path(temporary, FAMILY), 1, FAMILY)
        movies = make_movies(model.recommender.bundle.catalogue, options.movies)
        times = measure(model, movies, f"sqlite:///{temporary}/feedback.sqlite")
    table = Table(title=f"{reference.name}: {len(movies):,} new movies")
    table.add_column("Step")
    table.add_column("ms", justify="right")
    for name, ms in times.items():
        table.add_row(name, f"{ms:,.0f}")
    plain_console(soft_wrap=False).print(table)
    report.write("many_new_movies", {"data": reference.name, "movies": len(movies), **times})


def make_movies(catalogue: Catalogue, size: int) -> tuple[NewMovie, ...]:
    """Return ``size`` movies with the genres and years of movies of the catalogue."""
    random = np.random.default_rng(18)
    words = [word for movie in catalogue for word in movie.title.split()]
    movies = []
    for place in range(size):
        like = catalogue[int(random.integers(len(catalogue)))]
        text = random.choice(words, _WORDS + 2 * _PEOPLE + 3).tolist()
        people = [" ".join(text[n : n + 2]).replace("|", "") for n in range(0, 2 * _PEOPLE, 2)]
        title = " ".join(text[2 * _PEOPLE : 2 * _PEOPLE + 3])
        genres = tuple(name for name in like.genres if not name.startswith("("))
        movie = NewMovie(_FIRST_ID + place, title, like.year, genres)
        about = " ".join(text[2 * _PEOPLE + 3 :])
        movies.append(replace(movie, people=tuple(dict.fromkeys(people)), text=about))
    return tuple(movies)


def measure(
    model: bundle_loader.LoadedModel, movies: tuple[NewMovie, ...], url: str
) -> dict[str, float]:
    """Return the milliseconds of each step; those of one movie are medians."""
    # A service has the indexes of its first requests.
    for name in ("title_index", "filter_index"):
        getattr(model.recommender.user_recommender, name)
    times: dict[str, float] = {}
    cache = FeedbackCache(url)
    with contextlib.closing(FeedbackStore.open(url)) as store, contextlib.closing(cache):
        new = NewMovieStore(store.database)
        cache.reload()
        times["store all"] = _ms(lambda: new.put(movies))
        cache.reload()
        times["add all to the model"] = _ms(lambda: NewMovies(movies).added_to(model))
        extended = NewMovies(cache.new_movies).added_to(model)
        steps: dict[str, list[float]] = {
            name: [] for name in ("store one more", "read the change", "add one to the model")
        }
        for turn in range(_ROUNDS):
            changed = replace(movies[turn], title=f"Changed {turn}", text=movies[turn + 1].text)
            steps["store one more"].append(_ms(partial(new.put, [changed])))
            steps["read the change"].append(_ms(partial(cache.reload_user, MOVIES_CHANGED)))
            after = NewMovies(cache.new_movies)
            steps["add one to the model"].append(_ms(partial(after.added_to, extended)))
            extended = after.added_to(extended)
    return times | {name: float(np.median(values)) for name, values in steps.items()}


def _ms(do: Callable[[], Any]) -> float:
    started = time.thread_time()
    do()
    return 1000 * (time.thread_time() - started)


if __name__ == "__main__":
    main()
