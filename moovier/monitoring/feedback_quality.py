"""Whether people like what was recommended to them, from ratings that quote a list's request id.

Which movies a list held is known only where served lists are recorded. Without them every rating
that quotes a list counts as a rating of something recommended, and what depends on the lists is
left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: From so many stars on a movie was liked: the threshold of most work on MovieLens.
LIKED = 3.5
#: Ratings of recommended movies, and people who gave them, without which nothing is concluded.
FEWEST_RATINGS, FEWEST_PEOPLE = 50, 10
_DRAWS = 2000
_Z = 1.959964


class Said(Protocol):
    """A rating; ``request_id``: the list that the person quoted."""

    @property
    def user_id(self) -> int: ...
    @property
    def movie_id(self) -> int: ...
    @property
    def stars(self) -> float: ...
    @property
    def request_id(self) -> str | None: ...


class Served(Protocol):
    """A list that was given. ``movie_ids``: best first; ``version``: the model's number."""

    @property
    def request_id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def movie_ids(self) -> Sequence[int]: ...


@dataclass(frozen=True)
class Quality:
    """Ratings of recommended movies: how many, by how many people, mean stars, and the share with
    at least :data:`LIKED` stars with its 95 % interval. NaN where there are none."""

    ratings: int
    people: int
    stars: float
    liked: float
    low: float
    high: float


@dataclass(frozen=True)
class Live:
    """``recommended`` beside ``others``, all other ratings. ``gain``: liked share of the former
    less that of the latter, with its 95 % interval over people. ``lists``: served lists, and
    ``rated_share``: of them, those of which anything was rated (None: not recorded).
    ``by_version``: version number to quality."""

    recommended: Quality
    others: Quality
    gain: float
    low: float
    high: float
    lists: int | None = None
    rated_share: float | None = None
    by_version: Mapping[int, Quality] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether anything may be concluded from so few."""
        least = min(self.recommended.ratings, self.others.ratings)
        return least >= FEWEST_RATINGS and self.recommended.people >= FEWEST_PEOPLE


def live(ratings: Sequence[Said], lists: Iterable[Served] | None, *, seed: int) -> Live:
    """Compare ratings of what was recommended with all others.

    ``lists``: what was served, each request id once; None where that is not recorded. Ratings that
    quote a list which is not among them are left out: nobody knows whether it had the movie.
    """
    quoted = {one.request_id for one in ratings}
    # Lists are many, and few are quoted.
    served: dict[str, Served] = {}
    n_lists = 0
    for given in lists or ():
        n_lists += 1
        if given.request_id in quoted:
            served[given.request_id] = given
    of_list: list[Said] = []
    others: list[Said] = []
    versions: dict[int, list[Said]] = {}
    rated: set[str] = set()
    for one in ratings:
        if one.request_id is None:
            others.append(one)
        elif lists is None:
            of_list.append(one)
        elif (found := served.get(one.request_id)) is None:
            continue
        elif one.movie_id in found.movie_ids:
            of_list.append(one)
            rated.add(one.request_id)
            versions.setdefault(found.version, []).append(one)
        else:
            others.append(one)
    gain, low, high = _gain(of_list, others, seed)
    return Live(
        recommended=_quality(of_list),
        others=_quality(others),
        gain=gain,
        low=low,
        high=high,
        lists=None if lists is None else n_lists,
        rated_share=len(rated) / n_lists if n_lists else None,
        by_version={number: _quality(versions[number]) for number in sorted(versions)},
    )


def _quality(ratings: Sequence[Said]) -> Quality:
    if not ratings:
        nan = float("nan")
        return Quality(0, 0, nan, nan, nan, nan)
    stars = np.array([one.stars for one in ratings])
    liked = int((stars >= LIKED).sum())
    low, high = wilson(liked, stars.size)
    people = len({one.user_id for one in ratings})
    return Quality(stars.size, people, float(stars.mean()), liked / stars.size, low, high)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """95 % interval of a share, in 0..1 also for few and for none. Source: Wilson 1927,
    doi:10.1080/01621459.1927.10502953. It takes the ``n`` as independent.

    Raises:
        ValueError: ``n`` is 0.
    """
    if n <= 0:
        raise ValueError("no share of nothing")
    p, z2 = successes / n, _Z * _Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def _gain(of_list: Sequence[Said], others: Sequence[Said], seed: int) -> tuple[float, float, float]:
    """Difference of the liked shares, and its percentile bootstrap interval over people: one
    person's ratings hang together, so people are drawn."""
    if not of_list or not others:
        return float("nan"), float("nan"), float("nan")
    people = sorted({one.user_id for one in (*of_list, *others)})
    row = {user: place for place, user in enumerate(people)}
    liked, given = _per_person(of_list, row)
    liked_else, given_else = _per_person(others, row)
    gain = liked.sum() / given.sum() - liked_else.sum() / given_else.sum()
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(_DRAWS):
        who = rng.integers(0, len(people), len(people))
        n, n_else = given[who].sum(), given_else[who].sum()
        if n and n_else:
            draws.append(liked[who].sum() / n - liked_else[who].sum() / n_else)
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (np.nan, np.nan)
    return float(gain), float(low), float(high)


def _per_person(
    ratings: Sequence[Said], row: Mapping[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    liked, given = np.zeros(len(row)), np.zeros(len(row))
    for one in ratings:
        given[row[one.user_id]] += 1
        liked[row[one.user_id]] += one.stars >= LIKED
    return liked, given
