"""What people made of the lists they were served: one outcome a person, and shadows beside lists.

A person's ratings hang together, so the person counts, once: whether within the window after the
first list of the experiment they gave a movie that had been recommended to them at least
``LIKED`` stars. A rating belongs to a list if it came after it and is of one of its movies, whether
or not it quotes the list's request id: applications forget to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moovier.feedback.served_lists import CHALLENGER_ARM, CHAMPION_ARM, SHADOW_ARM, ServedList
from moovier.feedback.store import StoredRating

#: Stars from which on a rating is a liking.
LIKED = 3.5
#: Movies of two lists that are compared.
TOP = 10


@dataclass(frozen=True)
class Outcomes:
    """The people whose window is over, in the order in which they were first served: (n,) each.

    ``liked``: 1 where somebody liked what was recommended, else 0. ``stars``: mean of the stars
    that the person gave to what was recommended, NaN where none. ``waiting``: how many people's
    window is still open, of the champion's and of the challenger's.
    """

    users: NDArray[np.int64]
    challenger: NDArray[np.bool_]
    liked: NDArray[np.float64]
    stars: NDArray[np.float64]
    waiting: tuple[int, int]


@dataclass(frozen=True)
class Shadows:
    """Lists that were seen beside those that would have been.

    ``short``: pairs in which the challenger found fewer movies than the champion. ``overlap``: mean
    share of the first ``TOP`` movies that both have, 0..1, NaN without pairs.
    ``liked``: of the movies that people liked afterwards, how many the champion's list had, how
    many the challenger's, and how many both.
    """

    pairs: int
    short: int
    overlap: float
    liked: tuple[int, int, int]


@dataclass
class _Person:
    first_at: int
    challenger: bool
    #: Movie id to the moment at which it was first recommended.
    movies: dict[int, int] = field(default_factory=dict)
    stars: list[float] = field(default_factory=list)


def outcomes_of(
    served: Iterable[ServedList],
    ratings: Iterable[StoredRating],
    *,
    experiment: str,
    window_s: int,
    now: int,
) -> Outcomes:
    """Join lists, oldest first, with ratings.

    ``experiment``: the key that lists were recorded under, those of others are left out; ``now``:
    seconds since 1970.
    """
    people: dict[int, _Person] = {}
    for one in served:
        if one.user_id is None or one.experiment != experiment:
            continue
        if one.arm not in (CHAMPION_ARM, CHALLENGER_ARM):
            continue
        challenger = one.arm == CHALLENGER_ARM
        person = people.setdefault(one.user_id, _Person(one.served_at, challenger))
        if person.challenger == challenger and one.served_at <= person.first_at + window_s:
            for movie in one.movie_ids:
                person.movies.setdefault(movie, one.served_at)
    for rating in ratings:
        rater = people.get(rating.user_id)
        shown = None if rater is None else rater.movies.get(rating.movie_id)
        if rater is None or shown is None:
            continue
        if shown <= rating.timestamp <= rater.first_at + window_s:
            rater.stars.append(rating.stars)
    over = {user: one for user, one in people.items() if one.first_at + window_s < now}
    waiting = [one.challenger for user, one in people.items() if user not in over]
    return Outcomes(
        users=np.array(list(over), dtype=np.int64),
        challenger=np.array([one.challenger for one in over.values()], dtype=bool),
        liked=np.array([_liked(one.stars) for one in over.values()], dtype=np.float64),
        stars=np.array([_mean(one.stars) for one in over.values()], dtype=np.float64),
        waiting=(waiting.count(False), waiting.count(True)),
    )


def shadows_of(
    served: Iterable[ServedList], ratings: Iterable[StoredRating], *, experiment: str
) -> Shadows:
    """Compare each list that was seen with the one that the shadow made of the same request."""
    lists: dict[str, dict[str, ServedList]] = {}
    for one in served:
        if one.experiment == experiment and one.arm in (CHAMPION_ARM, SHADOW_ARM):
            lists.setdefault(one.request_id, {})[one.arm] = one
    pairs = [(both[CHAMPION_ARM], both[SHADOW_ARM]) for both in lists.values() if len(both) == 2]
    overlaps = [
        shared
        for seen, shadow in pairs
        if (shared := overlap(seen.movie_ids, shadow.movie_ids)) is not None
    ]
    liked = {(one.user_id, one.movie_id): one.timestamp for one in ratings if one.stars >= LIKED}
    # Once a person and movie, however many lists had it.
    found: dict[tuple[int, int], set[str]] = {}
    for seen, shadow in pairs:
        for one in (seen, shadow):
            for movie in one.movie_ids if one.user_id is not None else ():
                key = (int(one.user_id or 0), movie)
                if liked.get(key, -1) >= seen.served_at:
                    found.setdefault(key, set()).add(one.arm)
    arms = list(found.values())
    return Shadows(
        pairs=len(pairs),
        short=sum(len(shadow.movie_ids) < len(seen.movie_ids) for seen, shadow in pairs),
        overlap=float(np.mean(overlaps)) if overlaps else float("nan"),
        liked=(
            sum(CHAMPION_ARM in had for had in arms),
            sum(SHADOW_ARM in had for had in arms),
            sum(len(had) == 2 for had in arms),
        ),
    )


def overlap(seen: Sequence[int], shadow: Sequence[int]) -> float | None:
    """Share of the first ``TOP`` that two lists have in common, of the shorter one's length; None
    where one is empty."""
    most = min(len(seen), len(shadow), TOP)
    return len(set(seen[:TOP]) & set(shadow[:TOP])) / most if most else None


def _liked(stars: Sequence[float]) -> bool:
    return any(one >= LIKED for one in stars)


def _mean(stars: Sequence[float]) -> float:
    return float(np.mean(stars)) if stars else float("nan")
