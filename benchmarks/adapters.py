"""Our families and the baselines of :mod:`benchmarks.baselines` behind the same few calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.baselines import RANKERS, REGRESSORS, Predictor, Ranker, Regressor
from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Histories, Ratings
from moovier.data.split import Development
from moovier.evaluation import rating_metrics
from moovier.evaluation.rating_metrics import StarsResult
from moovier.models.families import FAMILIES
from moovier.models.family import FitContext, Scorer, Trial
from moovier.training import fit
from moovier.training.validation import geometric_mean, ranking_parts

#: Every model is tuned, fitted and measured on one thread, so that seconds compare.
THREADS = 1
#: All trials train with this seed, so that they differ by their parameters alone.
TUNING_SEED = 0
#: The family that the others are compared with.
CHAMPION = "dae"
#: Families whose weights are trained by gradient.
BY_GRADIENT = frozenset({"dae", "emb"})


@dataclass(frozen=True)
class Validation:
    """One trial's figure on the validation parts.

    ``figure``: RMSE in stars of a model that rates; else the geometric mean of ``parts``, the
    NDCG@10 of validation visitors and of validation next visits. ``epochs``: the training kept.
    """

    figure: float
    epochs: int = 1
    parts: Mapping[str, float] = field(default_factory=dict)


class Contender(Protocol):
    """A model that can be tuned, fitted and measured.

    ``ranks``: its ranking is measured. ``rates``: it predicts stars, and is tuned by them.
    ``keras``: trained by gradient. ``library``: the optional package that it needs.
    """

    name: str
    ours: bool
    keras: bool
    ranks: bool
    rates: bool
    library: str | None

    def default(self) -> Any:
        """Return untuned parameters: a family's defaults, the middle of a baseline's space."""

    def search_space(self, trial: Trial) -> Any:
        """Return parameters drawn from the search space."""

    def first_trial(self) -> dict[str, Any]:
        """Return the first trial's values by name; empty where there is nothing to tune."""

    def validate(self, split: Development, params: Any) -> Validation:
        """Fit on the training part of ``split`` and measure on its validation parts."""

    def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Any:
        """Return a :class:`Scorer`, or a :class:`Predictor` where the model does not rank."""

    def stars(self, model: Any, known: Histories, test: Ratings) -> StarsResult:
        """Predict the rows of ``test`` with a model that rates."""

    def tuned(self, params: Any) -> dict[str, Any]:
        """Return those of the parameters that are tuned, by name."""


class Middle:
    """A trial that answers the middle of each range, and keeps the answers in ``values``."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        middle = math.sqrt(low * high) if log else (low + high) / 2
        self.values[name] = middle
        return middle

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        middle = math.sqrt(low * high) if log else (low + high) / 2
        rounded = low + step * round((middle - low) / step)
        self.values[name] = rounded
        return rounded

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.values[name] = choices[len(choices) // 2]
        return self.values[name]


def middle(search_space: Callable[[Trial], Any]) -> dict[str, Any]:
    """Return the middle of a search space by name; empty where there is nothing to tune."""
    trial = Middle()
    search_space(trial)
    return trial.values


class Ours:
    """A family of the product, trained as the product trains it.

    ``rank_raters``: measure the ranking of a family that predicts stars too.
    """

    ours = True
    library: str | None = None

    def __init__(self, name: str, catalogue: Catalogue, *, rank_raters: bool = False) -> None:
        self.name = name
        self.keras = name in BY_GRADIENT
        self._family = FAMILIES[name]
        self._catalogue = catalogue
        self.rates = self._family.objective == "rating"
        self.ranks = rank_raters or not self.rates

    def default(self) -> Any:
        return self._family.hyper_parameters.model_validate({})

    def search_space(self, trial: Trial) -> Any:
        return self._family.search_space(trial)

    def first_trial(self) -> dict[str, Any]:
        """Return the defaults of the champion, and the middle of the space of the others.

        The champion's defaults were chosen on folds of the same development part, never on a test.
        """
        start = middle(self.search_space)
        if self.name != CHAMPION:
            return start
        defaults = self.default().model_dump()
        return {name: defaults[name] for name in start}

    def validate(self, split: Development, params: Any) -> Validation:
        if self.rates:
            return self._validate_stars(split, params)
        trained = fit.train(
            split,
            self.name,
            params,
            catalogue=self._catalogue,
            seed=TUNING_SEED,
            threads=THREADS,
        )
        return Validation(trained.validation_ndcg, trained.fitted.epochs, trained.validation)

    def _validate_stars(self, split: Development, params: Any) -> Validation:
        # Not by fit.train, which ranks for everybody too.
        fit.limit_threads(THREADS)
        fitted = self._family.fit(
            split.stars_train,
            params,
            FitContext(self._catalogue, TUNING_SEED, validation=split.stars_validation),
        )
        return Validation(_rmse(self, self._family.scorer(fitted.arrays), split), fitted.epochs)

    def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Scorer:
        fitted = fit.refit(
            ratings,
            self.name,
            params,
            catalogue=self._catalogue,
            epochs=epochs,
            seed=seed,
            threads=THREADS,
        )
        return self._family.scorer(fitted.arrays)

    def stars(self, model: Scorer, known: Histories, test: Ratings) -> StarsResult:
        return rating_metrics.evaluate(model, known, test)

    def tuned(self, params: Any) -> dict[str, Any]:
        values = params.model_dump(mode="json")
        return {name: values[name] for name in middle(self.search_space) if name in values}


class _Baseline:
    ours = False
    keras = False

    def __init__(self, baseline: Ranker | Regressor) -> None:
        self.name = baseline.name
        self.library = baseline.library
        self._baseline = baseline

    def default(self) -> Any:
        return self._baseline.search_space(Middle())

    def search_space(self, trial: Trial) -> Any:
        return self._baseline.search_space(trial)

    def first_trial(self) -> dict[str, Any]:
        return middle(self.search_space)

    def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Any:
        return self._baseline.fit(ratings, params, seed)

    def tuned(self, params: Any) -> dict[str, Any]:
        return dict(params)


class RankingBaseline(_Baseline):
    """A baseline that ranks movies."""

    ranks = True
    rates = False

    def validate(self, split: Development, params: Any) -> Validation:
        parts = ranking_parts(split)
        scorer = self.fit(parts.train, params, epochs=1, seed=TUNING_SEED)
        found = parts.evaluate(scorer)
        return Validation(geometric_mean(found), parts=found)

    def stars(self, model: Scorer, known: Histories, test: Ratings) -> StarsResult:
        raise TypeError(f"{self.name} predicts no stars")


class RatingBaseline(_Baseline):
    """A baseline that predicts stars for pairs of users and movies, and nothing else."""

    ranks = False
    rates = True

    def validate(self, split: Development, params: Any) -> Validation:
        model = self.fit(split.stars_train, params, epochs=1, seed=TUNING_SEED)
        return Validation(_rmse(self, model, split))

    def stars(self, model: Predictor, known: Histories, test: Ratings) -> StarsResult:
        return StarsResult(model.predict(test.users, test.movies), test.stars.astype("float32"))


def _rmse(contender: Contender, model: Any, split: Development) -> float:
    """Return the RMSE, in stars, on the validation rows of a model that rates."""
    found = contender.stars(model, split.stars_train.histories, split.stars_validation)
    return found.metrics()["rmse"]


def contenders(
    catalogue: Catalogue, only: Iterable[str] = (), *, rank_raters: bool = False
) -> list[Contender]:
    """Return our families, the champion first, then the baselines.

    ``only``: keep those whose name contains any of its parts. ``rank_raters``: see :class:`Ours`.
    """
    families = sorted(FAMILIES, key=lambda name: name != CHAMPION)
    every: list[Contender] = [
        *(Ours(name, catalogue, rank_raters=rank_raters) for name in families),
        *map(RankingBaseline, RANKERS),
        *map(RatingBaseline, REGRESSORS),
    ]
    parts = [part.lower() for part in only]
    return [one for one in every if not parts or any(part in one.name.lower() for part in parts)]
