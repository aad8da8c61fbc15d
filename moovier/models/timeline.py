"""What others went on to rate: everybody's ratings in order are the memory, and it ranks.

People rate in runs: what somebody rates next is often what others rated soon after the same
movies, at about the same time in the world. A movie's score is a sum of three parts, each a sum
over the movies that a person rated:

- *flow*: how often the movie came within ``size`` ratings after (or, against it, before) a rated
  one on anybody's timeline. A pair counts less the farther it is apart, and the more years lie
  between it and the person's last rating. Per rated movie this is a share of its occurrences,
  shrunk where they are few. Kin to session-based neighbours: Jannach & Ludewig 2017,
  doi:10.1145/3109859.3109872.
- *company*: EASE (:mod:`moovier.models.ease`).
- *content*: nearness by genres and by year of release, which also reaches rare movies.

Flow and company are brought to one scale by their standard deviation over the catalogue.
Nothing belongs to a user, so a person the model never saw is served as well as a known one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from moovier.data.arrays import Floats, Histories, History, Ints, Ratings
from moovier.data.catalogue import Catalogue
from moovier.models import content, ease
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

NAME = "timeline"
#: Newest ratings of a person that flow is followed from, and occurrences of each movie, those
#: nearest in time: keeps an answer to milliseconds on any data.
MOST_RATED, MOST_OCCURRENCES = 200, 400
_YEAR_S = 31_556_952.0
#: Stands between two people's timelines.
_NOBODY = -1


class TimelineParams(HyperParameters):
    """``size``: ratings that flow reaches. Half-lives are in ratings, years in years.

    ``half_life``: of a pair's distance; ``back``, ``back_half_life``: weight and distance of
    pairs the other way round, which speak against. ``shrink``: added to a movie's occurrences.
    ``era``, ``era_floor``: half-life of the years between a pair and the person's last rating, and
    what is left of the oldest. ``asking_half_life``, ``asking_floor``: how fast a person's own
    ratings fade, and what stays of the oldest. ``star_power``: see :func:`inputs.weights`.
    ``company``: weight of EASE, ``lambda_`` its penalty, ``company_half_life`` its fading.
    ``genres``, ``years``: weights of the content; ``content_half_life`` its fading.
    """

    size: PositiveInt = 60
    half_life: PositiveFloat = 15.0
    back: NonNegativeFloat = 0.2
    back_half_life: PositiveFloat = 5.0
    shrink: NonNegativeFloat = 5.0
    era: PositiveFloat = 2.0
    era_floor: float = Field(0.05, ge=0, le=1)
    star_power: NonNegativeFloat = 0.3
    asking_half_life: PositiveFloat = 4.0
    asking_floor: float = Field(0.02, ge=0, le=1)
    company: NonNegativeFloat = 0.4
    lambda_: PositiveFloat = 25.0
    company_half_life: PositiveFloat = 40.0
    genres: NonNegativeFloat = 13.0
    years: NonNegativeFloat = 4.0
    content_half_life: PositiveFloat = 8.0


@dataclass(frozen=True)
class _Flows:
    """Where flow goes from a history: parallel arrays, one entry a (rated movie, neighbour) pair.

    ``sources``: places in the history. ``targets``: movie rows. ``weights``: what is added.
    """

    sources: Ints
    targets: Ints
    weights: Floats


class TimelineScorer:
    """``timeline``: (n,) movie rows of everybody in order, ``-1`` between two people; ``when``:
    (n,) years since 1970. ``kernel``: (2 size + 1,) weight of each distance, before to after.
    ``places``, ``offsets``: where each movie occurs, oldest first. ``weights``, ``covered``: EASE.
    ``content``: (n_movies, k). ``counts``: (n_movies,). ``asking``: the asking parameters by the
    order of ``_ASKING``."""

    def __init__(self, arrays: Arrays) -> None:
        self._when = as_float32(arrays["when"])
        self._kernel = as_float32(arrays["kernel"])
        self._places: Ints = arrays["places"].astype(np.int64)
        self._offsets: Ints = arrays["offsets"]
        self._weights = as_float32(arrays["weights"])
        self._covered: Ints = arrays["covered"]
        self._content = as_float32(arrays["content"])
        counts = as_float32(arrays["counts"])
        self.n_movies = int(counts.size)
        if self._content.shape[0] != self.n_movies or self._offsets.size != self.n_movies + 1:
            raise ValueError("content, occurrences and counts disagree on the number of movies")
        self._popularity = counts / max(float(counts.max(initial=1)), 1.0)
        self._position = np.full(self.n_movies, -1, dtype=np.int64)
        self._position[self._covered] = np.arange(self._covered.size)
        self._asking = dict(zip(_ASKING, arrays["asking"].tolist(), strict=True))
        self._windows = sliding_window_view(arrays["timeline"], self._kernel.size)

    def score(self, users: Ints, histories: Histories) -> Floats:
        scores = np.empty((len(users), self.n_movies), dtype=np.float32)
        for row, user in enumerate(users):
            scores[row] = self.fold_in(histories[int(user)])
        return scores

    def fold_in(self, history: History) -> Floats:
        if not len(history):
            return self._popularity.copy()
        flow, company, liking = self._parts(history)
        content = self._content @ (liking @ self._content[history.movies])
        # Popularity decides between movies that nothing else tells apart.
        return as_float32(_scaled(flow) + self._company(company) + content + self._behind())

    def because(self, history: History, movie: int) -> Floats:
        if not len(history):
            return np.zeros(0, dtype=np.float32)
        flows, company, liking = self._flows(history), *self._asked(history)
        hits = flows.targets == movie
        everywhere = np.bincount(flows.targets, flows.weights, self.n_movies + 1)[:-1]
        flow = np.bincount(flows.sources[hits], flows.weights[hits], len(history))
        parts = np.asarray(flow / _spread(everywhere))
        known, target = self._position[history.movies] >= 0, self._position[movie]
        if target >= 0:
            places = self._position[history.movies[known]]
            scale = self._asking["company"] / _spread(self._scattered(history, company))
            parts[known] += scale * company[known] * self._weights[places, target]
        parts += liking * (self._content[history.movies] @ self._content[movie])
        return as_float32(parts)

    def _parts(self, history: History) -> tuple[Floats, Floats, Floats]:
        """Flow and company of every movie, (n_movies,), and the weight of each rated movie's
        content, (k,)."""
        flows = self._flows(history)
        flow = np.bincount(flows.targets, flows.weights, self.n_movies + 1)[:-1]
        company, liking = self._asked(history)
        return as_float32(flow), self._scattered(history, company), liking

    def _company(self, company: Floats) -> Floats:
        return as_float32(self._asking["company"] * _scaled(company))

    def _behind(self) -> Floats:
        return as_float32(1e-3 * self._popularity)

    def _scattered(self, history: History, company: Floats) -> Floats:
        places = self._position[history.movies]
        known = places >= 0
        scores = np.zeros(self.n_movies, dtype=np.float32)
        scores[self._covered] = company[known] @ self._weights[places[known]]
        return scores

    def _asked(self, history: History) -> tuple[Floats, Floats]:
        """Weights of each rated movie for company and for content, the latter adding up to 1."""
        age = np.arange(len(history) - 1, -1, -1, dtype=np.float32)
        share = history.stars / 5.0
        company = share * np.exp2(-age / self._asking["company_half_life"])
        liking = share * np.exp2(-age / self._asking["content_half_life"])
        return as_float32(company), as_float32(liking / liking.sum())

    def _flows(self, history: History) -> _Flows:
        newest = range(max(len(history) - MOST_RATED, 0), len(history))
        now = float(history.timestamps[-1]) / _YEAR_S
        asking, reach = self._asking, self._kernel.size // 2
        sources, starts, weights = [], [], []
        for place in newest:
            places = self._nearest(int(history.movies[place]), now)
            if not places.size:
                continue
            apart = np.abs(self._when[places] - now)
            era = asking["era_floor"] + (1 - asking["era_floor"]) * np.exp2(-apart / asking["era"])
            age = len(history) - 1 - place
            fading = np.exp2(-age / asking["asking_half_life"]) + asking["asking_floor"]
            asked = (history.stars[place] / 5.0) ** asking["star_power"] * fading
            sources.append(np.full(places.size, place))
            starts.append(places - reach)
            weights.append(asked * era / (era.sum() + asking["shrink"]))
        if not sources:
            nothing = np.zeros(0, dtype=np.int64)
            return _Flows(nothing, nothing, np.zeros(0, dtype=np.float32))
        from_each = np.concatenate(weights)[:, None] * self._kernel
        targets = self._windows[np.concatenate(starts)].astype(np.int64)
        # What lies beyond a person's own timeline goes to a movie that there is not.
        targets[targets == _NOBODY] = self.n_movies
        return _Flows(
            np.repeat(np.concatenate(sources), self._kernel.size),
            targets.ravel(),
            as_float32(from_each.ravel()),
        )

    def _nearest(self, movie: int, now: float) -> Ints:
        """Places of the movie's occurrences, those nearest in time where there are too many."""
        places = self._places[self._offsets[movie] : self._offsets[movie + 1]]
        if places.size <= MOST_OCCURRENCES:
            return places
        middle = int(np.searchsorted(self._when[places], now))
        start = min(max(middle - MOST_OCCURRENCES // 2, 0), places.size - MOST_OCCURRENCES)
        return places[start : start + MOST_OCCURRENCES]


_ASKING = (
    "shrink",
    "era",
    "era_floor",
    "star_power",
    "asking_half_life",
    "asking_floor",
    "company",
    "company_half_life",
    "content_half_life",
)


class TimelineFamily:
    """See the module's text."""

    name = NAME
    learns: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = TimelineParams

    def search_space(self, trial: Trial) -> HyperParameters:
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
        params = cast(TimelineParams, params)
        arrays = _arrays(train, params, catalogue)
        figures: dict[str, float] = {}
        if validation_ndcg is not None and epochs is None:
            figures["val_ndcg_at_10"] = validation_ndcg(self.scorer(arrays))
        if on_epoch is not None:
            on_epoch(0, figures)
        curves = {name: [figure] for name, figure in figures.items()}
        return Fitted(arrays, _keras_model(arrays), 1, curves)

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
        """Remember the batch too: a memory has no weights to go on from, and takes seconds."""
        return self.fit(merged, params, catalogue=catalogue, seed=seed, epochs=1, on_epoch=on_epoch)

    def scorer(self, arrays: Arrays) -> Scorer:
        return TimelineScorer(arrays)


def _arrays(train: Ratings, params: TimelineParams, catalogue: Catalogue) -> dict[str, Any]:
    """The arrays of :class:`TimelineScorer`."""
    histories = train.histories
    counts = histories.counts()
    reach = params.size
    # Each person's ratings, then as much nothing as flow reaches; the same before the first.
    places = reach + np.arange(len(train)) + reach * np.repeat(np.arange(counts.size), counts)
    timeline = np.full(len(train) + reach * (counts.size + 1), _NOBODY, dtype=np.int32)
    timeline[places] = histories.movies
    when = np.zeros(timeline.size, dtype=np.float32)
    when[places] = histories.timestamps / _YEAR_S
    by_movie = places[np.lexsort((histories.timestamps, histories.movies))]
    movie_counts = histories.movie_counts()
    company = ease.solved(
        train,
        ease.EaseParams(lambda_=params.lambda_, star_power=1.0),
    )
    return {
        "timeline": timeline,
        "when": when,
        "kernel": kernel(params),
        "places": by_movie.astype(np.int32),
        "offsets": np.concatenate([[0], np.cumsum(movie_counts)]).astype(np.int64),
        "weights": company["weights"],
        "covered": company["covered"],
        "content": content.features(catalogue, genres=params.genres, years=params.years),
        "counts": movie_counts,
        "asking": np.array([getattr(params, name) for name in _ASKING]),
    }


def kernel(params: TimelineParams) -> Floats:
    """Weight of each distance, (2 size + 1,): ``size`` before the rated movie, itself (0), and
    ``size`` after it."""
    distance = np.arange(1, params.size + 1)
    after = np.exp2(-distance / params.half_life)
    before = -params.back * np.exp2(-distance / params.back_half_life)
    return as_float32(np.concatenate([before[::-1], [0.0], after]))


def _scaled(scores: Floats) -> Floats:
    return as_float32(scores / _spread(scores))


def _spread(scores: NDArray[Any]) -> float:
    """Standard deviation; 1 where all are alike."""
    return float(scores.std()) or 1.0


def _keras_model(arrays: Arrays) -> Any:
    """The three parts as Keras layers: what flows in and out at each place of the timeline,
    (batch, n, 1), by a convolution; company, (batch, n_covered), and content, (batch, n_movies),
    by dense layers."""
    import keras

    kernel, weights, movies = arrays["kernel"], arrays["weights"], arrays["content"]
    support = keras.Input((None, 1), name="support")
    # Keras looks forward from a place; flow comes to it from behind.
    flow = keras.layers.Conv1D(1, kernel.size, padding="same", use_bias=False, name="flow")
    rated = keras.Input((weights.shape[0],), name="rated")
    company = keras.layers.Dense(weights.shape[0], use_bias=False, name="company")
    liked = keras.Input((movies.shape[0],), name="liked")
    inward = keras.layers.Dense(movies.shape[1], use_bias=False, name="content")
    outward = keras.layers.Dense(movies.shape[0], use_bias=False, name="nearness")
    model = keras.Model(
        [support, rated, liked], [flow(support), company(rated), outward(inward(liked))], name=NAME
    )
    flow.set_weights([kernel[::-1, None, None].copy()])
    company.set_weights([weights.astype(np.float32)])
    inward.set_weights([movies])
    outward.set_weights([movies.T.copy()])
    return model
