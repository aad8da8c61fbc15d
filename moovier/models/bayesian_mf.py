"""The model ``taste``: predicted stars from movie features and learnt factors.

Each user has a taste for genres, release years, the popularity of movies, and learnt factors of
movies. The model keeps a variance for each taste and factor.
:mod:`moovier.models.variational_mf` has the formulas.

Training is coordinate ascent in closed form: each sweep solves for all users, then for all
movies. The fold-in of a visitor is one such solve, so it is as exact as a known user's taste.
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
    FineTuneRequest,
    FitContext,
    FitResult,
    HyperParameters,
    OnEpoch,
    Scorer,
    Trial,
    as_float32,
)
from moovier.models.variational_scoring import Predictor

NAME = "taste"
#: Most sweeps of a fine-tuning, which starts from the parent's solution.
FINE_TUNING_SWEEPS = 5
#: Ratings beyond which the movies are learnt from a sample of the users: a sweep takes time and
#: memory by the rating, and a few hundred ratings of each movie say as much.
MOST_RATINGS = 400_000
#: Newest ratings from which a user's taste is solved beside such a sample.
NEWEST_RATINGS = 100


class TasteParams(HyperParameters):
    """Hyper-parameters.

    ``size``: learnt factors of a movie. ``sweeps``: rounds over users and movies. ``factor_sd``:
    prior standard deviation of the factors. ``noise``, ``mean_var``, ``slope_var``: first guesses
    of the variances of a rating, of a movie's level, and of tastes. ``prior_people``,
    ``prior_ratings``: pseudo-users and pseudo-ratings of the priors; more of them hold the
    estimates nearer to the averages.
    """

    size: PositiveInt = 10
    sweeps: PositiveInt = 24
    factor_sd: PositiveFloat = 0.12
    noise: PositiveFloat = 0.6
    mean_var: PositiveFloat = 0.12
    slope_var: PositiveFloat = 0.04
    prior_people: NonNegativeFloat = 110.0
    prior_ratings: NonNegativeFloat = 30.0


class TasteScorer:
    """Predicted stars, 0.5 to 5. Arrays: see :func:`moovier.models.variational_mf.fit`."""

    def __init__(self, arrays: Arrays) -> None:
        # All of them: fine-tuning needs more arrays than scoring does.
        arrays = {name: arrays[name] for name in variational_mf.NAMES}
        self._predictor = Predictor(arrays)
        self.n_movies = int(arrays["z"].shape[0])
        n_cov = arrays["cov"].shape[0]
        if n_cov != self.n_movies:
            raise ValueError(
                f"the arrays disagree on the number of movies: z has {self.n_movies} rows, "
                f"cov has {n_cov}"
            )

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the predicted stars of known users, (len(users), n_movies)."""
        scores = np.empty((len(users), self.n_movies), dtype=np.float32)
        for row, user in enumerate(users):
            scores[row] = self._predictor.known(int(user))
        return scores

    def stars(self, users: Ints, movies: Ints) -> Floats:
        """Return the predicted stars of each pair of rows, (n,)."""
        return as_float32(self._predictor.pairs(users, movies))

    def fold_in(self, history: History) -> Floats:
        """Return the predicted stars for a visitor, (n_movies,)."""
        return as_float32(self._predictor.fold_in(history.movies, history.stars))

    def fold_in_rows(self, history: History, movies: Ints) -> Floats:
        """Return ``fold_in(history)[movies]`` without predicting the other movies."""
        return as_float32(self._predictor.fold_in(history.movies, history.stars, movies))

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return each rating's contribution in stars, (len(movies), len(history)).

        The contributions and the prediction for an empty history add up to the prediction.
        """
        return as_float32(self._predictor.explain(history.movies, history.stars, movies))


class TasteFamily:
    """The family ``taste``; the module's docstring describes the model."""

    name = NAME
    objective: Literal["ranking", "rating"] = "rating"
    hyper_parameters: type[HyperParameters] = TasteParams
    fine_tunes_keras_model = False

    def search_space(self, trial: Trial) -> HyperParameters:
        """Draw hyper-parameters."""
        return TasteParams(
            size=trial.suggest_int("size", 6, 16),
            factor_sd=trial.suggest_float("factor_sd", 0.08, 0.18, log=True),
            slope_var=trial.suggest_float("slope_var", 0.01, 0.15, log=True),
            prior_people=trial.suggest_float("prior_people", 40.0, 250.0, log=True),
            prior_ratings=trial.suggest_float("prior_ratings", 10.0, 80.0, log=True),
            noise=trial.suggest_float("noise", 0.45, 0.9),
            mean_var=trial.suggest_float("mean_var", 0.07, 0.2, log=True),
        )

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        """Sweep ``params.sweeps`` times and keep the best sweep; an epoch is a sweep."""
        params = cast(TasteParams, params)
        epochs, validation = context.epochs, context.validation
        sweeps = epochs or params.sweeps
        users = context.users
        if users is None and validation is not None and epochs is None:
            # The model is not kept.
            users = np.unique(validation.users)
        if len(train) <= MOST_RATINGS:
            users = None
        measured = train if users is None else _of_users(train, users)
        monitor = _Monitor(measured, validation, context.on_epoch)
        arrays = _solve(
            train,
            params,
            context.catalogue,
            seed=context.seed,
            sweeps=sweeps,
            monitor=monitor,
            users=users,
        )
        if validation is not None and epochs is None and monitor.curves["val_loss"]:
            arrays, sweeps = monitor.best_arrays, monitor.best
        return FitResult(arrays, _keras_model(arrays), sweeps, monitor.curves)

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        """Sweep on from the parent's solution over all ratings.

        The validation part of the batch decides on the number of sweeps. Then the model is solved
        again with that part included.
        """
        params = cast(TasteParams, params)
        _, validation = request.split_batch()
        merged = request.merged
        known = merged.take(~merged.isin(validation)) if len(validation) else merged
        monitor = _Monitor(
            known,
            validation if len(validation) else None,
            request.on_epoch,
            patience=request.patience,
        )

        def solve(train: Ratings, sweeps: int, monitor: _Monitor | None) -> dict[str, Any]:
            return _solve(
                train,
                params,
                request.catalogue,
                seed=request.seed,
                sweeps=sweeps,
                monitor=monitor,
                start=parent.arrays,
            )

        try:
            arrays = solve(known, FINE_TUNING_SWEEPS, monitor)
        except _StopEarly:
            arrays = monitor.best_arrays
        sweeps = monitor.best if len(validation) else len(monitor.curves["loss"])
        if len(validation):
            arrays = solve(merged, sweeps, None)
        return FitResult(arrays, _keras_model(arrays), sweeps, monitor.curves)

    def scorer(self, arrays: Arrays) -> Scorer:
        """Build the scorer."""
        return TasteScorer(arrays)


class _StopEarly(Exception):
    """Raised when the patience is used up."""


class _Monitor:
    """Measures each sweep and keeps the arrays of the best one.

    The measure is the mean absolute error, in stars, on the training part and on the validation
    part.
    """

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
        step = -(-len(train) // MOST_RATINGS) or 1
        self._parts = {"loss": train.take(np.arange(0, len(train), step)), "val_loss": validation}
        self._on_epoch = on_epoch
        self._patience = patience

    def __call__(self, sweep: int, arrays: dict[str, Any]) -> None:
        """Measure the arrays after ``sweep`` sweeps.

        Raises:
            _StopEarly: The patience is used up.
        """
        predictor = Predictor(arrays)
        for name, values in self.curves.items():
            part = self._parts[name]
            assert part is not None
            errors = np.abs(predictor.pairs(part.users, part.movies) - part.stars)
            values.append(float(errors.mean()) if errors.size else 0.0)
        losses = self.curves.get("val_loss", self.curves["loss"])
        if losses[-1] <= min(losses):
            self.best, self.best_arrays = sweep, arrays
        if self._on_epoch is not None:
            self._on_epoch(sweep - 1, {name: values[-1] for name, values in self.curves.items()})
        if self._patience is not None and sweep - self.best >= self._patience:
            raise _StopEarly


def _solve(
    train: Ratings,
    params: TasteParams,
    catalogue: Catalogue,
    *,
    seed: int,
    sweeps: int,
    monitor: _Monitor | None,
    start: Arrays | None = None,
    users: Ints | None = None,
) -> dict[str, Any]:
    """Return the arrays of :class:`TasteScorer`.

    With more than :data:`MOST_RATINGS` ratings the movies are learnt from a sample of the users.
    The tastes of ``users``, by default of all, are then solved from their newest ratings; those of
    others are 0.
    """
    settings = variational_mf.Settings(
        **{**params.model_dump(), "sweeps": sweeps, "seed": seed},
    )
    features = variational_mf.features(
        [movie.year for movie in catalogue],
        [tuple(name for name in movie.genres if name != NO_GENRE) for movie in catalogue],
        train.histories.movie_counts(),
    )
    if len(train) <= MOST_RATINGS:
        return _fit(train, train.users, train.n_users, features, settings, monitor, start)
    sample = sampled_users(train, seed)
    rows = np.full(train.n_users, -1, dtype=np.int64)
    rows[sample] = np.arange(sample.size)
    part = train.take(rows[train.users] >= 0)
    if start is not None:
        start = {**start, "steady": np.empty(0)}
    arrays = _fit(part, rows[part.users], sample.size, features, settings, None, start)
    newest = _newest(train if users is None else _of_users(train, users))
    known = np.flatnonzero(newest.counts) if users is not None else np.arange(train.n_users)
    rows[known] = np.arange(known.size)
    tastes, steady = variational_mf.solve_tastes(
        rows[newest.users],
        newest.movies,
        newest.stars.astype(np.float64),
        known.size,
        features,
        settings,
        arrays,
    )
    arrays["taste"] = np.zeros((train.n_users, tastes.shape[1]), dtype=np.float32)
    arrays["steady"] = np.full(train.n_users, 1.0 / float(arrays["noise"]), dtype=np.float32)
    arrays["taste"][known], arrays["steady"][known] = tastes, steady
    if monitor is not None:
        monitor(sweeps, arrays)
    return arrays


def _fit(
    train: Ratings,
    users: Ints,
    n_users: int,
    features: variational_mf.Floats,
    settings: variational_mf.Settings,
    monitor: _Monitor | None,
    start: Arrays | None,
) -> dict[str, Any]:
    return variational_mf.fit(
        users,
        train.movies,
        train.stars.astype(np.float64),
        n_users,
        train.n_movies,
        features,
        settings,
        on_sweep=monitor,
        start=start,
    )


def sampled_users(train: Ratings, seed: int) -> Ints:
    """Return the users, drawn by ``seed``, whose ratings are about :data:`MOST_RATINGS`."""
    order = np.random.default_rng(seed).permutation(train.n_users)
    n_users = int(np.searchsorted(np.cumsum(train.counts[order]), MOST_RATINGS)) + 1
    return np.sort(order[:n_users])


def _of_users(ratings: Ratings, users: Ints) -> Ratings:
    """Return the ratings of some users, over the same index."""
    wanted = np.zeros(ratings.n_users, dtype=np.bool_)
    wanted[users] = True
    return ratings.take(wanted[ratings.users])


def _newest(train: Ratings) -> Ratings:
    """Return the :data:`NEWEST_RATINGS` newest ratings of each user, by user."""
    grouped = train.histories.ratings()
    ends = np.repeat(train.histories.offsets[1:], train.counts)
    return grouped.take(ends - np.arange(len(grouped)) <= NEWEST_RATINGS)


def _keras_model(arrays: Arrays) -> Any:
    """Return the solution as embedding tables, which Keras can train further.

    Inputs ``user`` and ``movie`` (batch,), output stars (batch,).
    """
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
