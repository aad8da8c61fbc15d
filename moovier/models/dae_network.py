"""The Keras model of the denoising autoencoder, and its arrays.

:mod:`moovier.models.dae` describes the model. Keras is imported inside the functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from moovier.data.ratings import Floats, Ints
from moovier.models.dae_scoring import (
    CALM,
    GENRE_NEUTRAL,
    GENRE_UNIT,
    LIKES_GENRE,
    LOG_COUNT_UNIT,
    NEUTRAL,
    STAR_UNIT,
    DaeParams,
)


@dataclass(frozen=True)
class Constants:
    """The arrays that training does not change. Shapes as in :class:`DaeScorer`.

    ``trend``: (n_covered,) points that are added to every visitor's scores.
    """

    covered: Ints
    counts: Ints
    neighbours: Floats
    genres: Floats
    mean_genres: Floats
    trend: Floats


def build(constants: Constants, params: DaeParams) -> Any:
    """Return the Keras model as it is served.

    Inputs: ``stars`` (batch, n_covered), 0 for an unrated movie, and ``weights`` (batch,
    n_covered), the age weight of each rating. Output: (batch, n_covered) logits. The layers of
    the neighbours and the genres are frozen.
    """
    import keras
    from keras import layers, ops

    n = constants.covered.size
    stars = keras.Input((n,), name="stars")
    weights = keras.Input((n,), name="weights")
    rated = weights * ops.cast(stars > 0, "float32")
    length = ops.sqrt(ops.sum(rated * rated, axis=1, keepdims=True) + 1e-12)
    count = ops.sum(ops.cast(rated > 0, "float32"), axis=1, keepdims=True)
    count = ops.maximum(count, 1.0)
    centred = rated * (stars - NEUTRAL) / STAR_UNIT
    encoded = layers.Dense(params.size, name="encode_rated")(rated / length)
    encoded += layers.Dense(params.size, use_bias=False, name="encode_stars")(centred / length)
    log_count = ops.log(count) / LOG_COUNT_UNIT
    hidden = layers.Concatenate()([ops.tanh(encoded), log_count])
    logits = layers.Dense(n, name="decode")(hidden) + constants.trend[None]
    powered = rated * ops.power(stars / 5.0, params.star_power)
    # Its weights are set below; drawing millions of random ones first would take a second.
    neighbours = layers.Dense(
        n, use_bias=False, trainable=False, kernel_initializer="zeros", name="neighbours"
    )(powered)
    logits += params.neighbours * ops.power(count, params.neighbours_power) * neighbours
    genre_layer = layers.Dense(
        constants.genres.shape[1], use_bias=False, trainable=False, name="genres"
    )
    ratings = ops.sum(rated, axis=1, keepdims=True) + CALM
    likes = rated * ops.cast(stars >= LIKES_GENRE, "float32")
    expected = ops.sum(likes, axis=1, keepdims=True) * constants.mean_genres[None]
    affinity = params.affinity * (genre_layer(likes) - expected) / ratings
    liking = genre_layer(rated * (stars - GENRE_NEUTRAL) / GENRE_UNIT) / ratings
    points = affinity - params.aversion * ops.relu(-liking)
    logits += layers.Dense(n, use_bias=False, trainable=False, name="genre_movies")(points)
    model = keras.Model([stars, weights], logits, name="dae")
    model.get_layer("neighbours").set_weights([constants.neighbours])
    model.get_layer("genres").set_weights([constants.genres])
    model.get_layer("genre_movies").set_weights([constants.genres.T])
    return model


def arrays_of(model: Any, params: DaeParams, constants: Constants) -> dict[str, Any]:
    """Return the arrays of :class:`DaeScorer`."""
    rated, bias = model.get_layer("encode_rated").get_weights()
    decode, decode_bias = model.get_layer("decode").get_weights()
    return {
        "encode_rated": rated,
        "encode_stars": model.get_layer("encode_stars").get_weights()[0],
        "encode_bias": bias,
        "decode": decode,
        "decode_bias": decode_bias + constants.trend,
        "neighbours": constants.neighbours,
        "genres": constants.genres,
        "mean_genres": constants.mean_genres,
        "covered": constants.covered,
        "counts": constants.counts,
        "serving": np.array(
            [
                params.star_power,
                params.neighbours,
                params.neighbours_power,
                params.affinity,
                params.aversion,
                params.age_days,
                params.age_ratings,
                params.age_floor,
            ]
        ),
    }


def stored_arrays(model: Any, params: DaeParams, constants: Constants) -> dict[str, Any]:
    """Return :func:`arrays_of` for a bundle: the neighbours in half precision."""
    arrays = arrays_of(model, params, constants)
    return {**arrays, "neighbours": constants.neighbours.astype(np.float16)}
