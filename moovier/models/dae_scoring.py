"""The NumPy scorer of the denoising autoencoder, and its hyper-parameters.

:mod:`moovier.models.dae` describes the model.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.models import kernels
from moovier.models.family import Arrays, HyperParameters, as_float32, fold_in_each
from moovier.models.kernels import Kernels
from moovier.models.recency import Recency

#: Stars that the autoencoder takes as neutral, and the unit of the distance to them.
NEUTRAL, STAR_UNIT = 3.5, 1.5
#: The same for genres: a genre with a lower mean is disliked.
GENRE_NEUTRAL, GENRE_UNIT = 3.0, 2.0
#: Lowest stars that count in favour of the movie's genres.
LIKES_GENRE = 3.5
#: Neutral pseudo-ratings of each user, because one rating does not show a taste for a genre.
CALM = 8.0
#: Unit of the logarithm of the number of ratings.
LOG_COUNT_UNIT = 3.0
_EPSILON = 1e-6


class DaeParams(HyperParameters):
    """Hyper-parameters.

    ``size``: hidden units. ``dropout``: share of the input, and of the hidden units, dropped in
    training. ``l2``: penalty on the kernels. ``unliked_weight``: weight of a rating below 4 stars
    as a target, 0 to 1. ``visit_share``: share of the training examples that predict the
    next visit from all earlier ratings. ``least``: ratings that a movie needs to be covered; the
    others rank behind, by popularity. ``lambda_``, ``star_power``: EASE's penalty, and the power
    of ``stars / 5`` that weighs a rating in it. ``age_days``, ``age_ratings``, ``age_floor``: see
    :class:`moovier.models.recency.Recency`. The others: see :mod:`moovier.models.dae`.
    """

    size: PositiveInt = 128
    dropout: float = Field(0.5, ge=0, lt=1)
    learning_rate: PositiveFloat = 0.005
    batch_size: PositiveInt = 64
    epochs: PositiveInt = 12
    l2: NonNegativeFloat = 1e-5
    unliked_weight: float = Field(0.2, ge=0, le=1)
    visit_share: float = Field(0.15, ge=0, lt=1)
    least: PositiveInt = 3
    lambda_: PositiveFloat = 200.0
    star_power: NonNegativeFloat = 2.0
    neighbours: NonNegativeFloat = 25.0
    neighbours_power: NonNegativeFloat = 0.3
    affinity: NonNegativeFloat = 8.0
    aversion: NonNegativeFloat = 11.0
    age_days: PositiveFloat = 400.0
    age_ratings: PositiveFloat = 100.0
    age_floor: float = Field(0.1, ge=0, le=1)
    popular_days: NonNegativeInt = 0
    popular_weight: NonNegativeFloat = 0.0

    @property
    def recency(self) -> Recency:
        """The decay of a rating's weight."""
        return Recency(self.age_days, self.age_ratings, self.age_floor)


class DaeScorer:
    """Scores equal to those of the Keras model, by compiled functions or by NumPy.

    ``encode_rated``, ``encode_stars``: (n_covered, size) halves of the encoder's kernel.
    ``encode_bias``: (size,). ``decode``: (size + 1, n_covered), the last row for the logarithm of
    the number of ratings. ``decode_bias``: (n_covered,). ``neighbours``: (n_covered, n_covered)
    float16. ``genres``: (n_covered, n_genres), unit rows. ``covered``: (n_covered,) movie rows.
    ``mean_genres``: (n_genres,), mean row of ``genres`` over all ratings. ``counts``: (n_movies,)
    ratings, to rank the movies that are not covered. ``serving``: star power, weight and power of
    the neighbours, affinity, aversion, and the parameters of :class:`Recency`.
    """

    def __init__(
        self, arrays: Arrays, compiled: Kernels | Literal["built"] | None = "built"
    ) -> None:
        """Prepare the arrays; ``compiled`` None means NumPy.

        Raises:
            ValueError: the arrays disagree on the number of covered movies.
        """
        self._kernels = kernels.load() if compiled == "built" else compiled
        encode_rated, encode_stars = arrays["encode_rated"], arrays["encode_stars"]
        self._encode_bias = as_float32(arrays["encode_bias"])
        decode, decode_bias = arrays["decode"], arrays["decode_bias"]
        given = arrays["neighbours"]
        self._given_neighbours = as_float32(given) if self._kernels is None else given
        self._genres = as_float32(arrays["genres"])
        self.covered: Ints = arrays["covered"]
        counts = as_float32(arrays["counts"])
        self._mean_genres = as_float32(arrays["mean_genres"])
        serving: list[float] = arrays["serving"].tolist()
        self._star_power, self._weight, self._power, self._affinity, self._aversion = serving[:5]
        self._recency = Recency(*serving[5:])
        n = self.covered.size
        sizes = (
            encode_rated.shape[0],
            decode.shape[1],
            *self._given_neighbours.shape,
            self._genres.shape[0],
        )
        if set(sizes) != {n}:
            raise ValueError(
                f"the arrays disagree on the number of covered movies: {n} in covered, "
                f"{sizes} in encode_rated, decode, neighbours (twice) and genres"
            )
        self._size = self._encode_bias.size
        # Stacked, so that a visitor costs one gather of rows and one product instead of several.
        self._encode = as_float32(np.concatenate([encode_rated, encode_stars], axis=1))
        self._head = as_float32(np.concatenate([decode, self._genres.T, decode_bias[None]]))
        #: Row of each movie instead of a column, because reasons need few movies.
        self._head_rows = np.ascontiguousarray(self._head.T)
        neutral = (NEUTRAL, STAR_UNIT, GENRE_NEUTRAL, GENRE_UNIT, LIKES_GENRE)
        self._constants = np.array([*serving[:5], *neutral, CALM, LOG_COUNT_UNIT])
        self._last_inputs: tuple[History, tuple[Ints, Floats, Floats, Ints]] | None = None
        self.n_movies = int(counts.size)
        self._position = np.full(self.n_movies, -1, dtype=np.int64)
        self._position[self.covered] = np.arange(n)
        self._popularity = counts / max(float(counts.max(initial=1)), 1.0)

    @cached_property
    def _neighbours(self) -> Any:
        """What one visitor reads: half precision for the compiled functions, else single."""
        if self._kernels is None:
            return self._neighbours32
        # Half precision halves the file and what a visitor reads; NumPy is slow in it.
        return np.ascontiguousarray(self._given_neighbours, dtype=np.float16)

    @cached_property
    def _neighbours32(self) -> Floats:
        return as_float32(self._given_neighbours)

    @cached_property
    def _model_arrays(self) -> tuple[Any, ...]:
        """The first arguments of the compiled functions."""
        return (
            *(self._encode, self._encode_bias, self._neighbours, self._genres),
            *(self._mean_genres, self._constants),
        )

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the scores of known users, (len(users), n_movies)."""
        return fold_in_each(self.fold_in, users, histories, self.n_movies)

    def fold_in(self, history: History) -> Floats:
        """Return the scores for a visitor, (n_movies,)."""
        places, weights, stars = self._inputs(history)
        if not places.size:
            return self._popularity.copy()
        if self._kernels is not None:
            scores = np.empty(self.n_movies, dtype=np.float32)
            ratings = (places, weights, stars)
            rest = (self._head, self._popularity, self.covered, scores)
            self._kernels.dae_scores(*self._model_arrays, *ratings, *rest)
            return scores
        logits = self._logits(places, weights, stars)
        # Movies that are not covered rank behind the others, by popularity.
        scores = self._popularity + (float(logits.min()) - 2.0)
        scores[self.covered] = logits
        return as_float32(scores)

    def fold_in_covered(self, histories: Histories) -> Floats:
        """Return the scores of the covered movies for each history, (n_users, n_covered)."""
        places = self._position[histories.movies]
        inside = places >= 0
        ends = np.concatenate([[0], np.cumsum(inside)])[histories.offsets]
        counts = np.diff(ends).astype(np.float32)
        columns, stars = places[inside], histories.stars[inside]
        weights = self._recency.all_weights(histories)[inside]

        def sums(values: Floats, table: Floats) -> Floats:
            return _sparse_sums(values, columns, ends, table)

        centred = as_float32(weights * (stars - NEUTRAL) / STAR_UNIT)
        encoded = sums(weights, self._encode[:, : self._size])
        encoded += sums(centred, self._encode[:, self._size :])
        ones = np.ones((self.covered.size, 1), dtype=np.float32)
        lengths = np.sqrt(np.maximum(sums(as_float32(weights**2), ones), _EPSILON**2))
        likes = self._likes(weights, stars)
        features = self._features(
            as_float32(encoded / lengths),
            counts,
            sums(self._liking(weights, stars), self._genres),
            sums(likes, self._genres) - sums(likes, ones) * self._mean_genres,
            sums(weights, ones)[:, 0],
        )
        scores = features @ self._head
        scale = self._weight * np.maximum(counts, 1.0) ** self._power
        powered = as_float32(weights * (stars / 5.0) ** self._star_power)
        neighbours = sums(powered, self._neighbours32)
        neighbours *= scale.astype(np.float32)[:, None]
        scores += neighbours
        return as_float32(scores)

    def _logits(self, places: Ints, weights: Floats, stars: Floats) -> Floats:
        """Return the scores of the covered movies, (n_covered,)."""
        genres = self._genres[places]
        likes = self._likes(weights, stars)
        features = self._features(
            self._encoded(places, weights, stars),
            places.size,
            self._liking(weights, stars) @ genres,
            likes @ genres - likes.sum() * self._mean_genres,
            weights.sum(),
        )
        logits = features[0] @ self._head
        logits += self._neighbour_weights(weights, stars) @ self._neighbours[places]
        return as_float32(logits)

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return how much each score falls without each rating, (len(movies), len(history)).

        These leave-one-out differences keep the ages of the other ratings.
        """
        parts = np.zeros((len(movies), len(history)), dtype=np.float32)
        targets = self._position[movies]
        reached = targets >= 0
        places, weights, stars, columns = self._ordered_inputs(history)
        if not reached.any() or not places.size:
            return parts
        differences = self._differences(places, weights, stars, targets[reached])
        if differences.shape == parts.shape:
            # Every rating and movie is covered.
            parts[:, columns] = differences
        else:
            parts[np.ix_(reached, columns)] = differences
        return parts

    def _differences(self, places: Ints, weights: Floats, stars: Floats, targets: Ints) -> Floats:
        """Return how much each score falls without each rating, (len(targets), k)."""
        if self._kernels is not None:
            differences = np.empty((targets.size, places.size), dtype=np.float32)
            ratings = (places, weights, stars)
            self._kernels.dae_differences(
                *self._model_arrays, *ratings, self._head_rows, targets, differences
            )
            return differences
        scores = self._scores_without(places, weights, stars, targets)
        return as_float32((scores[0] - scores[1:]).T)

    def _scores_without(
        self, places: Ints, weights: Floats, stars: Floats, targets: Ints
    ) -> Floats:
        """Return scores with all ratings, then without each one, (k + 1, len(targets))."""
        k = places.size
        counts = np.array([k, *[k - 1] * k], dtype=np.float32)
        centred = weights * (stars - NEUTRAL) / STAR_UNIT
        rows = self._encode[places]
        encoded = weights[:, None] * rows[:, : self._size]
        encoded += centred[:, None] * rows[:, self._size :]
        lengths = np.sqrt(np.maximum(_leave_one_out(weights**2), _EPSILON**2))
        genres = self._genres[places]
        liked = self._likes(weights, stars)[:, None] * (genres - self._mean_genres)
        features = self._features(
            as_float32(_leave_one_out(encoded) / lengths[:, None]),
            counts,
            _leave_one_out(self._liking(weights, stars)[:, None] * genres),
            _leave_one_out(liked),
            _leave_one_out(weights),
        )
        each = weights[:, None] * (stars[:, None] / 5.0) ** self._star_power
        shares = each * self._neighbours[np.ix_(places, targets)]
        scale = self._weight * np.maximum(counts, 1.0) ** self._power
        return as_float32(
            features @ self._head_rows[targets].T + scale[:, None] * _leave_one_out(shares)
        )

    def _inputs(self, history: History) -> tuple[Ints, Floats, Floats]:
        """Return places, weights and stars of the covered ratings, (k,) each, by place."""
        places, weights, stars, _ = self._ordered_inputs(history)
        return places, weights, stars

    def _ordered_inputs(self, history: History) -> tuple[Ints, Floats, Floats, Ints]:
        """Return :meth:`_inputs` and the position of each in the history.

        Sums run in the order of places, so that the order of the history does not change a byte
        of the scores. The last result stays in memory, because reasons follow the scores.
        """
        last = self._last_inputs
        if last is not None and last[0] is history:
            return last[1]
        inputs = self._compute_inputs(history)
        self._last_inputs = history, inputs
        return inputs

    def _compute_inputs(self, history: History) -> tuple[Ints, Floats, Floats, Ints]:
        places = self._position[history.movies]
        order = np.argsort(places, kind="stable")
        order = order[places[order] >= 0]
        if not order.size:
            return places[order], np.zeros(0, np.float32), np.zeros(0, np.float32), order
        weights = self._recency.weights(history.timestamps)
        return places[order], weights[order], history.stars[order], order

    def _encoded(self, places: Ints, weights: Floats, stars: Floats) -> Floats:
        """Return the encoder's output before its bias, (size,)."""
        centred = weights * (stars - NEUTRAL) / STAR_UNIT
        rows = self._encode[places]
        encoded = weights @ rows[:, : self._size] + centred @ rows[:, self._size :]
        length = max(float(np.sqrt(weights @ weights)), _EPSILON)
        return as_float32(encoded / length)

    def _features(
        self, encoded: Floats, counts: Any, liking: Floats, liked: Floats, total: Any
    ) -> Floats:
        """Return what the head multiplies: hidden units, log of the count, genre points and 1.

        ``encoded``: (size,) or (m, size), and the other arguments alike, without or with a first
        axis of m. Returns (m, size + n_genres + 2), m = 1 without that axis.
        """
        encoded = np.atleast_2d(encoded)
        features = np.ones((encoded.shape[0], self._head.shape[0]), dtype=np.float32)
        np.tanh(encoded + self._encode_bias, out=features[:, : self._size])
        features[:, self._size] = np.log(np.maximum(counts, 1.0)) / LOG_COUNT_UNIT
        features[:, self._size + 1 : -1] = self._genre_points(liking, liked, total)
        return features

    def _neighbour_weights(self, weights: Floats, stars: Floats) -> Floats:
        scale = self._weight * weights.size**self._power
        return as_float32(scale * weights * (stars / 5.0) ** self._star_power)

    def _liking(self, weights: Floats, stars: Floats) -> Floats:
        """Return how much each rating speaks for (positive) or against its genres, (k,)."""
        return as_float32(weights * (stars - GENRE_NEUTRAL) / GENRE_UNIT)

    def _likes(self, weights: Floats, stars: Floats) -> Floats:
        """Return the weights of the liked movies, 0 for the others, (k,)."""
        return as_float32(weights * (stars >= LIKES_GENRE))

    def _genre_points(self, liking: Floats, liked: Floats, total: Any) -> Floats:
        """Return the points of each genre, (..., n_genres).

        ``liking``, ``liked``: (..., n_genres), sums over the ratings. ``total``: (...), sum of
        their weights.
        """
        ratings = np.asarray(total)[..., None] + CALM
        averse = self._aversion * np.maximum(-liking / ratings, 0.0)
        return as_float32(self._affinity * liked / ratings - averse)


def _sparse_sums(values: Floats, columns: Ints, ends: Ints, table: Floats) -> Floats:
    """Return each user's sum of ``values * table[columns]``, (n_users, table columns).

    ``values``, ``columns``: (n,), user u owns the rows from ``ends[u]`` to ``ends[u + 1]``.
    """
    # Only evaluation needs it; the process that answers requests never imports SciPy.
    import scipy.sparse

    shape = (ends.size - 1, table.shape[0])
    return as_float32(scipy.sparse.csr_matrix((values, columns, ends), shape=shape) @ table)


def _leave_one_out(values: Floats) -> Floats:
    """Return the sum over the first axis, then the sum without each entry, (k + 1, ...)."""
    total = values.sum(axis=0, keepdims=True)
    return as_float32(np.concatenate([total, total - values]))
