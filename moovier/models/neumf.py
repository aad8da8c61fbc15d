"""NeuMF: learnt vectors of users and movies, joined by a product and by a small network.

The prediction is stars: the element-wise product of one pair of vectors (GMF) and the output of
dense layers over another pair (MLP) go through one last unit, squeezed into 0.5 to 5. Trained on
the mean absolute error. Source: He et al. 2017, "Neural Collaborative Filtering",
https://arxiv.org/abs/1708.05031, with ratings in place of clicks.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.models import training_loop
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

NAME = "emb"
#: Epochs without improvement after which a training ends.
PATIENCE = 2
#: A fine-tuning's Adam learning rate, and its epochs at most.
FINE_TUNING_RATE, MOST_EPOCHS = 0.004, 40
#: Known users whose vectors may stand for a person the model never saw.
MOST_PROTOTYPES = 1000
#: How many of them are averaged at most, and one in how many.
NEAREST, ONE_IN = 10, 10
FITTED_RATINGS = 50
#: Pairs predicted at once.
PAIRS = 65_536
LOWEST, RANGE = 0.5, 4.5
_VECTORS = ("user_gmf", "user_mlp", "movie_gmf", "movie_mlp")
_USER_VECTORS, _MOVIE_VECTORS = _VECTORS[:2], _VECTORS[2:]


class NeuMFParams(HyperParameters):
    """``size``: embedding size. ``dense_units``: widths of the MLP's layers, first to last.
    ``learning_rate``: its highest value. ``epochs``: after how many it has fallen to its lowest;
    training with a validation part may stop before."""

    size: PositiveInt = 25
    dense_units: tuple[PositiveInt, ...] = Field((64, 32), min_length=1)
    learning_rate: PositiveFloat = 0.01
    batch_size: PositiveInt = 2048
    epochs: PositiveInt = 4


class NeuMFScorer:
    """Exact NeuMF in NumPy. The movies' half of the first dense layer is worked out once, so one
    person costs a (n_movies, width) addition and the remaining layers.

    Arrays: the four vector tables, ``kernel_i`` and ``bias_i`` of dense layer i, ``out_kernel``,
    ``out_bias``, ``prototypes`` (rows of users that may stand for a stranger).
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
        gmf, mlp = self._a["user_gmf"], self._a["user_mlp"]
        scores = np.empty((len(users), self.n_movies), dtype=np.float32)
        for row, user in enumerate(users):
            scores[row] = self._stars(gmf[user], mlp[user])
        return scores

    def fold_in(self, history: History) -> Floats:
        """The mean vectors of the known users whose predictions fit this history best.

        Fit is the mean absolute error over the ``FITTED_RATINGS`` newest ratings; the
        ``NEAREST`` best users (of few: the best tenth) are averaged, and all of them where there
        is no history.
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
        """Nothing: a person's vectors don't fall apart into what they rated."""
        return np.zeros((len(movies), len(history)), dtype=np.float32)

    def stars(self, users: Ints, movies: Ints) -> Floats:
        """Predicted stars of each pair of rows, (n,), 0.5 to 5."""
        found = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), PAIRS):
            part = slice(start, start + PAIRS)
            user, movie = users[part], movies[part]
            both = self._a["user_gmf"][user] * self._a["movie_gmf"][movie]
            first = self._a["user_mlp"][user] @ self._first_user + self._first_movie[movie]
            found[part] = self._squeezed(both @ self._out_gmf, first)
        return found

    def _stars(self, gmf: Floats, mlp: Floats, movies: Ints | slice = slice(None)) -> Floats:
        """Predicted stars for ``movies`` (m,): vectors (size,) give (m,), (n, 1, size) (n, m)."""
        product = (gmf * self._out_gmf) @ self._a["movie_gmf"][movies].T
        if product.ndim == 3:
            product = product[:, 0]
        return self._squeezed(product, self._first_movie[movies] + mlp @ self._first_user)

    def _squeezed(self, product: NDArray[Any], first: Floats) -> Floats:
        """Stars (...) from the GMF half's (...) and the first dense layer's (..., width) sums."""
        hidden = np.maximum(first, 0)
        for layer in range(1, self._depth):
            hidden = np.maximum(hidden @ self._a[f"kernel_{layer}"] + self._a[f"bias_{layer}"], 0)
        logits = product + hidden @ self._out_mlp + self._a["out_bias"][0]
        return as_float32(LOWEST + RANGE / (1 + np.exp(-logits)))


class NeuMFFamily:
    """See the module's text."""

    name = NAME
    objective: Literal["ranking", "rating"] = "rating"
    hyper_parameters: type[HyperParameters] = NeuMFParams

    def search_space(self, trial: Trial) -> HyperParameters:
        widths = {"64-32": (64, 32), "64": (64,), "128-64": (128, 64), "32-16": (32, 16)}
        return NeuMFParams(
            size=trial.suggest_int("size", 8, 64, log=True),
            dense_units=widths[trial.suggest_categorical("dense_units", list(widths))],
            learning_rate=trial.suggest_float("learning_rate", 0.004, 0.04, log=True),
            batch_size=trial.suggest_categorical("batch_size", [1024, 2048, 4096]),
            epochs=trial.suggest_int("epochs", 3, 6),
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
        params = cast(NeuMFParams, params)
        training_loop.seeded(seed)
        model = build(train.n_users, train.n_movies, params, float(train.stars.mean()))
        n_batches = -(-len(train) // params.batch_size)
        watched = validation is not None and epochs is None
        return _trained(
            model,
            params,
            train,
            validation,
            learning_rates=training_loop.one_cycle(params.learning_rate, params.epochs * n_batches),
            epochs=epochs or params.epochs,
            early_stop=training_loop.EarlyStop("val_loss", "min", PATIENCE) if watched else None,
            seed=seed,
            on_epoch=on_epoch,
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
        params = cast(NeuMFParams, params)
        training_loop.seeded(seed)
        n_held = int(validation_split * len(batch))
        rows = np.arange(len(batch))
        return _trained(
            _with_more_users(parent.keras_model, old_n_users, merged, params),
            params,
            batch.take(rows[: len(batch) - n_held]),
            batch.take(rows[len(batch) - n_held :]) if n_held else None,
            learning_rates=np.array([FINE_TUNING_RATE], dtype=np.float32),
            epochs=MOST_EPOCHS,
            early_stop=training_loop.EarlyStop("val_loss" if n_held else "loss", "min", patience),
            seed=seed,
            on_epoch=on_epoch,
        )

    def scorer(self, arrays: Arrays) -> Scorer:
        return NeuMFScorer(arrays)


def _trained(
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
    """Inputs ``user`` and ``movie`` (batch,), output stars (batch, 1).

    An untrained model predicts about ``mean_stars``, so that training starts from what is known
    of everybody: that alone is worth an epoch.
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
    joined = layers.Concatenate()([gmf, mlp])
    share = np.clip((mean_stars - LOWEST) / RANGE, 0.01, 0.99)
    at_mean = keras.initializers.Constant(float(np.log(share / (1 - share))))
    squeezed = layers.Dense(1, activation="sigmoid", bias_initializer=at_mean, name="out")(joined)
    stars = layers.Rescaling(RANGE, LOWEST, name="stars")(squeezed)
    return keras.Model([user, movie], stars, name="neumf")


def arrays(model: Any) -> dict[str, Any]:
    """What :class:`NeuMFScorer` needs, from a trained model."""
    found = {name: model.get_layer(name).get_weights()[0] for name in _VECTORS}
    depth = sum(layer.name.startswith("dense_") for layer in model.layers)
    for i in range(depth):
        found[f"kernel_{i}"], found[f"bias_{i}"] = model.get_layer(f"dense_{i}").get_weights()
    found["out_kernel"], found["out_bias"] = model.get_layer("out").get_weights()
    n_users = found["user_gmf"].shape[0]
    found["prototypes"] = np.unique(
        np.linspace(0, n_users - 1, min(n_users, MOST_PROTOTYPES)).astype(np.int64)
    )
    return found


def _with_more_users(model: Any, old_n_users: int, merged: Ratings, params: NeuMFParams) -> Any:
    """The same weights in a model with room for new users, who start as the average user."""
    grown = build(merged.n_users, merged.n_movies, params)
    for layer in grown.layers:
        old = model.get_layer(layer.name).get_weights()
        if layer.name in _USER_VECTORS:
            known = old[0][:old_n_users]
            new = np.tile(known.mean(axis=0), (merged.n_users - old_n_users, 1))
            old = [np.concatenate([known, new])]
        layer.set_weights(old)
    return grown
