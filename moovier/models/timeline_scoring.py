"""The NumPy scorer of ``timeline``, and its hyper-parameters.

:mod:`moovier.models.timeline` describes the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.models.content_features import FeatureTable
from moovier.models.family import Arrays, HyperParameters, as_float32, fold_in_each
from moovier.timestamps import YEAR_S

Doubles = NDArray[np.float64]
#: Limits that keep an answer below a millisecond on any data: newest ratings of a history,
#: occurrences of each movie (the nearest in time), and places of flow (the heaviest). Measured in
#: docs/decisions/fast-lists.md.
MOST_RATED, MOST_OCCURRENCES, MOST_PLACES = 200, 400, 500
#: Ends of the kernel below this share of its greatest weight are cut off.
LEAST_WEIGHT = 0.05
#: The movie row between the timelines of two users.
NO_MOVIE = -1
#: Array ``asking``: the hyper-parameters of scoring, in this order.
ASKING = (
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
#: Larger than any year: separates the movies in the sorted keys of their occurrences.
_YEARS = 1000.0


class TimelineParams(HyperParameters):
    """Hyper-parameters. Half-lives are in ratings, years in years.

    ``size``: reach of flow, in ratings. ``half_life``: of the distance of a pair. ``back``,
    ``back_half_life``: weight and half-life of pairs in the opposite order, which count against a
    movie. ``shrink``: added to a movie's occurrences. ``era``, ``era_floor``: half-life of the
    years between a pair and the user's last rating, and the share that always stays.
    ``asking_half_life``, ``asking_floor``: the same for the age of the user's own ratings.
    ``star_power``: see :func:`moovier.models.rating_weights.weights`. ``company``: weight of
    EASE, ``lambda_`` its penalty, ``company_half_life`` the half-life of its input. ``genres``,
    ``years``: weights of the content, ``content_half_life`` the half-life of its input.
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
    """The paths of flow from a history to n places of the timeline.

    ``sources``: (n,) positions in the history. ``weights``: (n,) weight of each path.
    ``targets``: (n, width) movie rows around each place, ``n_movies`` for padding.
    """

    sources: Ints
    weights: Floats
    targets: Ints


class TimelineScorer:
    """Scores by sums over the timeline, EASE's weights and the content.

    ``timeline``: (n,) movie rows of all users in order, ``-1`` between two users. ``when``: (n,)
    years since 1970. ``kernel``: (2 size + 1,) weight of each distance, before to after.
    ``places``, ``offsets``: the places of each movie in the timeline, oldest first.
    ``neighbours``, ``company``: (n_covered, k) movie rows of EASE's strongest weights, and the
    weights. ``covered``: (n_covered,) their movie rows. ``genres``, ``years``: (n_kinds, k), with
    ``genres_of``, ``years_of``: (n_movies,). ``counts``: (n_movies,) ratings. ``asking``: the
    hyper-parameters :data:`ASKING`.
    """

    def __init__(self, arrays: Arrays) -> None:
        self._places: Ints = arrays["places"].astype(np.int64)
        self._when = as_float32(arrays["when"])[self._places]
        self._offsets: Ints = arrays["offsets"]
        self._neighbours: Ints = arrays["neighbours"].astype(np.int64)
        # In double precision, because a weighted bincount computes in it.
        self._company: Doubles = arrays["company"].astype(np.float64)
        self._genres = FeatureTable(as_float32(arrays["genres"]), arrays["genres_of"])
        self._years = FeatureTable(as_float32(arrays["years"]), arrays["years_of"])
        counts = as_float32(arrays["counts"])
        self.n_movies = int(counts.size)
        sizes = (self._genres.of.size, self._years.of.size, self._offsets.size - 1)
        if set(sizes) != {self.n_movies}:
            raise ValueError(
                f"the arrays disagree on the number of movies: {self.n_movies} in counts, "
                f"{sizes} in genres_of, years_of and offsets"
            )
        self._popularity = counts / max(float(counts.max(initial=1)), 1.0)
        self._position = np.full(self.n_movies, -1, dtype=np.int64)
        self._position[arrays["covered"]] = np.arange(arrays["covered"].size)
        self._asking = dict(zip(ASKING, arrays["asking"].tolist(), strict=True))
        first, last = _reach(arrays["kernel"])
        self._kernel: Doubles = arrays["kernel"][first:last].astype(np.float64)
        self._first = first - arrays["kernel"].size // 2
        timeline = arrays["timeline"].astype(np.int64)
        # Padding maps to a dummy row behind the last movie.
        timeline[timeline == NO_MOVIE] = self.n_movies
        self._windows = sliding_window_view(timeline, self._kernel.size)
        self._newest = float(self._when.max(initial=0.0))
        # Always replaced as a whole, so that threads may share it.
        self._last: tuple[History, _Flows, tuple[float, float]] | None = None
        rows = np.repeat(np.arange(self.n_movies), np.diff(self._offsets))
        self._keys = rows * _YEARS + self._when

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the scores of known users, (len(users), n_movies)."""
        return fold_in_each(self.fold_in, users, histories, self.n_movies)

    def fold_in(self, history: History) -> Floats:
        """Return the scores for a visitor, (n_movies,)."""
        if not len(history):
            return self._popularity.copy()
        flows = self._flows(history)
        flow, company = self._flow(flows), self._company_scores(history)
        scales = 1.0 / _spread(flow), self._asking["company"] / _spread(company)
        # Cached: the explanation is requested right after the list.
        self._last = history, flows, scales
        scores = flow * scales[0] + company * scales[1]
        liking = self._liking(history)
        for table in (self._genres, self._years):
            scores += (table.vectors @ (liking @ table.vectors[table.of[history.movies]]))[table.of]
        # Popularity breaks ties.
        return as_float32(scores + 1e-3 * self._popularity)

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return each rating's contribution, (len(movies), len(history)).

        The contributions add up to the score, except for popularity.
        """
        n_movies, n_rated = len(movies), len(history)
        if not n_rated:
            return np.zeros((n_movies, 0), dtype=np.float32)
        # The narrowest type, because tens of thousands of cells are looked up in it.
        column = np.full(self.n_movies + 1, -1, dtype=np.min_scalar_type(-n_movies))
        column[movies] = np.arange(n_movies)
        flows, scales = self._flows_and_scales(history)
        rows, places, columns = _matches(column, flows.targets)
        weights = flows.weights[rows] * self._kernel[places]
        cells = columns * n_rated + flows.sources[rows]
        parts = scales[0] * np.bincount(cells, weights, n_movies * n_rated)
        newest, weights, covered = self._company_input(history)
        rows, places, columns = _matches(column, self._neighbours[covered])
        weights = weights[rows] * self._company[covered[rows], places]
        cells = columns * n_rated + newest[rows]
        parts += scales[1] * np.bincount(cells, weights, n_movies * n_rated)
        parts = parts.reshape(n_movies, n_rated)
        liking = self._liking(history)
        for table in (self._genres, self._years):
            rated = table.vectors[table.of[history.movies]]
            parts += (table.vectors[table.of[movies]] @ rated.T) * liking
        return as_float32(parts)

    def _flows_and_scales(self, history: History) -> tuple[_Flows, tuple[float, float]]:
        """Return the flows from a history, and the factors of flow and company."""
        last = self._last
        if last is not None and last[0] is history:
            return last[1], last[2]
        flows = self._flows(history)
        company = _spread(self._company_scores(history))
        return flows, (1.0 / _spread(self._flow(flows)), self._asking["company"] / company)

    def _flow(self, flows: _Flows) -> Doubles:
        """Return the flow to each movie, (n_movies,)."""
        weights = np.outer(flows.weights, self._kernel)
        flow: Any = np.bincount(flows.targets.ravel(), weights.ravel(), self.n_movies + 1)
        return np.asarray(flow[:-1], dtype=np.float64)

    def _company_scores(self, history: History) -> Doubles:
        """Return the company of each movie, (n_movies,)."""
        _, weights, places = self._company_input(history)
        shares = self._company[places] * weights[:, None]
        company: Any = np.bincount(self._neighbours[places].ravel(), shares.ravel(), self.n_movies)
        return np.asarray(company, dtype=np.float64)

    def _company_input(self, history: History) -> tuple[Ints, Doubles, Ints]:
        """Return the newest covered ratings: positions in the history, weights, covered rows."""
        newest = np.arange(max(len(history) - MOST_RATED, 0), len(history))
        places = self._position[history.movies[newest]]
        known = places >= 0
        newest = newest[known]
        age = len(history) - 1 - newest
        weights = history.stars[newest] / 5.0 * np.exp2(-age / self._asking["company_half_life"])
        return newest, weights, places[known]

    def _liking(self, history: History) -> Floats:
        """Return the weight of each rated movie's content, (k,); the weights sum to 1."""
        age = np.arange(len(history) - 1, -1, -1, dtype=np.float32)
        liking = history.stars / 5.0 * np.exp2(-age / self._asking["content_half_life"])
        return as_float32(liking / liking.sum())

    def _flows(self, history: History) -> _Flows:
        """Return the heaviest paths from the history to places of the timeline."""
        # Clamp the query time to the newest rating.
        asking, now = self._asking, min(float(history.timestamps[-1]) / YEAR_S, self._newest)
        sources = np.arange(max(len(history) - MOST_RATED, 0), len(history))
        starts, lengths = self._nearest(history.movies[sources], now)
        occurring = lengths > 0
        sources, starts, lengths = sources[occurring], starts[occurring], lengths[occurring]
        if not sources.size:
            return _Flows(sources, np.zeros(0, np.float32), np.zeros((0, self._kernel.size), int))
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1]) + np.repeat(starts - (ends - lengths), lengths)
        years = np.abs(self._when[places] - np.float32(now))
        era = np.exp2(years * np.float32(-1 / asking["era"]))
        era = np.float32(asking["era_floor"]) + np.float32(1 - asking["era_floor"]) * era
        age = len(history) - 1 - sources
        fading = np.exp2(-age / asking["asking_half_life"]) + asking["asking_floor"]
        shares = (history.stars[sources] / 5.0) ** asking["star_power"] * fading
        shares = shares / (np.add.reduceat(era, ends - lengths) + asking["shrink"])
        weights = np.repeat(as_float32(shares), lengths) * era
        sources = np.repeat(sources, lengths)
        if weights.size > MOST_PLACES:
            heaviest = np.argpartition(weights, -MOST_PLACES)[-MOST_PLACES:]
            sources, weights, places = sources[heaviest], weights[heaviest], places[heaviest]
        return _Flows(sources, weights, self._windows[self._places[places] + self._first])

    def _nearest(self, movies: Ints, now: float) -> tuple[Ints, Ints]:
        """Return the first occurrence and the number of occurrences of each movie.

        Of a movie with too many, the :data:`MOST_OCCURRENCES` around ``now``.
        """
        starts, ends = self._offsets[movies], self._offsets[movies + 1]
        lengths = np.minimum(ends - starts, MOST_OCCURRENCES)
        if (ends - starts > lengths).any():
            middle = np.searchsorted(self._keys, movies * _YEARS + now)
            starts = np.clip(middle - MOST_OCCURRENCES // 2, starts, ends - lengths)
        return starts, lengths


def _reach(kernel: Floats) -> tuple[int, int]:
    """Return where the part of the kernel with enough weight starts and ends (exclusive)."""
    weight = np.abs(kernel)
    heavy = np.flatnonzero(weight >= LEAST_WEIGHT * weight.max())
    return int(heavy[0]), int(heavy[-1]) + 1


def _matches(column: NDArray[Any], targets: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the cells of ``targets``, (n, k), whose movie has a column: row, place, column."""
    columns = column[targets].ravel()
    # ``nonzero`` of two dimensions takes three times as long.
    cells = np.flatnonzero(columns >= 0)
    rows, places = np.divmod(cells, targets.shape[1])
    return rows, places, columns[cells].astype(np.int64)


def _spread(scores: NDArray[Any]) -> float:
    """Return the standard deviation; 1 if all scores are equal."""
    # Faster than ``std``, which makes five passes.
    centred = scores - scores.mean()
    return float(np.sqrt(centred @ centred / scores.size)) or 1.0
