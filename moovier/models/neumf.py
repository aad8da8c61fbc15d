"""NeuMF: learnt vectors of users and movies, combined by a product and by a small network.

The prediction is stars. The element-wise product of one pair of vectors (GMF) and the output of
dense layers over another pair (MLP) are the inputs of one last unit, which is scaled to 0.5 to 5.
The loss is the mean absolute error. Source: He et al. 2017, "Neural Collaborative Filtering",
https://arxiv.org/abs/1708.05031, with ratings in place of clicks.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.models import training_loop
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

NAME = "emb"
#: Epochs without improvement after which a training ends.
PATIENCE = 2
#: Learning rate and most epochs of a fine-tuning.
FINE_TUNING_RATE, MOST_EPOCHS = 0.004, 40
#: Most known users whose vectors may stand in for a visitor.
MOST_PROTOTYPES = 1000
#: The fold-in averages the nearest prototypes: at most ``NEAREST``, and at most one in ``ONE_IN``.
NEAREST, ONE_IN = 10, 10
#: Newest ratings of a visitor that choose the prototypes.
FITTED_RATINGS = 50
#: Pairs of user and movie per batch of predictions.
PAIRS = 65_536
LOWEST, RANGE = 0.5, 4.5
_VECTORS = ("user_gmf", "user_mlp", "movie_gmf", "movie_mlp")
_USER_VECTORS, _MOVIE_VECTORS = _VECTORS[:2], _VECTORS[2:]


class NeuMFParams(HyperParameters):
    """Hyper-parameters.

    ``size``: embedding size. ``dense_units``: widths of the MLP's layers, first to last.
    ``learning_rate``: highest learning rate of the schedule. ``epochs``: length of the schedule;
    a training with a validation part may stop before.
    """

    size: PositiveInt = 25
    dense_units: tuple[PositiveInt, ...] = Field((64, 32), min_length=1)
    learning_rate: PositiveFloat = 0.01
    batch_size: PositiveInt = 2048
    epochs: PositiveInt = 4


class NeuMFScorer:
    """NeuMF in NumPy, equal to the Keras model.

    The movies' half of the first dense layer is computed once, so a user costs one addition of
    (n_movies, width) and the remaining layers.

    Arrays: the four vector tables, ``kernel_i`` and ``bias_i`` of dense layer i, ``out_kernel``,
    ``out_bias``, ``prototypes`` (rows of users that may stand in for a visitor).
    """

    def __init__(self, arrays: Arrays) -> None:
        self._depth = sum(name.startswith("kernel_") for name in arrays)
        layers = (f"{part}_{i}" for i in range(self._depth) for part in ("kernel", "bias"))
        needed = ("kernel_0", *_VECTORS, *layers, "out_kernel", "out_bias")
        self._a = {name: as_float32(arrays[name]) for name in needed}
        self._prototypes = arrays["prototypes"]
        size = self._a["user_mlp"].shape[1]
        self._first_user = self._a["kernel_0"][:size]
        self._first_movie = self._a["movie_mlp"] @ self._a["kernel_0"][size:] + self._a["bias_0"]
        self._out_gmf = self._a["out_kernel"][:size, 0]
        self._out_mlp = self._a["out_kernel"][size:, 0]
        self.n_movies = int(self._a["movie_gmf"].shape[0])

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the predicted stars of known users, (len(users), n_movies)."""
        gmf, mlp = self._a["user_gmf"], self._a["user_mlp"]
        scores = np.empty((len(users), self.n_movies), dtype=np.float32)
        for row, user in enumerate(users):
            scores[row] = self._stars(gmf[user], mlp[user])
        return scores

    def fold_in(self, history: History) -> Floats:
        """Return the predicted stars for a visitor, (n_movies,).

        They come from the mean vectors of the prototypes with the smallest mean absolute error on
        the :data:`FITTED_RATINGS` newest ratings; of all prototypes if the history is empty.
        """
        gmf = self._a["user_gmf"][self._prototypes]
        mlp = self._a["user_mlp"][self._prototypes]
        if len(history):
            newest = slice(-FITTED_RATINGS, None)
            predicted = self._stars(gmf[:, None], mlp[:, None], history.movies[newest])
            errors = np.abs(predicted - history.stars[newest]).mean(axis=1)
            n_nearest = min(NEAREST, -(-errors.size // ONE_IN))
            nearest = np.argsort(errors, kind="stable")[:n_nearest]
            gmf, mlp = gmf[nearest], mlp[nearest]
        return self._stars(gmf.mean(axis=0), mlp.mean(axis=0))

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return zeros, (len(movies), len(history)): the model cannot split a score by rating."""
        return np.zeros((len(movies), len(history)), dtype=np.float32)

    def stars(self, users: Ints, movies: Ints) -> Floats:
        """Return the predicted stars of each pair of rows, (n,), 0.5 to 5."""
        stars = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), PAIRS):
            part = slice(start, start + PAIRS)
            user, movie = users[part], movies[part]
            product = self._a["user_gmf"][user] * self._a["movie_gmf"][movie]
            first = self._a["user_mlp"][user] @ self._first_user + self._first_movie[movie]
            stars[part] = self._output(product @ self._out_gmf, first)
        return stars

    def _stars(self, gmf: Floats, mlp: Floats, movies: Ints | slice = slice(None)) -> Floats:
        """Return the predicted stars for ``movies``, (m,).

        Vectors (size,) give (m,); vectors (n, 1, size) give (n, m).
        """
        product = (gmf * self._out_gmf) @ self._a["movie_gmf"][movies].T
        if product.ndim == 3:
            product = product[:, 0]
        return self._output(product, self._first_movie[movies] + mlp @ self._first_user)

    def _output(self, product: NDArray[Any], first: Floats) -> Floats:
        """Return the stars (...) from the sums of both halves.

        ``product``: (...), of the GMF. ``first``: (..., width), of the first dense layer.
        """
        hidden = np.maximum(first, 0)
        for layer in range(1, self._depth):
            hidden = np.maximum(hidden @ self._a[f"kernel_{layer}"] + self._a[f"bias_{layer}"], 0)
        logits = product + hidden @ self._out_mlp + self._a["out_bias"][0]
        return as_float32(LOWEST + RANGE / (1 + np.exp(-logits)))


class NeuMFFamily:
    """The family ``emb``; the module's docstring describes the model."""

    name = NAME
    objective: Literal["ranking", "rating"] = "rating"
    hyper_parameters: type[HyperParameters] = NeuMFParams
    fine_tunes_keras_model = True

    def search_space(self, trial: Trial) -> HyperParameters:
        """Draw hyper-parameters."""
        widths = {"64-32": (64, 32), "64": (64,), "128-64": (128, 64), "32-16": (32, 16)}
        return NeuMFParams(
            size=trial.suggest_int("size", 8, 64, log=True),
            dense_units=widths[trial.suggest_categorical("dense_units", list(widths))],
            learning_rate=trial.suggest_float("learning_rate", 0.004, 0.04, log=True),
            batch_size=trial.suggest_categorical("batch_size", [1024, 2048, 4096]),
            epochs=trial.suggest_int("epochs", 3, 6),
        )

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        """Train with a one-cycle learning rate and keep the best epoch."""
        params = cast(NeuMFParams, params)
        training_loop.set_seed(context.seed)
        model = build(train.n_users, train.n_movies, params, float(train.stars.mean()))
        n_batches = -(-len(train) // params.batch_size)
        stops_early = context.validation is not None and context.epochs is None
        return _train(
            model,
            params,
            train,
            context.validation,
            learning_rates=training_loop.one_cycle(params.learning_rate, params.epochs * n_batches),
            epochs=context.epochs or params.epochs,
            early_stop=(
                training_loop.EarlyStop("val_loss", "min", PATIENCE) if stops_early else None
            ),
            seed=context.seed,
            on_epoch=context.on_epoch,
        )

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        """Train the parent further on the batch, with vectors for the new users."""
        params = cast(NeuMFParams, params)
        training_loop.set_seed(request.seed)
        train, validation = request.split_batch()
        monitor = "val_loss" if len(validation) else "loss"
        return _train(
            _with_more_users(parent.keras_model, request.old_n_users, request.merged, params),
            params,
            train,
            validation if len(validation) else None,
            learning_rates=np.array([FINE_TUNING_RATE], dtype=np.float32),
            epochs=MOST_EPOCHS,
            early_stop=training_loop.EarlyStop(monitor, "min", request.patience),
            seed=request.seed,
            on_epoch=request.on_epoch,
        )

    def scorer(self, arrays: Arrays) -> Scorer:
        """Build the scorer."""
        return NeuMFScorer(arrays)


def _train(
    model: Any,
    params: NeuMFParams,
    train: Ratings,
    validation: Ratings | None,
    *,
    learning_rates: Floats,
    epochs: int,
    early_stop: training_loop.EarlyStop | None,
    seed: int,
    on_epoch: OnEpoch | None,
) -> FitResult:
    """Train ``model`` and return the best epoch, or the last one without ``early_stop``."""

    def validation_loss(model: Any) -> dict[str, float]:
        assert validation is not None
        predicted = NeuMFScorer(arrays(model)).stars(validation.users, validation.movies)
        return {"val_loss": float(np.abs(predicted - validation.stars).mean())}

    run = training_loop.fit(
        model,
        [train.users.astype(np.int32), train.movies.astype(np.int32)],
        train.stars.astype(np.float32),
        loss="mean_absolute_error",
        learning_rates=learning_rates,
        batch_size=params.batch_size,
        epochs=epochs,
        seed=seed,
        validate=None if validation is None else validation_loss,
        early_stop=early_stop,
        on_epoch=on_epoch,
    )
    return FitResult(arrays(model), model, run.best_epoch, run.curves)


def build(n_users: int, n_movies: int, params: NeuMFParams, mean_stars: float = 3.5) -> Any:
    """Return the Keras model: inputs ``user`` and ``movie`` (batch,), output stars (batch, 1).

    The bias of the last unit makes an untrained model predict about ``mean_stars``, which saves
    an epoch.
    """
    import keras
    from keras import layers

    user = keras.Input((), dtype="int32", name="user")
    movie = keras.Input((), dtype="int32", name="movie")
    tables = {
        name: layers.Embedding(
            n_users if name in _USER_VECTORS else n_movies, params.size, name=name
        )
        for name in _VECTORS
    }
    gmf = layers.Multiply()([tables["user_gmf"](user), tables["movie_gmf"](movie)])
    mlp = layers.Concatenate()([tables["user_mlp"](user), tables["movie_mlp"](movie)])
    for i, units in enumerate(params.dense_units):
        mlp = layers.Dense(units, activation="relu", name=f"dense_{i}")(mlp)
    hidden = layers.Concatenate()([gmf, mlp])
    share = np.clip((mean_stars - LOWEST) / RANGE, 0.01, 0.99)
    at_mean = keras.initializers.Constant(float(np.log(share / (1 - share))))
    share_of_range = layers.Dense(1, activation="sigmoid", bias_initializer=at_mean, name="out")
    stars = layers.Rescaling(RANGE, LOWEST, name="stars")(share_of_range(hidden))
    return keras.Model([user, movie], stars, name="neumf")


def arrays(model: Any) -> dict[str, Any]:
    """Return the arrays of :class:`NeuMFScorer`."""
    weights = {name: model.get_layer(name).get_weights()[0] for name in _VECTORS}
    depth = sum(layer.name.startswith("dense_") for layer in model.layers)
    for i in range(depth):
        weights[f"kernel_{i}"], weights[f"bias_{i}"] = model.get_layer(f"dense_{i}").get_weights()
    weights["out_kernel"], weights["out_bias"] = model.get_layer("out").get_weights()
    n_users = weights["user_gmf"].shape[0]
    weights["prototypes"] = np.unique(
        np.linspace(0, n_users - 1, min(n_users, MOST_PROTOTYPES)).astype(np.int64)
    )
    return weights


def _with_more_users(model: Any, old_n_users: int, merged: Ratings, params: NeuMFParams) -> Any:
    """Return the model with vectors for new users, who start as the average known user."""
    grown = build(merged.n_users, merged.n_movies, params)
    for layer in grown.layers:
        old = model.get_layer(layer.name).get_weights()
        if layer.name in _USER_VECTORS:
            known = old[0][:old_n_users]
            new = np.tile(known.mean(axis=0), (merged.n_users - old_n_users, 1))
            old = [np.concatenate([known, new])]
        layer.set_weights(old)
    return grown
