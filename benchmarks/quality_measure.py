"""The protocol of ``make bench-quality``: tune a model, fit it and measure it once."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from benchmarks.adapters import TUNING_SEED, Contender, Validation
from moovier.data.ratings import Ratings
from moovier.data.split import (
    SPLIT_SEED,
    Development,
    development_split,
    hold_out_users,
    random_split,
    split_at_time,
    split_last_share,
    split_last_visit,
)
from moovier.evaluation import metrics, next_visit, order_audit, visitor
from moovier.evaluation.order_audit import OrderAudit
from moovier.evaluation.ranking import RankingResult
from moovier.evaluation.visitor import KS, Visitors
from moovier.training.validation import newest

#: Seed of the bootstrap.
INTERVAL_SEED = 0
#: Number of visits that are scored one at a time to measure the milliseconds.
TIMED_VISITS = 100
#: Random trials before Optuna's sampler learns from them, as in moovier/tuning/study.py.
STARTUP_TRIALS = 8

Entry = Mapping[str, Any]
Say = Callable[[str], None]
Record = TypeVar("Record")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Data:
    """The splits that every model is measured on.

    Attributes:
        development: The data of tuning.
        kept: Ratings of the users for training, in the visitor protocol.
        held_out: Ratings of the other users.
        visitors: Draws from the ratings of the held-out users.
        before: Ratings before each user's last visit.
        after: Ratings of the last visit.
        earlier: Each user's first 80 % of the ratings.
        later: Each user's last 20 %.
        until: Ratings before one time for all users.
        since: Ratings of known users after that time.
        rows: Nine tenths of the ratings, drawn at random.
        rows_test: The other tenth.
    """

    development: Development
    kept: Ratings
    held_out: Ratings
    visitors: Visitors
    before: Ratings
    after: Ratings
    earlier: Ratings
    later: Ratings
    until: Ratings
    since: Ratings
    rows: Ratings
    rows_test: Ratings

    @classmethod
    def of(cls, ratings: Ratings) -> Data:
        """Split ``ratings`` with fixed seeds."""
        kept, held_out = hold_out_users(ratings, SPLIT_SEED)
        until, since = split_at_time(ratings)
        return cls(
            development_split(ratings, SPLIT_SEED),
            kept,
            held_out,
            visitor.draw_visitors(held_out, moment=newest(ratings), seed=SPLIT_SEED),
            *split_last_visit(ratings),
            *split_last_share(ratings),
            until,
            since.take(np.isin(since.users, until.users)),
            *random_split(ratings, SPLIT_SEED),
        )


@dataclass(frozen=True)
class Recipe:
    """The result of tuning.

    Attributes:
        params: The chosen parameters.
        validation: Their result on the validation parts.
        trial: Number of the best trial, from 1; 0 without tuning.
        trials: Number of trials.
        seconds: Seconds of all trials.
    """

    params: Any
    validation: Validation
    trial: int
    trials: int
    seconds: float


def measure(contender: Contender, data: Data, *, trials: int, seeds: int, say: Say) -> Entry:
    """Tune one model, fit it for each protocol, and measure it.

    The result of a protocol is None if the model cannot take part or no user qualifies. ``visitor``
    and ``next_visit`` also have the metrics of each user, for paired comparisons.
    """
    recipe = tune(contender, data.development, trials=trials, say=say)
    entry: dict[str, Any] = {
        "model": contender.name,
        "ours": contender.ours,
        "keras": contender.keras,
        "tuning": {
            "figure": "rmse" if contender.rates else "objective",
            "value": recipe.validation.figure,
            "parts": dict(recipe.validation.parts),
            "trials": recipe.trials,
            "best_trial": recipe.trial,
            "seconds": recipe.seconds,
            "epochs": recipe.validation.epochs,
            "chosen": contender.tuned(recipe.params),
        },
        **dict.fromkeys(("visitor", "order_audit", "next_visit", "by_time", "global_time")),
        "stars": None,
    }
    runner = _Runner(contender, recipe, data, seeds, say)
    if contender.ranks:
        entry |= runner.visitors()
        entry["next_visit"] = runner.ranked("next visit", data.before, data.after)
        entry["by_time"] = runner.ranked("last 20 %", data.earlier, data.later)
        entry["global_time"] = runner.ranked("global time", data.until, data.since)
    if contender.rates:
        entry["stars"] = runner.stars()
    return entry


def tune(
    contender: Contender, split: Development, *, trials: int, say: Say = lambda _: None
) -> Recipe:
    """Return the best of ``trials`` on the development split, one fit each.

    The contender defines the first trial, and Optuna draws the others. With 0 trials the result
    has the contender's defaults.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    started = time.perf_counter()
    attempts: list[tuple[Validation, Any]] = []
    start = contender.first_trial()
    n_trials = trials if start else min(trials, 1)

    def attempt(params: Any) -> float:
        validation = contender.validate(split, params)
        attempts.append((validation, params))
        if len(attempts) == 1 < n_trials:
            say(f"the first of {n_trials} trials took {time.perf_counter() - started:.1f} s")
        return validation.figure

    if n_trials:
        study = optuna.create_study(
            direction="minimize" if contender.rates else "maximize",
            sampler=optuna.samplers.TPESampler(seed=TUNING_SEED, n_startup_trials=STARTUP_TRIALS),
        )
        study.enqueue_trial(start)
        study.optimize(lambda trial: attempt(contender.search_space(trial)), n_trials=n_trials)
    else:
        attempt(contender.default())
    figures = [attempted.figure for attempted, _ in attempts]
    best = int(np.argmin(figures) if contender.rates else np.argmax(figures))
    validation, params = attempts[best]
    seconds = time.perf_counter() - started
    name = "RMSE" if contender.rates else "objective"
    chosen = f"trial {best + 1} of {n_trials}" if n_trials else "the defaults"
    parts = ", ".join(f"{part} {value:.4f}" for part, value in validation.parts.items())
    say(
        f"validation {name} {validation.figure:.4f} with {chosen}"
        f"{f' ({parts})' if parts else ''}, {seconds:.1f} s in total"
    )
    return Recipe(params, validation, best + 1 if n_trials else 0, n_trials, seconds)


@dataclass
class _Runner:
    """A runner that fits one recipe for each protocol and measures it on the test part.

    ``seeds`` is the number of fits per protocol; it becomes 1 once a second seed changes nothing.
    """

    contender: Contender
    recipe: Recipe
    data: Data
    seeds: int
    say: Say

    def visitors(self) -> dict[str, Any]:
        """Measure visitors and the order audit with one fit per seed."""
        data, ms = self.data, []
        counts = data.kept.histories.movie_counts()

        def evaluated(scorer: Any) -> tuple[Any, OrderAudit | None]:
            result = visitor.evaluate(scorer, data.visitors, counts)
            ms.append(_ms_per_user(scorer, data.visitors))
            return result, order_audit.evaluate(scorer, data.held_out, seed=SPLIT_SEED)

        results, fit_s = self._repeated(data.kept, evaluated, _same_visitors)
        audits = [audit for _, audit in results if audit is not None]
        audit = averaged(audits).metrics() if audits else None
        summary = None
        if results[0][0] is not None:
            mean = averaged([result for result, _ in results])
            summary = {
                **_summary(mean),
                "debiased": metrics.mean(mean.debiased),
                "k0": metrics.mean(mean.ndcg_k0),
                "by_k": {str(k): metrics.mean(mean.ndcg[:, column]) for column, k in enumerate(KS)},
                "fits": len(results),
                "fit_s": fit_s,
                "ms_per_user": float(np.median(ms)),
            }
            self.say(f"visitor NDCG@10 {summary['mean']:.4f}, {fit_s:.1f} s per fit")
        return {"visitor": summary, "order_audit": audit and _short_names(audit)}

    def ranked(self, name: str, known: Ratings, later: Ratings) -> dict[str, Any] | None:
        """Measure lists for the users of ``later`` from their ratings in ``known``."""
        if not len(later):
            return None
        histories = known.histories
        results, fit_s = self._repeated(
            known,
            lambda scorer: _present(next_visit.evaluate(scorer, histories, later)),
            lambda a, b: np.array_equal(a.top, b.top),
        )
        mean = averaged(results)
        summary = {
            **_summary(mean),
            **mean.metrics(),
            "debiased": metrics.mean(mean.debiased),
            "segments": mean.segments(),
            "fits": len(results),
            "fit_s": fit_s,
        }
        self.say(f"{name} NDCG@10 {summary['mean']:.4f}, {fit_s:.1f} s per fit")
        return summary

    def stars(self) -> dict[str, Any]:
        """Measure predicted stars on the random test rows."""
        known = self.data.rows.histories
        results, fit_s = self._repeated(
            self.data.rows,
            lambda model: self.contender.stars(model, known, self.data.rows_test),
            lambda a, b: np.array_equal(a.predicted, b.predicted),
        )
        each = [result.metrics() for result in results]
        means = {name: float(np.mean([values[name] for values in each])) for name in each[0]}
        self.say(f"RMSE {means['rmse']:.4f}, {fit_s:.1f} s per fit")
        return {**means, "fits": len(results), "fit_s": fit_s}

    def _repeated(
        self,
        train: Ratings,
        evaluated: Callable[[Any], Result],
        same: Callable[[Result, Result], bool],
    ) -> tuple[list[Result], float]:
        """Return one result per seed, and the median seconds of a fit.

        The list has a single result if the second seed changes nothing.
        """
        results: list[Result] = []
        seconds: list[float] = []
        for seed in range(max(self.seeds, 1)):
            started = time.perf_counter()
            model = self.contender.fit(
                train, self.recipe.params, epochs=self.recipe.validation.epochs, seed=seed
            )
            seconds.append(time.perf_counter() - started)
            result = evaluated(model)
            if results and same(results[0], result):
                self.seeds = 1
                break
            results.append(result)
        return results, float(np.median(seconds))


def _present(result: RankingResult | None) -> RankingResult:
    """Return the result, which is None only without users."""
    if result is None:
        raise ValueError("no user has a movie to find; evaluate on other ratings")
    return result


def averaged(results: Sequence[Record]) -> Record:
    """Return the first record with its metrics replaced by their means over all records.

    Metrics are floats and float64 arrays, such as each user's NDCG. All other fields (users, lists)
    are those of the first record.
    """
    changed = {}
    for field in dataclasses.fields(results[0]):  # type: ignore[arg-type]
        values = [getattr(result, field.name) for result in results]
        if isinstance(values[0], float):
            changed[field.name] = float(np.mean(values))
        elif isinstance(values[0], np.ndarray) and values[0].dtype == np.float64:
            changed[field.name] = np.mean(values, axis=0)
    return dataclasses.replace(results[0], **changed)  # type: ignore[type-var]


def _summary(result: visitor.VisitorResult | RankingResult) -> dict[str, Any]:
    """Return mean and interval of the NDCG, and the values of each user."""
    low, high = metrics.bootstrap(result.ndcg, INTERVAL_SEED)
    return {
        "mean": metrics.mean(result.ndcg),
        "low": low,
        "high": high,
        "users": result.users.tolist(),
        "ndcg": result.ndcg.tolist(),
    }


def _short_names(audit: Mapping[str, float]) -> dict[str, float]:
    """Return the audit's metrics without the prefix of their names."""
    return {
        name.removeprefix("order_audit_").removeprefix("ndcg_at_10_"): value
        for name, value in audit.items()
    }


def _same_visitors(first: Any, second: Any) -> bool:
    """Return whether two fits have the same metrics for each visitor."""
    result, other = first[0], second[0]
    return result is not None and bool(np.array_equal(result.ndcg, other.ndcg, equal_nan=True))


def _ms_per_user(scorer: Any, visitors: Visitors) -> float:
    """Return the mean wall time of scoring the catalogue for a visitor, in milliseconds.

    The visits are those with the most ratings, at most 20 each.
    """
    visits = sorted(visitors.visits, key=lambda visit: -len(visit.history))[:TIMED_VISITS]
    started = time.perf_counter()
    for visit in visits:
        scorer.fold_in(visit.history)
    return 1000 * (time.perf_counter() - started) / max(len(visits), 1)
