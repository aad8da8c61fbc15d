"""Users with the feedback that they gave since the model was trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from moovier.data.ratings import Floats, Ints
from moovier.feedback.ratings import NewRating, UserFeedback
from moovier.serving.filters import Filter
from moovier.serving.recommender import Answer, Recommendation, Recommender
from moovier.serving.user_profile import UserProfile
from moovier.serving.user_recommender import UserRecommender

#: Returns a user's feedback since the model was trained, None without any.
FeedbackOf = Callable[[int], UserFeedback | None]
_NO_MOVIES = np.zeros(0, dtype=np.int64)


def rated_movies(feedback: UserFeedback | None) -> list[NewRating]:
    """Return the ratings of a user's feedback, oldest first."""
    if feedback is None:
        return []
    return [
        NewRating(rating.movie_id, rating.stars, rating.timestamp) for rating in feedback.ratings
    ]


def profile_of(
    user_recommender: UserRecommender,
    user_id: int,
    feedback: UserFeedback | None,
    more: Sequence[NewRating] = (),
    *,
    stars_only: bool = False,
) -> UserProfile:
    """Return a user's profile for one model; the ratings in ``more`` count on top.

    With ``stars_only`` events do not count as ratings: a model of stars learns from stars.
    """
    ratings = [*rated_movies(feedback), *more]
    if feedback is None:
        return user_recommender.user(user_id, ratings)
    return user_recommender.user(
        user_id,
        ratings,
        feedback.deleted,
        feedback.all_deleted_at or 0,
        () if stars_only else feedback.implicit,
        feedback.hidden,
    )


def recommend(
    recommender: Recommender, users: Sequence[int], top_k: int, feedback_of: FeedbackOf
) -> list[Answer]:
    """Return :meth:`Recommender.recommend` with the users' feedback taken into account.

    Raises:
        BadRequest: ``users`` is empty or ``top_k`` is out of range.
    """
    answers = {answer.user_id: answer for answer in recommender.recommend(users, top_k)}
    for user in dict.fromkeys(users):
        feedback = feedback_of(user)
        if feedback is not None:
            answers[user] = _answer(recommender.user_recommender, user, feedback, top_k)
    return [answers[user] for user in users]


def ranking_ids(
    recommender: Recommender, users: Sequence[int], top_k: int, feedback_of: FeedbackOf
) -> list[tuple[Ints, Floats]]:
    """Return the movie ids and scores of :func:`recommend` as arrays, (k,) each.

    Raises:
        BadRequest: ``users`` is empty or ``top_k`` is out of range.
    """
    lists = recommender.ranking_ids(users, top_k)
    for place, user in enumerate(users):
        feedback = feedback_of(user)
        if feedback is not None:
            items = _answer(recommender.user_recommender, user, feedback, top_k).items
            lists[place] = (
                np.array([item.movie.id for item in items], dtype=np.int64),
                np.array([item.score for item in items], dtype=np.float32),
            )
    return lists


def _answer(
    user_recommender: UserRecommender, user_id: int, feedback: UserFeedback, top_k: int
) -> Answer:
    profile = profile_of(user_recommender, user_id, feedback)
    page = user_recommender.page(profile, Filter(), exclude=_NO_MOVIES, top_k=top_k, reasons=False)
    return Answer(
        user_id,
        tuple(Recommendation(item.movie, item.score) for item in page.items),
        "model" if len(profile.history) else "popular",
    )
