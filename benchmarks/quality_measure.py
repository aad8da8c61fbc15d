"""The protocol of `make bench-quality`: tune a model, fit it again, judge it once."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from benchmarks.contenders import TUNING_SEED, Contender, middle
from moovier.data.arrays import Floats, Histories, History, Ratings
from moovier.data.split import Split, by_time, hold_out_users, random_split, time_split
from moovier.evaluation import ranking
from moovier.evaluation.metrics import bootstrap
from moovier.evaluation.ranking import RankingResult
from moovier.evaluation.stars import StarsResult
from moovier.training.fit import both

#: Seeds of the held-out users and of the stars' test (docs/metrics.md), of the raters' validation
#: rows, and of the bootstrap.
SPLIT_SEED, INNER_SEED, INTERVAL_SEED = 0, 1, 0
#: People that are asked for one at a time, for the milliseconds.
TIMED_USERS = 100
#: How many of their newest ratings new people are also judged by.
SHOWN = (0, 1, 4, 19)
#: Random trials before Optuna's sampler learns from them, as in moovier/tuning/study.py.
STARTUP_TRIALS = 8

Entry = Mapping[str, Any]
Say = Callable[[str], None]
Result = TypeVar("Result", RankingResult, StarsResult)


@dataclass(frozen=True)
class Data:
    """The splits that everybody meets.

    ``ranking``: by time. ``kept``, ``shown``, ``later``: the users who are trained on, and what is
    shown and asked of the others. ``rows``, ``rows_test``: nine tenths and a tenth, at random;
    ``inner``: the former split once more, for tuning.
    """

    ranking: Split
    kept: Ratings
    shown: Ratings
    later: Ratings
    rows: Ratings
    rows_test: Ratings
    inner: Split

    @classmethod
    def of(cls, ratings: Ratings) -> Data:
        kept, held_out = hold_out_users(ratings, SPLIT_SEED)
        shown, later = by_time(held_out)
        rows, rows_test = random_split(ratings, SPLIT_SEED)
        inner = Split(*random_split(rows, INNER_SEED), rows_test)
        return cls(time_split(ratings), kept, shown, later, rows, rows_test, inner)


@dataclass(frozen=True)
class Recipe:
    """What tuning chose. ``figure``: on the validation part. ``trial``: of ``trials``, counted from
    1; 0 where nothing was tuned."""

    params: Any
    epochs: int
    figure: float
    trial: int
    trials: int
    seconds: float


def measure(contender: Contender, data: Data, *, trials: int, seeds: int, say: Say) -> Entry:
    """Tune one model, fit it again and judge it: everything there is to tell of it.

    ``known`` and ``new`` are None where it ranks nobody of that kind, ``stars`` where it does not
    rate.
    """
    split = data.inner if contender.rates else data.ranking
    recipe = tune(contender, split, trials=trials, say=say)
    known = new = stars = None
    if contender.ranks:
        before = both(data.ranking.train, data.ranking.validation)
        known = _ranked(contender, recipe, before, data.ranking.test, before, seeds=seeds, say=say)
        if contender.folds_in and len(data.later):
            # Where two seeds gave the same lists, they will again.
            again = seeds if known["fits"] > 1 else 1
            new = _ranked(
                contender,
                recipe,
                data.kept,
                data.later,
                data.shown,
                seeds=again,
                say=say,
                fold_in=True,
            )
    if contender.rates:
        stars = _rated(contender, recipe, data, seeds=seeds, say=say)
    return {
        "model": contender.name,
        "ours": contender.ours,
        "tuning": {
            "figure": "rmse" if contender.rates else "ndcg_at_10",
            "value": recipe.figure,
            "trials": recipe.trials,
            "best_trial": recipe.trial,
            "seconds": recipe.seconds,
            "epochs": recipe.epochs if contender.ours else None,
            "chosen": contender.shown(recipe.params),
        },
        "known": known,
        "new": new,
        "stars": stars,
    }


def tune(contender: Contender, split: Split, *, trials: int, say: Say = lambda _: None) -> Recipe:
    """The best of ``trials``, all of them on ``split.train`` and ``split.validation``.

    The first is the middle of the search space, ours too: our defaults have seen more tuning than
    any rival here gets. With 0 trials those defaults are taken as they are, and the middle for
    rivals.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    started = time.perf_counter()
    tried: list[tuple[float, int, Any]] = []

    def attempt(params: Any) -> float:
        figure, epochs = contender.attempt(split, params)
        tried.append((figure, epochs, params))
        if len(tried) == 1 < n_trials:
            say(f"the first of {n_trials} trials took {time.perf_counter() - started:.1f} s")
        return figure

    start = middle(contender.search_space)
    n_trials = trials if start else min(trials, 1)
    if n_trials:
        study = optuna.create_study(
            direction="minimize" if contender.rates else "maximize",
            sampler=optuna.samplers.TPESampler(seed=TUNING_SEED, n_startup_trials=STARTUP_TRIALS),
        )
        study.enqueue_trial(start)
        study.optimize(lambda trial: attempt(contender.search_space(trial)), n_trials=n_trials)
    else:
        attempt(contender.default())
    figures = [figure for figure, _, _ in tried]
    best = int(np.argmin(figures) if contender.rates else np.argmax(figures))
    figure, epochs, params = tried[best]
    seconds = time.perf_counter() - started
    name = "RMSE" if contender.rates else "NDCG@10"
    chosen = f"trial {best + 1} of {n_trials}" if n_trials else "the defaults"
    say(f"validation {name} {figure:.4f} with {chosen}, {seconds:.1f} s in all")
    return Recipe(params, epochs, figure, best + 1 if n_trials else 0, n_trials, seconds)


def _ranked(
    contender: Contender,
    recipe: Recipe,
    train: Ratings,
    test: Ratings,
    known: Ratings,
    *,
    seeds: int,
    say: Say,
    fold_in: bool = False,
) -> dict[str, Any]:
    """Ranking figures on ``test`` for people of whom ``known`` is known."""
    started = time.perf_counter()
    histories = known.histories
    by_shown: list[list[float]] = []
    ms: list[float] = []

    def judged(scorer: Any) -> RankingResult:
        result = ranking.evaluate(scorer, histories, test, fold_in=fold_in)
        ms.append(_ms_per_user(scorer, histories, result, fold_in=fold_in))
        if fold_in:
            by_shown.append([_shown_only(scorer, histories, test, newest) for newest in SHOWN])
        return result

    results, fit_s = _repeated(
        contender,
        recipe,
        train,
        judged,
        seeds=seeds,
        same=lambda a, b: np.array_equal(a.top, b.top),
    )
    result = averaged(results)
    low, high = bootstrap(result.ndcg, INTERVAL_SEED)
    who, seconds = "new people" if fold_in else "known users", time.perf_counter() - started
    say(
        f"{who} NDCG@10 {result.metrics()['ndcg_at_10']:.4f}, fit in {fit_s:.1f} s "
        f"({len(results)} counted), {seconds:.1f} s in all"
    )
    found = {
        "users": int(result.users.size),
        **result.metrics(),
        "ndcg_at_10_low": low,
        "ndcg_at_10_high": high,
        "segments": result.segments(),
        "fits": len(results),
        "fit_s": fit_s,
        "ms_per_user": float(np.median(ms)),
    }
    if fold_in:
        means = np.mean(by_shown, axis=0).tolist()
        found["by_shown"] = dict(zip(map(str, SHOWN), means, strict=True))
    return found


def _rated(
    contender: Contender, recipe: Recipe, data: Data, *, seeds: int, say: Say
) -> dict[str, Any]:
    """Star figures on the random tenth."""
    started = time.perf_counter()
    known = data.rows.histories
    results, fit_s = _repeated(
        contender,
        recipe,
        data.rows,
        lambda model: contender.stars(model, known, data.rows_test),
        seeds=seeds,
        same=lambda a, b: np.array_equal(a.predicted, b.predicted),
    )
    figures = [result.metrics() for result in results]
    found = {name: float(np.mean([one[name] for one in figures])) for name in figures[0]}
    seconds = time.perf_counter() - started
    say(
        f"RMSE {found['rmse']:.4f}, fit in {fit_s:.1f} s ({len(results)} counted), "
        f"{seconds:.1f} s in all"
    )
    return {**found, "fits": len(results), "fit_s": fit_s}


def _repeated(
    contender: Contender,
    recipe: Recipe,
    train: Ratings,
    judged: Callable[[Any], Result],
    *,
    seeds: int,
    same: Callable[[Result, Result], bool],
) -> tuple[list[Result], float]:
    """One result a seed, a single one where the second seed changes nothing; median fit seconds."""
    results: list[Result] = []
    seconds: list[float] = []
    for seed in range(max(seeds, 1)):
        started = time.perf_counter()
        model = contender.fit(train, recipe.params, epochs=recipe.epochs, seed=seed)
        seconds.append(time.perf_counter() - started)
        result = judged(model)
        if results and same(results[0], result):
            break
        results.append(result)
    return results, float(np.median(seconds))


def averaged(results: Sequence[RankingResult]) -> RankingResult:
    """Each user's figures as means over several fits; the lists are the first fit's."""

    def mean(name: str) -> Any:
        return np.mean([getattr(result, name) for result in results], axis=0)

    return dataclasses.replace(
        results[0],
        ndcg=mean("ndcg"),
        recall=mean("recall"),
        hit=mean("hit"),
        coverage=float(mean("coverage")),
        popularity_bias=float(mean("popularity_bias")),
    )


class _Forgetful:
    """Somebody's model that is told their newest ratings only."""

    def __init__(self, scorer: Any, newest: int) -> None:
        self.n_movies = scorer.n_movies
        self._scorer = scorer
        self._newest = newest

    def fold_in(self, history: History) -> Floats:
        told = slice(max(len(history) - self._newest, 0), len(history))
        return self._scorer.fold_in(
            History(history.movies[told], history.stars[told], history.timestamps[told])
        )


def _shown_only(scorer: Any, histories: Histories, test: Ratings, newest: int) -> float:
    """NDCG@10 where each person showed ``newest`` ratings. All they rated stays out of the lists,
    so that the figures differ by what the model knows, not by what it may recommend."""
    result = ranking.evaluate(_Forgetful(scorer, newest), histories, test, fold_in=True)
    return result.metrics()["ndcg_at_10"]


def _ms_per_user(
    scorer: Any, histories: Histories, result: RankingResult, *, fold_in: bool
) -> float:
    """Mean wall time of scoring the catalogue for one person."""
    users = result.users[:TIMED_USERS]
    alone = [np.array([user], dtype=np.int64) for user in users]
    pasts = [histories[int(user)] for user in users]
    started = time.perf_counter()
    for user, past in zip(alone, pasts, strict=True):
        if fold_in:
            scorer.fold_in(past)
        else:
            scorer.score(user, histories)
    return 1000 * (time.perf_counter() - started) / len(users)
