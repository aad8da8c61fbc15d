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

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.models import content_features, ease
from moovier.models.content_features import FeatureTable
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

NAME = "timeline"
Doubles = NDArray[np.float64]
#: What keeps an answer below a millisecond on any data: newest ratings of a person that are looked
#: at, occurrences of each movie, those nearest in time, and the places among all of these that
#: flow is followed from, those that weigh most. Measured in docs/decisions/fast-lists.md.
MOST_RATED, MOST_OCCURRENCES, MOST_PLACES = 200, 400, 500
#: Ends of the kernel below this share of its greatest weight are left out.
LEAST_WEIGHT = 0.05
#: Neighbours of each movie that company reaches, those that weigh most.
MOST_NEIGHBOURS = 256
#: Above any year: parts movies in the keys of occurrences.
_YEARS = 1000.0
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
    """Where flow goes from a history: from (n,) places of the timeline to the window around each.

    ``sources``: (n,) places in the history. ``weights``: (n,) what each is asked for. ``targets``:
    (n, width) movie rows, ``n_movies`` for nobody's.
    """

    sources: Ints
    weights: Floats
    targets: Ints


class TimelineScorer:
    """``timeline``: (n,) movie rows of everybody in order, ``-1`` between two people; ``when``:
    (n,) years since 1970. ``kernel``: (2 size + 1,) weight of each distance, before to after.
    ``places``, ``offsets``: where each movie occurs, oldest first. ``neighbours``, ``company``:
    (n_covered, k) movie rows of EASE's strongest weights, and the weights; ``covered``: whose
    they are. ``genres``, ``years``: (n_kinds, k), with ``genres_of``, ``years_of``: (n_movies,).
    ``counts``: (n_movies,). ``asking``: the asking parameters by the order of ``_ASKING``."""

    def __init__(self, arrays: Arrays) -> None:
        self._places: Ints = arrays["places"].astype(np.int64)
        self._when = as_float32(arrays["when"])[self._places]
        self._offsets: Ints = arrays["offsets"]
        self._neighbours: Ints = arrays["neighbours"].astype(np.int64)
        # In double precision, which is what counting by weight computes in.
        self._company: Doubles = arrays["company"].astype(np.float64)
        self._genres = FeatureTable(as_float32(arrays["genres"]), arrays["genres_of"])
        self._years = FeatureTable(as_float32(arrays["years"]), arrays["years_of"])
        counts = as_float32(arrays["counts"])
        self.n_movies = int(counts.size)
        sizes = {self._genres.of.size, self._years.of.size, self._offsets.size - 1}
        if sizes != {self.n_movies}:
            raise ValueError("content, occurrences and counts disagree on the number of movies")
        self._popularity = counts / max(float(counts.max(initial=1)), 1.0)
        self._position = np.full(self.n_movies, -1, dtype=np.int64)
        self._position[arrays["covered"]] = np.arange(arrays["covered"].size)
        self._asking = dict(zip(_ASKING, arrays["asking"].tolist(), strict=True))
        first, last = _reach(arrays["kernel"])
        self._kernel: Doubles = arrays["kernel"][first:last].astype(np.float64)
        self._first = first - arrays["kernel"].size // 2
        timeline = arrays["timeline"].astype(np.int64)
        # What lies beyond a person's own timeline goes to a movie that there is not.
        timeline[timeline == _NOBODY] = self.n_movies
        self._windows = sliding_window_view(timeline, self._kernel.size)
        self._newest = float(self._when.max(initial=0.0))
        # Replaced whole, so that threads may share it.
        self._last: tuple[History, _Flows, tuple[float, float]] | None = None
        rows = np.repeat(np.arange(self.n_movies), np.diff(self._offsets))
        self._keys = rows * _YEARS + self._when

    def score(self, users: Ints, histories: Histories) -> Floats:
        scores = np.empty((len(users), self.n_movies), dtype=np.float32)
        for row, user in enumerate(users):
            scores[row] = self.fold_in(histories[int(user)])
        return scores

    def fold_in(self, history: History) -> Floats:
        if not len(history):
            return self._popularity.copy()
        flows = self._flows(history)
        flow, company = self._flow(flows), self._accompanying(history)
        scales = 1.0 / _spread(flow), self._asking["company"] / _spread(company)
        # Who gets a list is asked for its reasons next.
        self._last = history, flows, scales
        scores = flow * scales[0] + company * scales[1]
        liking = self._liking(history)
        for kinds in (self._genres, self._years):
            scores += (kinds.vectors @ (liking @ kinds.vectors[kinds.of[history.movies]]))[kinds.of]
        # Popularity decides between movies that nothing else tells apart.
        return as_float32(scores + 1e-3 * self._popularity)

    def explain(self, history: History, movies: Ints) -> Floats:
        n_movies, n_rated = len(movies), len(history)
        if not n_rated:
            return np.zeros((n_movies, 0), dtype=np.float32)
        # As narrow as it can be: it is looked up for tens of thousands of cells.
        column = np.full(self.n_movies + 1, -1, dtype=np.min_scalar_type(-n_movies))
        column[movies] = np.arange(n_movies)
        flows, scales = self._looked_at(history)
        rows, places, columns = _met(column, flows.targets)
        weights = flows.weights[rows] * self._kernel[places]
        cells = columns * n_rated + flows.sources[rows]
        parts = scales[0] * np.bincount(cells, weights, n_movies * n_rated)
        newest, weights, covered = self._asking_company(history)
        rows, places, columns = _met(column, self._neighbours[covered])
        weights = weights[rows] * self._company[covered[rows], places]
        cells = columns * n_rated + newest[rows]
        parts += scales[1] * np.bincount(cells, weights, n_movies * n_rated)
        found = parts.reshape(n_movies, n_rated)
        liking = self._liking(history)
        for kinds in (self._genres, self._years):
            rated, asked = kinds.vectors[kinds.of[history.movies]], kinds.vectors[kinds.of[movies]]
            found += (asked @ rated.T) * liking
        return as_float32(found)

    def _looked_at(self, history: History) -> tuple[_Flows, tuple[float, float]]:
        """Where flow goes from a history, and what flow and company are multiplied by."""
        last = self._last
        if last is not None and last[0] is history:
            return last[1], last[2]
        flows = self._flows(history)
        company = _spread(self._accompanying(history))
        return flows, (1.0 / _spread(self._flow(flows)), self._asking["company"] / company)

    def _flow(self, flows: _Flows) -> Doubles:
        """Of every movie, (n_movies,)."""
        weights = np.outer(flows.weights, self._kernel)
        flow: Any = np.bincount(flows.targets.ravel(), weights.ravel(), self.n_movies + 1)
        return np.asarray(flow[:-1], dtype=np.float64)

    def _accompanying(self, history: History) -> Doubles:
        """Company of every movie, (n_movies,)."""
        _, weights, places = self._asking_company(history)
        shares = self._company[places] * weights[:, None]
        company: Any = np.bincount(self._neighbours[places].ravel(), shares.ravel(), self.n_movies)
        return np.asarray(company, dtype=np.float64)

    def _asking_company(self, history: History) -> tuple[Ints, Doubles, Ints]:
        """Places in the history of the newest covered movies; their weights; their rows."""
        newest = np.arange(max(len(history) - MOST_RATED, 0), len(history))
        places = self._position[history.movies[newest]]
        known = places >= 0
        newest = newest[known]
        age = len(history) - 1 - newest
        weights = history.stars[newest] / 5.0 * np.exp2(-age / self._asking["company_half_life"])
        return newest, weights, places[known]

    def _liking(self, history: History) -> Floats:
        """Weight of each rated movie's content, (k,); they add up to 1."""
        age = np.arange(len(history) - 1, -1, -1, dtype=np.float32)
        liking = history.stars / 5.0 * np.exp2(-age / self._asking["content_half_life"])
        return as_float32(liking / liking.sum())

    def _flows(self, history: History) -> _Flows:
        """The strongest of all ways from the history to places of the timeline."""
        # Who asks long after the last rating there is asks as if it were today's.
        asking, now = self._asking, min(float(history.timestamps[-1]) / _YEAR_S, self._newest)
        sources = np.arange(max(len(history) - MOST_RATED, 0), len(history))
        starts, lengths = self._nearest(history.movies[sources], now)
        there = lengths > 0
        sources, starts, lengths = sources[there], starts[there], lengths[there]
        if not sources.size:
            return _Flows(sources, np.zeros(0, np.float32), np.zeros((0, self._kernel.size), int))
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1]) + np.repeat(starts - (ends - lengths), lengths)
        apart = np.abs(self._when[places] - np.float32(now))
        era = np.exp2(apart * np.float32(-1 / asking["era"]))
        era = np.float32(asking["era_floor"]) + np.float32(1 - asking["era_floor"]) * era
        age = len(history) - 1 - sources
        fading = np.exp2(-age / asking["asking_half_life"]) + asking["asking_floor"]
        asked = (history.stars[sources] / 5.0) ** asking["star_power"] * fading
        asked = asked / (np.add.reduceat(era, ends - lengths) + asking["shrink"])
        weights = np.repeat(as_float32(asked), lengths) * era
        sources = np.repeat(sources, lengths)
        if weights.size > MOST_PLACES:
            strongest = np.argpartition(weights, -MOST_PLACES)[-MOST_PLACES:]
            sources, weights, places = sources[strongest], weights[strongest], places[strongest]
        return _Flows(sources, weights, self._windows[self._places[places] + self._first])

    def _nearest(self, movies: Ints, now: float) -> tuple[Ints, Ints]:
        """Where each movie's occurrences start and how many there are; where there are too many,
        of those nearest in time."""
        starts, ends = self._offsets[movies], self._offsets[movies + 1]
        lengths = np.minimum(ends - starts, MOST_OCCURRENCES)
        if (ends - starts > lengths).any():
            middle = np.searchsorted(self._keys, movies * _YEARS + now)
            starts = np.clip(middle - MOST_OCCURRENCES // 2, starts, ends - lengths)
        return starts, lengths


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
    objective: Literal["ranking", "rating"] = "ranking"
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
    ) -> FitResult:
        params = cast(TimelineParams, params)
        arrays = build_arrays(train, params, catalogue)
        figures: dict[str, float] = {}
        if validation_ndcg is not None and epochs is None:
            figures["val_ndcg_at_10"] = validation_ndcg(self.scorer(arrays))
        if on_epoch is not None:
            on_epoch(0, figures)
        curves = {name: [figure] for name, figure in figures.items()}
        return FitResult(arrays, _keras_model(arrays), 1, curves)

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
        """Remember the batch too: a memory has no weights to go on from, and takes seconds."""
        return self.fit(merged, params, catalogue=catalogue, seed=seed, epochs=1, on_epoch=on_epoch)

    def scorer(self, arrays: Arrays) -> Scorer:
        return TimelineScorer(arrays)


def build_arrays(train: Ratings, params: TimelineParams, catalogue: Catalogue) -> dict[str, Any]:
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
        "asking": np.array([getattr(params, name) for name in _ASKING]),
    }


def _strongest(weights: NDArray[np.float16], covered: Ints) -> tuple[Ints, Floats]:
    """Of each row of EASE's weights the movie rows and values of the greatest, by size."""
    most = min(MOST_NEIGHBOURS, covered.size)
    places = np.argpartition(-np.abs(weights), most - 1, axis=1)[:, :most]
    found = np.take_along_axis(weights, places, axis=1)
    return covered[places].astype(np.int32), as_float32(found)


def kernel(params: TimelineParams) -> Floats:
    """Weight of each distance, (2 size + 1,): ``size`` before the rated movie, itself (0), and
    ``size`` after it."""
    distance = np.arange(1, params.size + 1)
    after = np.exp2(-distance / params.half_life)
    before = -params.back * np.exp2(-distance / params.back_half_life)
    return as_float32(np.concatenate([before[::-1], [0.0], after]))


def _reach(kernel: Floats) -> tuple[int, int]:
    """First and, behind it, last place of the kernel that weighs anything."""
    weight = np.abs(kernel)
    counts = np.flatnonzero(weight >= LEAST_WEIGHT * weight.max())
    return int(counts[0]), int(counts[-1]) + 1


def _met(column: NDArray[Any], targets: Ints) -> tuple[Ints, Ints, Ints]:
    """Where ``targets``, (n, k), hold a movie that has a column: row, place, and the column."""
    columns = column[targets].ravel()
    # `nonzero` of two dimensions takes three times as long.
    cells = np.flatnonzero(columns >= 0)
    rows, places = np.divmod(cells, targets.shape[1])
    return rows, places, columns[cells].astype(np.int64)


def _spread(scores: NDArray[Any]) -> float:
    """Standard deviation; 1 where all are alike."""
    # Faster than `std`, which goes over them five times.
    apart = scores - scores.mean()
    return float(np.sqrt(apart @ apart / scores.size)) or 1.0


def _keras_model(arrays: Arrays) -> Any:
    """The three parts as Keras layers: what flows in and out at each place of the timeline,
    (batch, n, 1), by a convolution; company, (batch, n_covered), and content, (batch, n_movies),
    by dense layers."""
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
    company.set_weights([weights])
    inward.set_weights([movies])
    outward.set_weights([movies.T.copy()])
    return model
