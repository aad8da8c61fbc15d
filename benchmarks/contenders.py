"""Our families and the rivals of :mod:`benchmarks.baselines` behind the same few calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from benchmarks.baselines import RANKERS, REGRESSORS, Predictor, Ranker, Regressor
from moovier.data.arrays import Histories, Ratings
from moovier.data.catalogue import Catalogue
from moovier.data.split import Split
from moovier.evaluation import ranking, stars
from moovier.evaluation.stars import StarsResult
from moovier.models.families import FAMILIES
from moovier.models.family import Scorer, Trial
from moovier.training import fit

#: Every model is tuned, fitted and asked on one thread, so that seconds compare.
THREADS = 1
#: All trials train with this one, so that they differ by their parameters alone.
TUNING_SEED = 0


class Contender(Protocol):
    """A model that can be tuned and fitted.

    ``ranks``: it orders movies. ``rates``: it predicts stars, and is tuned by them. ``folds_in``:
    it can be asked about new people. ``library``: the optional package that it cannot do without.
    """

    name: str
    ours: bool
    ranks: bool
    rates: bool
    folds_in: bool
    library: str | None

    def default(self) -> Any:
        """What it is without tuning: our defaults, the middle of a rival's search space."""

    def search_space(self, trial: Trial) -> Any:
        """Parameters drawn from its search space."""

    def attempt(self, split: Split, params: Any) -> tuple[float, int]:
        """Fit on ``split.train``; the figure on ``split.validation`` and the epochs it took.

        The figure is the RMSE (stars) of a contender that rates, else NDCG@10.
        """

    def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Any:
        """The model: a :class:`Scorer`, or a :class:`Predictor` where it does not rank."""

    def stars(self, model: Any, known: Histories, test: Ratings) -> StarsResult:
        """What a contender that rates predicts for the rows of ``test``."""

    def shown(self, params: Any) -> dict[str, Any]:
        """The tuned ones among the parameters, by name."""


class Middle:
    """A trial that answers the middle of each range, and remembers it in ``values``."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.values[name] = math.sqrt(low * high) if log else (low + high) / 2
        return self.values[name]

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        middle = math.sqrt(low * high) if log else (low + high) / 2
        self.values[name] = low + step * round((middle - low) / step)
        return self.values[name]

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.values[name] = choices[len(choices) // 2]
        return self.values[name]


def middle(search_space: Callable[[Trial], Any]) -> dict[str, Any]:
    """The middle of a search space by name; empty where there is nothing to tune."""
    trial = Middle()
    search_space(trial)
    return trial.values


class Ours:
    """A family of the product, trained as the product trains it."""

    ours = True
    ranks = True
    library = None

    def __init__(self, name: str, catalogue: Catalogue) -> None:
        self.name = name
        self._family = FAMILIES[name]
        self._catalogue = catalogue
        self.rates = self._family.learns == "rating"
        self.folds_in = not self.rates

    def default(self) -> Any:
        return self._family.hyper_parameters.model_validate({})

    def search_space(self, trial: Trial) -> Any:
        return self._family.search_space(trial)

    def attempt(self, split: Split, params: Any) -> tuple[float, int]:
        trained = fit.train(
            split,
            self.name,
            params,
            catalogue=self._catalogue,
            seed=TUNING_SEED,
            threads=THREADS,
        )
        if not self.rates:
            return trained.validation_ndcg, trained.fitted.epochs
        scorer = self._family.scorer(trained.fitted.arrays)
        found = self.stars(scorer, split.train.histories, split.validation)
        return found.metrics()["rmse"], trained.fitted.epochs

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
        return stars.evaluate(model, known, test)

    def shown(self, params: Any) -> dict[str, Any]:
        values = params.model_dump(mode="json")
        return {name: values[name] for name in middle(self.search_space) if name in values}


class _Rival:
    ours = False
    #: Only our families have epochs to choose beside their parameters.
    _EPOCHS = 1

    def __init__(self, rival: Ranker | Regressor) -> None:
        self.name = rival.name
        self.library = rival.library
        self._rival = rival

    def default(self) -> Any:
        return self._rival.search_space(Middle())

    def search_space(self, trial: Trial) -> Any:
        return self._rival.search_space(trial)

    def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Any:
        return self._rival.fit(ratings, params, seed)

    def shown(self, params: Any) -> dict[str, Any]:
        return dict(params)


class RivalRanker(_Rival):
    """A rival that orders movies."""

    ranks = True
    rates = False

    def __init__(self, rival: Ranker) -> None:
        super().__init__(rival)
        self.folds_in = rival.folds_in

    def attempt(self, split: Split, params: Any) -> tuple[float, int]:
        scorer = self.fit(split.train, params, epochs=self._EPOCHS, seed=TUNING_SEED)
        found = ranking.evaluate(scorer, split.train.histories, split.validation)
        return found.metrics()["ndcg_at_10"], self._EPOCHS

    def stars(self, model: Scorer, known: Histories, test: Ratings) -> StarsResult:
        raise TypeError(f"{self.name} predicts no stars")


class RivalRegressor(_Rival):
    """A rival that predicts stars for pairs of users and movies, and nothing else."""

    ranks = False
    rates = True
    folds_in = False

    def attempt(self, split: Split, params: Any) -> tuple[float, int]:
        model = self.fit(split.train, params, epochs=self._EPOCHS, seed=TUNING_SEED)
        found = self.stars(model, split.train.histories, split.validation)
        return found.metrics()["rmse"], self._EPOCHS

    def stars(self, model: Predictor, known: Histories, test: Ratings) -> StarsResult:
        return StarsResult(model.predict(test.users, test.movies), test.stars.astype("float32"))


def contenders(catalogue: Catalogue, only: Iterable[str] = ()) -> list[Contender]:
    """Ours, then the rivals; with ``only``, those whose name contains any of its parts."""
    every: list[Contender] = [
        *(Ours(name, catalogue) for name in FAMILIES),
        *map(RivalRanker, RANKERS),
        *map(RivalRegressor, REGRESSORS),
    ]
    parts = [part.lower() for part in only]
    return [one for one in every if not parts or any(part in one.name.lower() for part in parts)]
