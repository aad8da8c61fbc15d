"""Choose the weights of events on validation, for a data set that has events and no stars.

The metric is NDCG@10 of the next visit. The movies that the current weights count as liked are the
relevant ones, whatever weights are tried. No test user and no test visit is read. Half of the
validation users choose the weights and the other half compare them with the current ones, because
the best of many trials looks too good on the users who chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

from moovier.data.event_files import (
    EVENTS,
    Events,
    has_events_only,
    read_events,
    to_ratings,
)
from moovier.data.movielens import MovieLens, read_movies, tables_of, to_arrays
from moovier.data.ratings import Index, Ratings
from moovier.data.split import Development, development_split
from moovier.errors import BadRequest, InvalidData
from moovier.evaluation import metrics, ranking
from moovier.evaluation.metrics import Values
from moovier.event_weights import format_event_weights, parse_event_weights
from moovier.models.families import family
from moovier.settings import Settings
from moovier.training.fit import refit

#: The family of all trials: it weighs ratings by their stars, and a fit takes about a second.
FAMILY = "ease"
_LIKED, _DISLIKED = (0.0, 0.2, 0.6, 1.0), (0.0, -0.2, -0.4, -0.6, -0.8)
#: The weights that are tried: one for each number of stars. `shown` says what was listed, not what
#: a person did.
GRIDS: Mapping[str, tuple[float, ...]] = {
    "viewed": _LIKED,
    "clicked": _LIKED,
    "finished": _LIKED,
    "skipped": _DISLIKED,
    "bookmarked": _LIKED,
    "not_for_me": _DISLIKED,
    "seen": _LIKED,
}
#: The least stars of a movie that counts as liked.
LEAST_LIKED = 4.0
LEAST_USERS = 20

OnTrial = Callable[[int, float], None]
Weights = Mapping[str, float]


@dataclass(frozen=True)
class TunedWeights:
    """The current and the best weights, with their NDCG@10 on the users who chose.

    ``gain``: the difference of both on the other users; ``low`` and ``high``: its 95 % interval.
    ``users``: validation users, both halves together.
    """

    current: str
    best: str
    trials: int
    users: int
    current_ndcg: float
    best_ndcg: float
    gain: float
    low: float
    high: float

    @property
    def is_better(self) -> bool:
        """Whether the whole interval of the gain is above 0."""
        return self.low > 0


def tune(
    folder: Path, settings: Settings, *, trials: int, on_trial: OnTrial | None = None
) -> TunedWeights:
    """Try ``trials`` sets of weights, the current ones first.

    ``folder``: has ``events.csv``. ``on_trial`` gets the number of finished trials and the best
    NDCG@10 so far.

    Raises:
        BadRequest: the folder has no events, or has ratings too.
        InvalidData: a file is invalid, or too few users come back after a pause.
    """
    if not has_events_only(folder):
        raise BadRequest(f"{folder}: give a folder with {EVENTS} and without ratings.csv")
    validation = _Validation(folder, settings)
    current = parse_event_weights(settings.event_weights)
    kinds = set(validation.events.table["event"])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=settings.seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    results: dict[str, Values] = {}
    for number in range(trials):
        weights = dict(current)
        # The current weights may lie outside of the grids, so they are no trial of the study.
        trial = study.ask() if number else None
        if trial is not None:
            for kind in GRIDS:
                if kind in kinds:
                    weights[kind] = trial.suggest_categorical(kind, GRIDS[kind])
        name = format_event_weights(weights)
        if name not in results:
            results[name] = validation.ndcg(weights)
        if trial is not None:
            study.tell(trial, float(results[name][::2].mean()))
        if on_trial is not None:
            on_trial(number + 1, max(float(values[::2].mean()) for values in results.values()))
    return _compared(format_event_weights(current), results, trials, settings.seed)


def _compared(current: str, results: Mapping[str, Values], trials: int, seed: int) -> TunedWeights:
    """Choose by the even users, and compare with the current weights by the odd ones."""
    # Of equal results the first one, so that the current weights stay.
    best = max(results, key=lambda name: results[name][::2].mean())
    gains = results[best][1::2] - results[current][1::2]
    low, high = metrics.bootstrap(gains, seed)
    return TunedWeights(
        current=current,
        best=best,
        trials=trials,
        users=results[current].size,
        current_ndcg=float(results[current][::2].mean()),
        best_ndcg=float(results[best][::2].mean()),
        gain=float(gains.mean()),
        low=low,
        high=high,
    )


class _Validation:
    """The events before each user's validation visit, and the liked movies of that visit."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.events = read_events(folder, settings)
        self._settings = settings
        movies = read_movies(tables_of(folder, settings.bad_rows_share), self.events.texts)
        rated = to_ratings(self.events.table, parse_event_weights(settings.event_weights))
        data = MovieLens(folder.name, rated, movies, synthetic=False)
        self._index, ratings, self._catalogue = to_arrays(data)
        split = development_split(ratings)
        self._test = split.next_visit.take(split.next_visit.stars >= LEAST_LIKED)
        n_users = np.unique(self._test.users).size
        if n_users < LEAST_USERS:
            raise InvalidData(
                f"{EVENTS}: {n_users} validation users like a movie in their last visit, and "
                f"comparing weights needs {LEAST_USERS}"
            )
        self._before = _before(self.events, self._index, split)

    def ndcg(self, weights: Weights) -> Values:
        """Return the NDCG@10 of each validation user, (n_users,), 0 to 1."""
        known = _ratings(to_ratings(self._before, weights), self._index)
        if not len(known):
            return np.zeros(np.unique(self._test.users).size)
        kind = family(FAMILY)
        fitted = refit(
            known,
            FAMILY,
            kind.hyper_parameters.model_validate({}),
            catalogue=self._catalogue,
            epochs=1,
            seed=self._settings.seed,
            threads=self._settings.threads,
        )
        return ranking.evaluate(kind.scorer(fitted.arrays), known.histories, self._test).ndcg


def _before(events: Events, index: Index, split: Development) -> pd.DataFrame:
    """Return the events up to the last training rating of each user, without the test's movies."""
    train = split.train
    last = np.full(train.n_users, -1, dtype=np.int64)
    np.maximum.at(last, train.users, train.timestamps)
    rated = _with_rows(events.table, index)
    users, movies = rated["user"].to_numpy(), rated["movie"].to_numpy()
    is_before = (users >= 0) & (rated["timestamp"].to_numpy() <= last[users])
    held_out = np.isin(users.astype(np.int64) * train.n_movies + movies, split.next_visit.pairs)
    return pd.DataFrame(events.table[is_before & ~held_out])


def _with_rows(table: pd.DataFrame, index: Index) -> pd.DataFrame:
    users = index.user_rows(table["userId"].to_numpy(np.int64))
    return pd.DataFrame(
        table.assign(user=users, movie=index.movie_rows(table["movieId"].to_numpy(np.int64)))
    )


def _ratings(table: pd.DataFrame, index: Index) -> Ratings:
    rated = _with_rows(table, index)
    return Ratings(
        users=rated["user"].to_numpy(),
        movies=rated["movie"].to_numpy(),
        stars=rated["rating"].to_numpy(np.float32),
        timestamps=rated["timestamp"].to_numpy(np.int64),
        n_users=index.users.size,
        n_movies=index.movies.size,
    )
