"""Join served lists with ratings: one outcome per user, and shadow lists beside served ones.

The ratings of one user depend on each other, so each user counts once. The outcome is whether the
user liked a recommended movie (``LIKED_STARS`` or more) within the window after the first list of
the experiment. A rating belongs to a list if it came after the list and is of one of its movies.
It need not quote the list's request id, because many clients do not send it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import LIKED_STARS
from moovier.feedback.ratings import StoredRating
from moovier.feedback.served_lists import CHALLENGER_ARM, CHAMPION_ARM, SHADOW_ARM, ServedList

#: Number of movies of two lists that are compared.
TOP = 10


@dataclass(frozen=True)
class Outcomes:
    """The users whose window is over, in the order of their first lists, (n_users,) each.

    Attributes:
        users: User ids.
        challenger: Whether the challenger served the user.
        liked: 1 if the user liked a recommended movie, else 0.
        stars: Mean stars that the user gave to recommended movies; NaN without a rating.
        waiting: Number of users whose window is open, of the champion and of the challenger.
    """

    users: NDArray[np.int64]
    challenger: NDArray[np.bool_]
    liked: NDArray[np.float64]
    stars: NDArray[np.float64]
    waiting: tuple[int, int]


@dataclass(frozen=True)
class Shadows:
    """Served lists compared with the challenger's lists for the same requests.

    Attributes:
        pairs: Number of pairs of lists.
        short: Number of pairs in which the challenger found fewer movies than the champion.
        overlap: Mean share of the first ``TOP`` movies that both lists have, 0 to 1; NaN without
            pairs.
        liked: Number of movies that users liked afterwards: those on the champion's lists, on the
            challenger's, and on both.
    """

    pairs: int
    short: int
    overlap: float
    liked: tuple[int, int, int]


@dataclass
class _Visit:
    """The lists and ratings of one user."""

    first_at: int
    challenger: bool
    #: Time of the first recommendation by movie id.
    recommended_at: dict[int, int] = field(default_factory=dict)
    stars: list[float] = field(default_factory=list)


def join_outcomes(
    served: Iterable[ServedList],
    ratings: Iterable[StoredRating],
    *,
    experiment: str,
    window_s: int,
    now: int,
) -> Outcomes:
    """Join served lists, oldest first, with ratings.

    Lists with a key other than ``experiment`` are left out. ``window_s`` is the window in seconds
    and ``now`` the current time in seconds since 1970.
    """
    visits: dict[int, _Visit] = {}
    for shown in served:
        if shown.user_id is None or shown.experiment != experiment:
            continue
        if shown.arm not in (CHAMPION_ARM, CHALLENGER_ARM):
            continue
        challenger = shown.arm == CHALLENGER_ARM
        visit = visits.setdefault(shown.user_id, _Visit(shown.served_at, challenger))
        if visit.challenger == challenger and shown.served_at <= visit.first_at + window_s:
            for movie in shown.movie_ids:
                visit.recommended_at.setdefault(movie, shown.served_at)
    for rating in ratings:
        rater = visits.get(rating.user_id)
        recommended_at = None if rater is None else rater.recommended_at.get(rating.movie_id)
        if rater is None or recommended_at is None:
            continue
        if recommended_at <= rating.timestamp <= rater.first_at + window_s:
            rater.stars.append(rating.stars)
    over = {user: visit for user, visit in visits.items() if visit.first_at + window_s < now}
    waiting = [visit.challenger for user, visit in visits.items() if user not in over]
    return Outcomes(
        users=np.array(list(over), dtype=np.int64),
        challenger=np.array([visit.challenger for visit in over.values()], dtype=bool),
        liked=np.array([_any_liked(visit.stars) for visit in over.values()], dtype=np.float64),
        stars=np.array([_mean(visit.stars) for visit in over.values()], dtype=np.float64),
        waiting=(waiting.count(False), waiting.count(True)),
    )


def compare_shadows(
    served: Iterable[ServedList], ratings: Iterable[StoredRating], *, experiment: str
) -> Shadows:
    """Compare each served list with the challenger's list for the same request.

    Lists with a key other than ``experiment``, and lists without a partner, are left out.
    """
    by_request: dict[str, dict[str, ServedList]] = {}
    for shown in served:
        if shown.experiment == experiment and shown.arm in (CHAMPION_ARM, SHADOW_ARM):
            by_request.setdefault(shown.request_id, {})[shown.arm] = shown
    pairs = [
        (arms[CHAMPION_ARM], arms[SHADOW_ARM]) for arms in by_request.values() if len(arms) == 2
    ]
    overlaps = [
        share
        for shown, shadow in pairs
        if (share := overlap(shown.movie_ids, shadow.movie_ids)) is not None
    ]
    liked_at = {
        (rating.user_id, rating.movie_id): rating.timestamp
        for rating in ratings
        if rating.stars >= LIKED_STARS
    }
    # A movie counts once per user, on however many lists it is.
    liked: dict[tuple[int, int], set[str]] = {}
    for shown, shadow in pairs:
        for candidate in (shown, shadow):
            if candidate.user_id is None:
                continue
            for movie in candidate.movie_ids:
                key = (candidate.user_id, movie)
                if liked_at.get(key, -1) >= shown.served_at:
                    liked.setdefault(key, set()).add(candidate.arm)
    arms_of_likes = list(liked.values())
    return Shadows(
        pairs=len(pairs),
        short=sum(len(shadow.movie_ids) < len(shown.movie_ids) for shown, shadow in pairs),
        overlap=float(np.mean(overlaps)) if overlaps else float("nan"),
        liked=(
            sum(CHAMPION_ARM in arms for arms in arms_of_likes),
            sum(SHADOW_ARM in arms for arms in arms_of_likes),
            sum(len(arms) == 2 for arms in arms_of_likes),
        ),
    )


def overlap(first: Sequence[int], second: Sequence[int]) -> float | None:
    """Return the share of the first ``TOP`` movies that two lists have in common, 0 to 1.

    The share is of the shorter list's length; None if a list is empty.
    """
    length = min(len(first), len(second), TOP)
    return len(set(first[:TOP]) & set(second[:TOP])) / length if length else None


def _any_liked(stars: Sequence[float]) -> bool:
    return any(value >= LIKED_STARS for value in stars)


def _mean(stars: Sequence[float]) -> float:
    return float(np.mean(stars)) if stars else float("nan")
