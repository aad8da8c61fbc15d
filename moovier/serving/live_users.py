"""Users as they are now: what the model knows of them, and what they said since."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from moovier.feedback.store import UserFeedback
from moovier.serving.filters import Filter
from moovier.serving.recommender import Answer, Recommendation, Recommender
from moovier.serving.user_recommender import RatedMovie, UserProfile, UserRecommender

#: Gives what a user said since the model was trained, None where it is nothing.
SaidBy = Callable[[int], UserFeedback | None]
_NOTHING = np.zeros(0, dtype=np.int64)


def rated(said: UserFeedback | None) -> list[RatedMovie]:
    """The ratings among it, oldest first."""
    if said is None:
        return []
    return [RatedMovie(one.movie_id, one.stars, one.timestamp) for one in said.ratings]


def person(
    people: UserRecommender,
    user_id: int,
    said: UserFeedback | None,
    more: Sequence[RatedMovie] = (),
) -> UserProfile:
    """A user over one model's movies; ``more``: ratings that count on top."""
    ratings = [*rated(said), *more]
    if said is None:
        return people.user(user_id, ratings)
    return people.user(user_id, ratings, said.deleted, said.all_deleted_at or 0)


def recommend(
    recommender: Recommender, users: Sequence[int], top_k: int, said_by: SaidBy
) -> list[Answer]:
    """As :meth:`Recommender.recommend`, those who said something since by what they are now."""
    answers = {one.user_id: one for one in recommender.recommend(users, top_k)}
    for user in dict.fromkeys(users):
        said = said_by(user)
        if said is not None:
            answers[user] = _of_now(recommender.people, user, said, top_k)
    return [answers[user] for user in users]


def _of_now(people: UserRecommender, user_id: int, said: UserFeedback, top_k: int) -> Answer:
    who = person(people, user_id, said)
    page = people.page(who, Filter(), exclude=_NOTHING, top_k=top_k, reasons=False)
    return Answer(
        user_id,
        tuple(Recommendation(item.movie, item.score) for item in page.items),
        "model" if len(who.history) else "popular",
    )
