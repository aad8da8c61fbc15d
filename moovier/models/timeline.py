"""The model ``timeline``: movies that others rated soon after the user's movies. Retired.

Users rate in runs: the next rating is often a movie that others rated soon after the same movies,
at about the same time. A movie's score is a sum of three parts, each a sum over the movies that
the user rated:

- *flow*: how often the movie came within ``size`` ratings after a rated one on any user's
  timeline; before it counts against it. A pair counts less with its distance and with the years
  between it and the user's last rating. Per rated movie this is a share of its occurrences,
  shrunk if they are few. Related to session-based neighbours: Jannach & Ludewig 2017,
  doi:10.1145/3109859.3109872.
- *company*: EASE (:mod:`moovier.models.ease`).
- *content*: similarity by genres and by year of release, which also reaches rare movies.

Flow and company are divided by their standard deviation over the catalogue. The model has no
parameters per user, so fold-in serves a visitor like a known user.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Floats, Ints, Ratings
from moovier.models import content_features, ease
from moovier.models.family import (
    Arrays,
    FineTuneRequest,
    FitContext,
    FitResult,
    HyperParameters,
    Scorer,
    Trial,
    as_float32,
)
from moovier.models.timeline_scoring import (
    ASKING,
    NO_MOVIE,
    TimelineParams,
    TimelineScorer,
)
from moovier.timestamps import YEAR_S

NAME = "timeline"
#: Neighbours of each movie in company: those of the greatest weight.
MOST_NEIGHBOURS = 256


class TimelineFamily:
    """The family ``timeline``; the module's docstring describes the model."""

    name = NAME
    objective: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = TimelineParams
    fine_tunes_keras_model = False

    def search_space(self, trial: Trial) -> HyperParameters:
        """Draw hyper-parameters."""
        return TimelineParams(
            half_life=trial.suggest_float("half_life", 5.0, 40.0, log=True),
            back=trial.suggest_float("back", 0.0, 0.5),
            shrink=trial.suggest_float("shrink", 1.0, 30.0, log=True),
            era=trial.suggest_float("era", 0.5, 10.0, log=True),
            asking_half_life=trial.suggest_float("asking_half_life", 1.0, 20.0, log=True),
            asking_floor=trial.suggest_float("asking_floor", 0.002, 0.2, log=True),
            company=trial.suggest_float("company", 0.0, 1.0),
            company_half_life=trial.suggest_float("company_half_life", 5.0, 200.0, log=True),
            genres=trial.suggest_float("genres", 0.0, 25.0),
            years=trial.suggest_float("years", 0.0, 10.0),
        )

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        """Store the timelines and solve for EASE: one epoch."""
        arrays = build_arrays(train, cast(TimelineParams, params), context.catalogue)
        metrics: dict[str, float] = {}
        if context.validation_ndcg is not None and context.epochs is None:
            metrics["val_ndcg_at_10"] = context.validation_ndcg(self.scorer(arrays))
        if context.on_epoch is not None:
            context.on_epoch(0, metrics)
        curves = {name: [value] for name, value in metrics.items()}
        return FitResult(arrays, _keras_model(arrays), 1, curves)

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        """Fit again on all ratings, the batch included.

        The model has no weights to train further, and a fit takes seconds.
        """
        context = FitContext(request.catalogue, request.seed, epochs=1, on_epoch=request.on_epoch)
        return self.fit(request.merged, params, context)

    def scorer(self, arrays: Arrays) -> Scorer:
        """Build the scorer."""
        return TimelineScorer(arrays)


def build_arrays(train: Ratings, params: TimelineParams, catalogue: Catalogue) -> dict[str, Any]:
    """Return the arrays of :class:`TimelineScorer`."""
    histories = train.histories
    counts = histories.counts()
    reach = params.size
    # Each user's ratings, then padding as long as the reach of flow; the same before the first.
    places = reach + np.arange(len(train)) + reach * np.repeat(np.arange(counts.size), counts)
    timeline = np.full(len(train) + reach * (counts.size + 1), NO_MOVIE, dtype=np.int32)
    timeline[places] = histories.movies
    when = np.zeros(timeline.size, dtype=np.float32)
    when[places] = histories.timestamps / YEAR_S
    by_movie = places[np.lexsort((histories.timestamps, histories.movies))]
    movie_counts = histories.movie_counts()
    company = ease.build_arrays(train, ease.EaseParams(lambda_=params.lambda_, star_power=1.0))
    neighbours, strengths = _strongest(company["weights"], company["covered"])
    genres = content_features.genres(catalogue, params.genres)
    years = content_features.years(catalogue, params.years)
    return {
        "timeline": timeline,
        "when": when,
        "kernel": kernel(params),
        "places": by_movie.astype(np.int32),
        "offsets": np.concatenate([[0], np.cumsum(movie_counts)]).astype(np.int64),
        "neighbours": neighbours,
        "company": strengths,
        "covered": company["covered"],
        "genres": genres.vectors,
        "genres_of": genres.of,
        "years": years.vectors,
        "years_of": years.of,
        "counts": movie_counts,
        "asking": np.array([getattr(params, name) for name in ASKING]),
    }


def _strongest(weights: NDArray[np.float16], covered: Ints) -> tuple[Ints, Floats]:
    """Return the greatest absolute weights of each row of EASE: movie rows and values."""
    most = min(MOST_NEIGHBOURS, covered.size)
    places = np.argpartition(-np.abs(weights), most - 1, axis=1)[:, :most]
    values = np.take_along_axis(weights, places, axis=1)
    return covered[places].astype(np.int32), as_float32(values)


def kernel(params: TimelineParams) -> Floats:
    """Return the weight of each distance, (2 size + 1,).

    ``size`` places before the rated movie, itself (0), and ``size`` places after it.
    """
    distance = np.arange(1, params.size + 1)
    after = np.exp2(-distance / params.half_life)
    before = -params.back * np.exp2(-distance / params.back_half_life)
    return as_float32(np.concatenate([before[::-1], [0.0], after]))


def _keras_model(arrays: Arrays) -> Any:
    """Return the three parts as Keras layers.

    Flow is a convolution over the timeline, (batch, n, 1). Company, (batch, n_covered), and
    content, (batch, n_movies), are dense layers.
    """
    import keras

    kernel, covered = arrays["kernel"], arrays["covered"]
    position = np.zeros(arrays["counts"].size, dtype=np.int64)
    position[covered] = np.arange(covered.size)
    weights = np.zeros((covered.size, covered.size), dtype=np.float32)
    np.put_along_axis(weights, position[arrays["neighbours"]], arrays["company"], axis=1)
    movies = np.concatenate(
        [arrays[name][arrays[f"{name}_of"]] for name in ("genres", "years")], axis=1
    )
    support = keras.Input((None, 1), name="support")
    flow = keras.layers.Conv1D(1, kernel.size, padding="same", use_bias=False, name="flow")
    rated = keras.Input((weights.shape[0],), name="rated")
    company = keras.layers.Dense(weights.shape[0], use_bias=False, name="company")
    liked = keras.Input((movies.shape[0],), name="liked")
    inward = keras.layers.Dense(movies.shape[1], use_bias=False, name="content")
    outward = keras.layers.Dense(movies.shape[0], use_bias=False, name="nearness")
    model = keras.Model(
        [support, rated, liked], [flow(support), company(rated), outward(inward(liked))], name=NAME
    )
    # Keras correlates instead of convolving, so the kernel is reversed.
    flow.set_weights([kernel[::-1, None, None].copy()])
    company.set_weights([weights])
    inward.set_weights([movies])
    outward.set_weights([movies.T.copy()])
    return model
