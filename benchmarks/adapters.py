"""Adapt Moovier's families and the baselines to one interface, for ``make bench-quality``."""

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

#: Threads of every tuning, fit and measurement, so that times are comparable.
THREADS = 1
#: Seed of all trials, so that they differ only by their parameters.
TUNING_SEED = 0
#: The family that all models are compared with.
CHAMPION = "dae"
#: Families that are trained by gradient descent.
BY_GRADIENT = frozenset({"dae", "emb", "elsa"})


@dataclass(frozen=True)
class Validation:
    """The result of one trial on the validation parts.

    Attributes:
        figure: RMSE in stars of a model that predicts stars; else the geometric mean of ``parts``.
        epochs: Number of epochs of the best validation result.
        parts: NDCG@10 of validation visitors and of validation next visits.
    """

    figure: float
    epochs: int = 1
    parts: Mapping[str, float] = field(default_factory=dict)


class Contender(Protocol):
    """A model that can be tuned, fitted and measured.

    Attributes:
        name: Name of the model.
        ours: Whether it is one of Moovier's families.
        keras: Whether it is trained by gradient descent.
        ranks: Whether its ranking is measured.
        rates: Whether it predicts stars; its tuning then uses the RMSE.
        library: The optional package that it needs.
    """

    name: str
    ours: bool
    keras: bool
    ranks: bool
    rates: bool
    library: str | None

    def default(self) -> Any:
        """Return untuned parameters: a family's defaults or the middle of a baseline's space."""

    def search_space(self, trial: Trial) -> Any:
        """Return parameters drawn from the search space."""

    def first_trial(self) -> dict[str, Any]:
        """Return the first trial's values by name; empty if the model has nothing to tune."""

    def validate(self, split: Development, params: Any) -> Validation:
        """Fit on the training part of ``split`` and measure on its validation parts."""

    def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Any:
        """Fit a model: a :class:`Scorer`, or a :class:`Predictor` if the model does not rank."""

    def stars(self, model: Any, known: Histories, test: Ratings) -> StarsResult:
        """Predict the rows of ``test`` with a model that predicts stars."""

    def tuned(self, params: Any) -> dict[str, Any]:
        """Return the tuned parameters by name."""


class Middle:
    """A trial that suggests the middle of each range, and stores it in ``values``."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Suggest the middle, or the geometric middle of a logarithmic range."""
        middle = math.sqrt(low * high) if log else (low + high) / 2
        self.values[name] = middle
        return middle

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Suggest the step next to the middle of the range."""
        middle = math.sqrt(low * high) if log else (low + high) / 2
        rounded = low + step * round((middle - low) / step)
        self.values[name] = rounded
        return rounded

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Suggest the middle choice."""
        self.values[name] = choices[len(choices) // 2]
        return self.values[name]


def middle(search_space: Callable[[Trial], Any]) -> dict[str, Any]:
    """Return the middle of a search space by name; empty if the space is empty."""
    trial = Middle()
    search_space(trial)
    return trial.values


class Ours:
    """A family of Moovier, trained as in a retraining."""

    ours = True
    library: str | None = None

    def __init__(self, name: str, catalogue: Catalogue, *, rank_raters: bool = False) -> None:
        """Adapt the family ``name``; ``rank_raters``: rank with families that predict stars too."""
        self.name = name
        self.keras = name in BY_GRADIENT
        self._family = FAMILIES[name]
        self._catalogue = catalogue
        self.rates = self._family.objective == "rating"
        self.ranks = rank_raters or not self.rates

    def default(self) -> Any:
        """Return the family's default hyper-parameters."""
        return self._family.hyper_parameters.model_validate({})

    def search_space(self, trial: Trial) -> Any:
        """Return hyper-parameters drawn from the family's search space."""
        return self._family.search_space(trial)

    def first_trial(self) -> dict[str, Any]:
        """Return the champion's defaults, or the middle of another family's search space.

        The champion's defaults were chosen on folds of the same development part, never on a test.
        """
        start = middle(self.search_space)
        if self.name != CHAMPION:
            return start
        defaults = self.default().model_dump()
        return {name: defaults[name] for name in start}

    def validate(self, split: Development, params: Any) -> Validation:
        """Fit on the training part of ``split`` and evaluate on its validation parts."""
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
        # fit.train would also rank for all validation users.
        fit.limit_threads(THREADS)
        fitted = self._family.fit(
            split.stars_train,
            params,
            FitContext(self._catalogue, TUNING_SEED, validation=split.stars_validation),
        )
        return Validation(_rmse(self, self._family.scorer(fitted.arrays), split), fitted.epochs)

    def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Scorer:
        """Fit the family on ``ratings`` for a fixed number of epochs."""
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
        """Predict the rows of ``test``."""
        return rating_metrics.evaluate(model, known, test)

    def tuned(self, params: Any) -> dict[str, Any]:
        """Return the hyper-parameters of the search space by name."""
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
        """Fit on the training part of ``split`` and evaluate on its validation parts."""
        parts = ranking_parts(split)
        scorer = self.fit(parts.train, params, epochs=1, seed=TUNING_SEED)
        ndcg = parts.evaluate(scorer)
        return Validation(geometric_mean(ndcg), parts=ndcg)

    def stars(self, model: Scorer, known: Histories, test: Ratings) -> StarsResult:
        """Raise, because the baseline does not predict stars."""
        raise TypeError(f"{self.name} does not predict stars; evaluate its ranking")


class RatingBaseline(_Baseline):
    """A baseline that only predicts stars for pairs of users and movies."""

    ranks = False
    rates = True

    def validate(self, split: Development, params: Any) -> Validation:
        """Fit on the training rows of ``split`` and evaluate on its validation rows."""
        model = self.fit(split.stars_train, params, epochs=1, seed=TUNING_SEED)
        return Validation(_rmse(self, model, split))

    def stars(self, model: Predictor, known: Histories, test: Ratings) -> StarsResult:
        """Predict the rows of ``test``."""
        return StarsResult(model.predict(test.users, test.movies), test.stars.astype("float32"))


def _rmse(contender: Contender, model: Any, split: Development) -> float:
    """Return the RMSE in stars on the validation rows."""
    result = contender.stars(model, split.stars_train.histories, split.stars_validation)
    return result.metrics()["rmse"]


def contenders(
    catalogue: Catalogue, only: Iterable[str] = (), *, rank_raters: bool = False
) -> list[Contender]:
    """Return Moovier's families, the champion first, then the baselines.

    ``only`` selects models whose name contains any of its texts. ``rank_raters``: see
    :class:`Ours`.
    """
    families = sorted(FAMILIES, key=lambda name: name != CHAMPION)
    models: list[Contender] = [
        *(Ours(name, catalogue, rank_raters=rank_raters) for name in families),
        *map(RankingBaseline, RANKERS),
        *map(RatingBaseline, REGRESSORS),
    ]
    texts = [text.lower() for text in only]
    return [
        model for model in models if not texts or any(text in model.name.lower() for text in texts)
    ]
