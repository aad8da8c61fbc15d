"""A variational autoencoder that looks ahead: from what somebody rated to what they rate next.

The encoder turns a person's weighted ratings into a distribution over ``size`` hidden traits, the
decoder turns a draw from it into a probability for each movie. It is trained on the multinomial
likelihood, with a penalty on how far the distribution strays from a standard normal one (Liang et
al. 2018, "Variational autoencoders for collaborative filtering", https://arxiv.org/abs/1802.05814).
Other than there, what is to be predicted is not the input itself: every history is cut at random
moments, and the ratings after the cut are predicted from those before it.

Nothing belongs to a user: a person the model never saw is served as well as a known one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from moovier.data.arrays import Floats, Histories, History, Ints, Ratings
from moovier.data.catalogue import Catalogue
from moovier.models import ease, inputs, keras_fit
from moovier.models.family import (
    Arrays,
    Fitted,
    HyperParameters,
    OnEpoch,
    Scorer,
    Trial,
    ValidationNdcg,
    as_float32,
)

NAME = "vae"
#: Cuts of everybody's history in one epoch.
CUTS = 10
#: Epochs without improvement after which a training ends, and epochs of a fine-tuning at most.
PATIENCE, MOST_EPOCHS = 3, 10
_DENSE = ("encode", "mean", "spread", "decode", "movies")


class VaeParams(HyperParameters):
    """``size``: hidden traits. ``hidden``: units of the layer on either side of them. ``dropout``:
    share of the input left out in training. ``beta``: weight of the penalty. ``star_power``,
    ``half_life``: see :func:`inputs.weights`. ``ahead``: how many ratings after a cut halve the
    weight of what is to be predicted. ``least``: ratings that a movie needs to be covered."""

    size: PositiveInt = 64
    hidden: PositiveInt = 256
    dropout: float = Field(0.3, ge=0, lt=1)
    beta: NonNegativeFloat = 0.05
    learning_rate: PositiveFloat = 0.003
    batch_size: PositiveInt = 128
    epochs: PositiveInt = 15
    star_power: NonNegativeFloat = 1.0
    half_life: PositiveFloat = 5.0
    ahead: PositiveFloat = 5.0
    least: PositiveInt = 3


class VaeScorer:
    """``<layer>_kernel`` and ``<layer>_bias`` of the layers ``encode``, ``mean``, ``decode`` and
    ``movies``. ``covered``: (n_covered,) movie rows. ``counts``: (n_movies,) ratings, to rank what
    is not covered. ``asking``: star power and half-life."""

    def __init__(self, arrays: Arrays) -> None:
        self._layers = {
            name: (as_float32(arrays[f"{name}_kernel"]), as_float32(arrays[f"{name}_bias"]))
            for name in _DENSE
        }
        self._covered: Ints = arrays["covered"]
        counts = as_float32(arrays["counts"])
        if self._layers["encode"][0].shape[0] != self._covered.size:
            raise ValueError("encoder and covered movies disagree on how many there are")
        self.n_movies = int(counts.size)
        self._position = np.full(self.n_movies, -1, dtype=np.int64)
        self._position[self._covered] = np.arange(self._covered.size)
        self._popularity = counts / max(float(counts.max(initial=1)), 1.0)
        self._asking = (float(arrays["asking"][0]), float(arrays["asking"][1]))

    def score(self, users: Ints, histories: Histories) -> Floats:
        scores = np.empty((len(users), self.n_movies), dtype=np.float32)
        for row, user in enumerate(users):
            scores[row] = self.fold_in(histories[int(user)])
        return scores

    def fold_in(self, history: History) -> Floats:
        weights, places = self._input(history)
        if not places.size:
            return as_float32(self._popularity)
        kernel, bias = self._layers["movies"]
        logits = self._decoded(weights @ self._layers["encode"][0][places]) @ kernel + bias
        # What is not covered stands behind what is, by popularity.
        scores = self._popularity + (logits.min() - 2.0)
        scores[self._covered] = logits
        return as_float32(scores)

    def because(self, history: History, movies: Ints) -> Floats:
        """How much lower the movies would stand without each rating."""
        parts = np.zeros((len(movies), len(history)), dtype=np.float32)
        targets = self._position[movies]
        reached = targets >= 0
        weights, places = self._input(history)
        if not reached.any() or not places.size:
            return parts
        kernel, bias = self._layers["movies"]
        each = weights[:, None] * self._layers["encode"][0][places]
        whole = each.sum(axis=0)
        rest = np.maximum(1.0 - weights**2, 1e-6)
        without = (whole - each) / np.sqrt(rest)[:, None]
        traits = np.vstack([whole, without])
        scores = self._decoded(traits) @ kernel[:, targets[reached]] + bias[targets[reached]]
        known = self._position[history.movies] >= 0
        parts[np.ix_(reached, known)] = (scores[0] - scores[1:]).T
        return parts

    def _input(self, history: History) -> tuple[Floats, Ints]:
        """Weights of the covered ratings, of length 1 together, and their places."""
        star_power, half_life = self._asking
        weights = inputs.weights(history, star_power=star_power, half_life=half_life)
        places = self._position[history.movies]
        known = places >= 0
        weights = weights[known]
        return weights / max(float(np.linalg.norm(weights)), 1e-9), places[known]

    def _decoded(self, encoded: Floats) -> Floats:
        """From the encoder's sums (..., hidden) to the decoder's units (..., hidden)."""
        units = np.tanh(encoded + self._layers["encode"][1])
        for name in ("mean", "decode"):
            kernel, bias = self._layers[name]
            units = units @ kernel + bias
        return as_float32(np.tanh(units))


class VaeFamily:
    """See the module's text."""

    name = NAME
    learns: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = VaeParams

    def search_space(self, trial: Trial) -> HyperParameters:
        return VaeParams(
            size=trial.suggest_int("size", 16, 128, log=True),
            hidden=trial.suggest_categorical("hidden", [128, 256, 512]),
            dropout=trial.suggest_float("dropout", 0.0, 0.6),
            beta=trial.suggest_float("beta", 0.005, 0.5, log=True),
            learning_rate=trial.suggest_float("learning_rate", 0.001, 0.01, log=True),
            half_life=trial.suggest_float("half_life", 3.0, 50.0, log=True),
            ahead=trial.suggest_float("ahead", 3.0, 50.0, log=True),
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
    ) -> Fitted:
        params = cast(VaeParams, params)
        keras_fit.seeded(seed)
        counts = train.histories.movie_counts()
        covered = ease.covered(counts, params.least)
        model = build(covered.size, params)
        watched = validation_ndcg is not None and epochs is None

        def judged(model: Any) -> dict[str, float]:
            assert validation_ndcg is not None
            scorer = VaeScorer(_arrays(model, params, covered, counts))
            return {"val_ndcg_at_10": validation_ndcg(scorer)}

        run = _train(
            model,
            train.histories,
            params,
            covered,
            epochs=epochs or params.epochs,
            seed=seed,
            validate=judged if watched else None,
            early_stop=keras_fit.EarlyStop("val_ndcg_at_10", "max", PATIENCE) if watched else None,
            on_epoch=on_epoch,
        )
        return Fitted(_arrays(model, params, covered, counts), model, run.best_epoch, run.curves)

    def fine_tune(
        self,
        parent: Fitted,
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
    ) -> Fitted:
        """Go on with the people of the batch, their whole histories. ``val_loss`` is the negative
        log-likelihood, per rating, of what was held out of the batch."""
        params = cast(VaeParams, params)
        keras_fit.seeded(seed)
        model, covered = parent.keras_model, parent.arrays["covered"]
        counts = merged.histories.movie_counts()
        n_held = int(validation_split * len(batch))
        held = batch.take(np.arange(len(batch) - n_held, len(batch)))
        known = merged.take(np.isin(merged.users, batch.users))
        known = known.take(~known.among(held))
        figure = "val_loss" if n_held else "loss"

        def judged(model: Any) -> dict[str, float]:
            scorer = VaeScorer(_arrays(model, params, covered, counts))
            return {"val_loss": _surprise(scorer, known.histories, held, covered)}

        run = _train(
            model,
            known.histories,
            params.model_copy(update={"learning_rate": params.learning_rate / 10}),
            covered,
            epochs=MOST_EPOCHS,
            seed=seed,
            validate=judged if n_held else None,
            early_stop=keras_fit.EarlyStop(figure, "min", patience),
            on_epoch=on_epoch,
        )
        return Fitted(_arrays(model, params, covered, counts), model, run.best_epoch, run.curves)

    def scorer(self, arrays: Arrays) -> Scorer:
        return VaeScorer(arrays)


def build(n_covered: int, params: VaeParams) -> Any:
    """Inputs ``rated`` (batch, n_covered) and ``noise`` (batch, size), all zero when asking;
    outputs logits (batch, n_covered), mean and log-variance of the traits (batch, size)."""
    import keras
    from keras import layers, ops

    rated = keras.Input((n_covered,), name="rated")
    noise = keras.Input((params.size,), name="noise")
    kept = layers.Dropout(params.dropout)(rated)
    units = layers.Dense(params.hidden, activation="tanh", name="encode")(kept)
    mean = layers.Dense(params.size, name="mean")(units)
    log_variance = layers.Dense(params.size, name="spread")(units)
    traits = mean + noise * ops.exp(0.5 * log_variance)
    units = layers.Dense(params.hidden, activation="tanh", name="decode")(traits)
    logits = layers.Dense(n_covered, name="movies")(units)
    return keras.Model([rated, noise], [logits, mean, log_variance], name=NAME)


def _arrays(model: Any, params: VaeParams, covered: Ints, counts: Ints) -> dict[str, Any]:
    """The arrays of :class:`VaeScorer`."""
    found: dict[str, Any] = {
        "covered": covered,
        "counts": counts,
        "asking": np.array([params.star_power, params.half_life]),
    }
    for name in _DENSE:
        found[f"{name}_kernel"], found[f"{name}_bias"] = model.get_layer(name).get_weights()
    return found


def _train(
    model: Any,
    histories: Histories,
    params: VaeParams,
    covered: Ints,
    *,
    epochs: int,
    seed: int,
    validate: Callable[[Any], dict[str, float]] | None,
    early_stop: keras_fit.EarlyStop | None,
    on_epoch: OnEpoch | None,
) -> keras_fit.Run:
    """Train on cuts of ``histories``, the best epoch's weights at the end."""
    import tensorflow as tf

    random = np.random.default_rng(seed)
    users = np.repeat(np.flatnonzero(histories.counts() > 1), CUTS)
    step = _step(model, params)
    position = np.full(histories.n_movies, -1, dtype=np.int64)
    position[covered] = np.arange(covered.size)

    def run_epoch() -> float:
        losses = []
        order = random.permutation(users)
        for start in range(0, order.size, params.batch_size):
            before, after = _cut(histories, order[start : start + params.batch_size], random)
            noise = random.standard_normal((len(before), params.size)).astype(np.float32)
            dense = [_dense(part, position, covered.size) for part in (before, after)]
            losses.append(float(step(*map(tf.constant, dense), tf.constant(noise))))
        return float(np.mean(losses)) if losses else 0.0

    def _cut(
        histories: Histories, users: Ints, random: np.random.Generator
    ) -> tuple[list[_Bag], list[_Bag]]:
        before, after = [], []
        for user in users.tolist():
            history = histories[user]
            cut = int(random.integers(1, len(history)))
            past = History(history.movies[:cut], history.stars[:cut], history.timestamps[:cut])
            weights = inputs.weights(past, star_power=params.star_power, half_life=params.half_life)
            before.append((past.movies, weights / max(float(np.linalg.norm(weights)), 1e-9)))
            distance = np.arange(len(history) - cut, dtype=np.float32)
            wanted = np.exp2(-distance / params.ahead)
            after.append((history.movies[cut:], wanted / wanted.sum()))
        return before, after

    return keras_fit.run(
        model,
        run_epoch,
        epochs=epochs,
        validate=validate,
        early_stop=early_stop,
        on_epoch=on_epoch,
    )


#: Movie rows and their weights.
_Bag = tuple[Ints, Floats]


def _dense(bags: list[_Bag], position: Ints, n_covered: int) -> Floats:
    """Rows of weights, (len(bags), n_covered); ``position``: each movie's column, -1 for none."""
    # One column more takes what is not covered.
    rows = np.zeros((len(bags), n_covered + 1), dtype=np.float32)
    for row, (movies, weights) in enumerate(bags):
        rows[row, position[movies]] = weights
    return rows[:, :-1]


def _step(model: Any, params: VaeParams) -> Callable[..., Any]:
    """A function that takes one step of Adam on a batch and returns its loss."""
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.Adam(params.learning_rate)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(rated: Any, wanted: Any, noise: Any) -> Any:
        with tf.GradientTape() as tape:
            logits, mean, log_variance = model([rated, noise], training=True)
            likelihood = tf.reduce_sum(wanted * tf.nn.log_softmax(logits), axis=1)
            strayed = mean**2 + tf.exp(log_variance) - log_variance - 1.0
            penalty = 0.5 * tf.reduce_sum(strayed, axis=1)
            loss = tf.reduce_mean(params.beta * penalty - likelihood)
        optimizer.apply(tape.gradient(loss, [v.value for v in model.trainable_variables]))
        return loss

    return step  # type: ignore[no-any-return]


def _surprise(scorer: VaeScorer, known: Histories, held: Ratings, covered: Ints) -> float:
    """Negative log-likelihood per held-out rating of a covered movie; 0 where there is none."""
    lost, rows = 0.0, 0
    for user in np.unique(held.users):
        scores = scorer.fold_in(known[int(user)])[covered].astype(np.float64)
        wanted = np.isin(covered, held.movies[held.users == user])
        log_total = float(np.logaddexp.reduce(scores))
        lost += float((log_total - scores[wanted]).sum())
        rows += int(wanted.sum())
    return lost / rows if rows else 0.0
