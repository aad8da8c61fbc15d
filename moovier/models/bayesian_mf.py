"""Stars from what is known of a movie and learnt of a person: the model behind the stars shown.

Every person has a taste for genres, years, how well known a movie is, and for learnt properties of
movies; each of these is kept with how sure it is. :mod:`moovier.models.variational_mf` has the
formulas.
Nothing is drawn or descended: each sweep solves for all people, then for all movies. Somebody the
model never saw gets a taste by one such solve, as good as a known one's.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from moovier.data.catalogue import NO_GENRE, Catalogue
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.models import variational_mf
from moovier.models.family import (
    Arrays,
    FitResult,
    HyperParameters,
    OnEpoch,
    Scorer,
    Trial,
    ValidationNdcg,
    as_float32,
)
from moovier.models.variational_mf import Predictor

NAME = "taste"
#: Sweeps of a fine-tuning at most: it starts from what its parent knows.
FINE_TUNING_SWEEPS = 5


class TasteParams(HyperParameters):
    """``size``: learnt properties of a movie. ``sweeps``: rounds over people and movies.
    ``factor_sd``: spread of the learnt properties. ``noise``, ``mean_var``, ``slope_var``: first
    guesses of the variances of a rating, of a movie's level, of tastes. ``prior_people``,
    ``prior_ratings``: how many people and ratings it takes to move away from everybody's."""

    size: PositiveInt = 10
    sweeps: PositiveInt = 24
    factor_sd: PositiveFloat = 0.12
    noise: PositiveFloat = 0.6
    mean_var: PositiveFloat = 0.12
    slope_var: PositiveFloat = 0.04
    prior_people: NonNegativeFloat = 110.0
    prior_ratings: NonNegativeFloat = 30.0


class TasteScorer:
    """Predicts stars, 0.5 to 5. Arrays: see :func:`moovier.models.variational_mf.fit`."""

    def __init__(self, arrays: Arrays) -> None:
        # Fine-tuning goes on from all of them.
        arrays = {name: arrays[name] for name in variational_mf.NAMES}
        self._predictor = Predictor(arrays)
        self.n_movies = int(arrays["z"].shape[0])
        if arrays["cov"].shape[0] != self.n_movies:
            raise ValueError("z and cov disagree on the number of movies")

    def score(self, users: Ints, histories: Histories) -> Floats:
        scores = np.empty((len(users), self.n_movies), dtype=np.float32)
        for row, user in enumerate(users):
            scores[row] = self._predictor.known(int(user))
        return scores

    def fold_in(self, history: History) -> Floats:
        return as_float32(self._predictor.fold_in(history.movies, history.stars))

    def fold_in_rows(self, history: History, movies: Ints) -> Floats:
        """Return ``fold_in(history)[movies]`` without predicting all the other movies."""
        return as_float32(self._predictor.fold_in(history.movies, history.stars, movies))

    def explain(self, history: History, movies: Ints) -> Floats:
        """In stars: added to what everybody would be predicted, they give the prediction."""
        return as_float32(self._predictor.explain(history.movies, history.stars, movies))


class TasteFamily:
    """See the module's text."""

    name = NAME
    objective: Literal["ranking", "rating"] = "rating"
    hyper_parameters: type[HyperParameters] = TasteParams

    def search_space(self, trial: Trial) -> HyperParameters:
        return TasteParams(
            size=trial.suggest_int("size", 6, 16),
            factor_sd=trial.suggest_float("factor_sd", 0.08, 0.18, log=True),
            slope_var=trial.suggest_float("slope_var", 0.01, 0.15, log=True),
            prior_people=trial.suggest_float("prior_people", 40.0, 250.0, log=True),
            prior_ratings=trial.suggest_float("prior_ratings", 10.0, 80.0, log=True),
            noise=trial.suggest_float("noise", 0.45, 0.9),
            mean_var=trial.suggest_float("mean_var", 0.07, 0.2, log=True),
        )

    def fit(
        self,
        train: Ratings,
        params: HyperParameters,
        *,
        catalogue: Catalogue,
        seed: int,
        validation: Ratings | None = None,
        validation_ndcg: ValidationNdcg | None = None,
        epochs: int | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> FitResult:
        params = cast(TasteParams, params)
        watched = _Watched(train, validation, on_epoch)
        fitted = _solved(
            train, params, catalogue, seed=seed, sweeps=epochs or params.sweeps, watched=watched
        )
        if validation is None or epochs is not None or not watched.curves["val_loss"]:
            return FitResult(fitted, _keras_model(fitted), epochs or params.sweeps, watched.curves)
        return FitResult(
            watched.best_arrays, _keras_model(watched.best_arrays), watched.best, watched.curves
        )

    def fine_tune(
        self,
        parent: FitResult,
        params: HyperParameters,
        *,
        catalogue: Catalogue,
        old_n_users: int,
        batch: Ratings,
        merged: Ratings,
        validation_split: float,
        patience: int,
        seed: int,
        on_epoch: OnEpoch | None = None,
    ) -> FitResult:
        """Sweep on from the parent over all ratings. The last ``validation_split`` of the batch
        decides how often, and then is learnt from as well."""
        params = cast(TasteParams, params)
        n_held = int(validation_split * len(batch))
        held = batch.take(np.arange(len(batch) - n_held, len(batch)))
        known = merged.take(~merged.isin(held)) if n_held else merged
        watched = _Watched(known, held if n_held else None, on_epoch, patience=patience)
        try:
            fitted = _solved(
                known,
                params,
                catalogue,
                seed=seed,
                sweeps=FINE_TUNING_SWEEPS,
                watched=watched,
                start=parent.arrays,
            )
        except _Enough:
            fitted = watched.best_arrays
        sweeps = watched.best if n_held else len(watched.curves["loss"])
        if n_held:
            fitted = _solved(
                merged, params, catalogue, seed=seed, sweeps=sweeps, start=parent.arrays
            )
        return FitResult(fitted, _keras_model(fitted), sweeps, watched.curves)

    def scorer(self, arrays: Arrays) -> Scorer:
        return TasteScorer(arrays)


class _Enough(Exception):
    """No better for as many sweeps as one had patience for."""


class _Watched:
    """Follows a fit: mean absolute error, in stars, on what it learns from and on the validation
    part, and the arrays of the sweep that was best there."""

    def __init__(
        self,
        train: Ratings,
        validation: Ratings | None,
        on_epoch: OnEpoch | None,
        patience: int | None = None,
    ) -> None:
        self.curves: dict[str, list[float]] = {"loss": []}
        if validation is not None:
            self.curves["val_loss"] = []
        self.best = 1
        self.best_arrays: dict[str, Any] = {}
        self._parts = {"loss": train, "val_loss": validation}
        self._on_epoch = on_epoch
        self._patience = patience

    def __call__(self, sweep: int, arrays: dict[str, Any]) -> None:
        predictor = Predictor(arrays)
        for name, values in self.curves.items():
            part = self._parts[name]
            assert part is not None
            errors = np.abs(predictor.pairs(part.users, part.movies) - part.stars)
            values.append(float(errors.mean()) if errors.size else 0.0)
        watched = self.curves.get("val_loss", self.curves["loss"])
        if watched[-1] <= min(watched):
            self.best, self.best_arrays = sweep, arrays
        if self._on_epoch is not None:
            self._on_epoch(sweep - 1, {name: values[-1] for name, values in self.curves.items()})
        if self._patience is not None and sweep - self.best >= self._patience:
            raise _Enough


def _solved(
    train: Ratings,
    params: TasteParams,
    catalogue: Catalogue,
    *,
    seed: int,
    sweeps: int,
    watched: _Watched | None = None,
    start: Arrays | None = None,
) -> dict[str, Any]:
    """The arrays of :class:`TasteScorer`."""
    settings = variational_mf.Settings(
        **{**params.model_dump(), "sweeps": sweeps, "seed": seed},
    )
    facts = variational_mf.features(
        [movie.year for movie in catalogue],
        [tuple(name for name in movie.genres if name != NO_GENRE) for movie in catalogue],
        train.histories.movie_counts(),
    )
    return variational_mf.fit(
        train.users,
        train.movies,
        train.stars.astype(np.float64),
        train.n_users,
        train.n_movies,
        facts,
        settings,
        on_sweep=watched,
        start=start,
    )


def _keras_model(arrays: Arrays) -> Any:
    """Inputs ``user`` and ``movie`` (batch,), output stars (batch,): tables of what was solved,
    so that Keras can predict, and train them further where somebody wants to."""
    import keras

    level = arrays["mu"] + arrays["z"][:, len(arrays["beta"])]
    tables = {"taste": arrays["taste"], "z": arrays["z"], "level": level[:, None]}
    user = keras.Input((), dtype="int32", name="user")
    movie = keras.Input((), dtype="int32", name="movie")
    rows = {
        name: keras.layers.Embedding(*table.shape, weights=[table], name=name)
        for name, table in tables.items()
    }
    match = keras.layers.Dot(axes=1, name="match")([rows["taste"](user), rows["z"](movie)])
    raw = keras.layers.Add(name="raw")([match, rows["level"](movie)])
    stars = keras.ops.squeeze(
        keras.ops.clip(raw, variational_mf.LOWEST, variational_mf.HIGHEST), axis=-1
    )
    return keras.Model([user, movie], stars, name=NAME)
