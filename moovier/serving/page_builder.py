"""Builds pages of recommendations from a model, a user's feedback and a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import Ints
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.ratings import NewRating
from moovier.serving import cursor, live_users
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.events import ServingEvents
from moovier.serving.requests import RecommendRequest, RequestRating
from moovier.serving.user_profile import UserProfile
from moovier.serving.user_recommender import Page, UserRecommender
from moovier.timestamps import DAY_S

_NO_MOVIES = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class ModelPage:
    """A page and the model that made it.

    ``stars`` are the predicted stars of each item, None where no rating model knows the movie.
    ``next`` is the cursor of the next page; None on the last. ``stars_by_person`` are the stars of
    each item and each person of a group; None for a list of one person.
    """

    model: LoadedModel
    page: Page
    stars: tuple[float | None, ...]
    next: str | None
    stars_by_person: tuple[tuple[float | None, ...], ...] | None = None

    @property
    def is_personal(self) -> bool:
        """Return whether the list was made for a user with a history."""
        return not self.page.items or self.page.items[0].source == "model"


def build_page(
    model: LoadedModel,
    rating_model: LoadedModel | None,
    request: RecommendRequest,
    feedback: FeedbackCache,
    events: ServingEvents,
) -> ModelPage:
    """Compute a page of recommendations, which takes milliseconds.

    Raises:
        BadRequest: the filter or the cursor is invalid.
    """
    shown = decode_cursor(request.cursor)
    profile, page = score_page(model, request, feedback, shown)
    is_known = len(profile.history) > 0
    if profile.row is None and is_known:
        events.fold_in(model.name)
    events.lists_answered(model.name, int(is_known), int(not is_known))
    stars = predict_stars(rating_model, model, profile, request, feedback, page)
    return ModelPage(model, page, stars or (None,) * len(page.items), next_cursor(page, shown))


def score_page(
    model: LoadedModel,
    request: RecommendRequest,
    feedback: FeedbackCache,
    shown: Ints,
    *,
    reasons: bool = True,
) -> tuple[UserProfile, Page]:
    """Return the requesting user's profile and page, without the movies in ``shown``.

    ``shown`` holds the MovieLens ids of the previous pages. No event is reported.

    Raises:
        BadRequest: the filter is invalid.
    """
    user_recommender = model.recommender.user_recommender
    exclude = shown
    if request.exclude:
        exclude = np.concatenate([np.array(request.exclude, dtype=np.int64), shown])
    profile = resolve_user(user_recommender, request, feedback)
    page = user_recommender.page(
        profile,
        request.filter,
        exclude=exclude,
        top_k=request.top_k,
        reasons=reasons,
        variety=request.variety,
    )
    return profile, page


def resolve_user(
    user_recommender: UserRecommender,
    request: RecommendRequest,
    feedback: FeedbackCache,
    *,
    stars_only: bool = False,
) -> UserProfile:
    """Return the profile that a request is about.

    It holds what the model knows of the user, the feedback since then, and the request's ratings.
    With ``stars_only`` events do not count as ratings.
    """
    if request.user_id is None and all(given[2] is None for given in request.ratings):
        pairs = [(movie_id, stars) for movie_id, stars, _ in request.ratings]
        return user_recommender.visitor(pairs, _present_day(time.time()))
    user_feedback = None if request.user_id is None else feedback.for_user(request.user_id)
    ratings: list[NewRating] = []
    if request.ratings:
        ratings = _dated(request.ratings, live_users.rated_movies(user_feedback))
    if request.user_id is None:
        return user_recommender.anonymous(ratings)
    return live_users.profile_of(
        user_recommender, request.user_id, user_feedback, ratings, stars_only=stars_only
    )


def paginate(
    make_page: Callable[[Ints], Page], model: LoadedModel, cursor_text: str | None
) -> ModelPage:
    """Return the page of a list that is not personal; ``make_page`` gets the shown MovieLens ids.

    Raises:
        BadRequest: the filter or the cursor is invalid.
    """
    shown = decode_cursor(cursor_text)
    page = make_page(shown)
    return ModelPage(model, page, (None,) * len(page.items), next_cursor(page, shown))


def decode_cursor(text: str | None) -> Ints:
    """Return the MovieLens ids of the movies on the previous pages.

    Raises:
        BadRequest: the cursor is invalid.
    """
    return _NO_MOVIES if text is None else cursor.decode(text)


def _present_day(now: float) -> int:
    """Return the start of the day of ``now``, in Unix seconds."""
    return int(now) // DAY_S * DAY_S


def _dated(ratings: Sequence[RequestRating], stored: Sequence[NewRating]) -> list[NewRating]:
    """Return the request's ratings; those without a timestamp get the present day's.

    The start of the day makes the same request later today the same profile. The timestamp is not
    before any rating of ``stored`` or any dated rating of the request, since undated ratings are
    the newest.
    """
    now = time.time()
    present = _present_day(now)
    if stored:
        present = max(present, *[rating.timestamp for rating in stored])
    for _, _, timestamp in ratings:
        if timestamp is not None and present < timestamp <= now:
            present = timestamp
    return [
        NewRating(movie_id, stars, present if timestamp is None else timestamp)
        for movie_id, stars, timestamp in ratings
    ]


def predict_stars(
    rating_model: LoadedModel | None,
    model: LoadedModel,
    profile: UserProfile,
    request: RecommendRequest,
    feedback: FeedbackCache,
    page: Page,
) -> tuple[float | None, ...] | None:
    """Return the stars that the user would give each movie of the page, 0.5 to 5.

    ``model`` made ``page`` for ``profile``. Returns None without a rating model
    or a history, and for data that have no stars.
    """
    has_stars = model.recommender.bundle.card.data.stars
    if rating_model is None or not has_stars or not len(profile.history):
        return None
    user_recommender = rating_model.recommender.user_recommender
    same_rows = user_recommender.same_catalogue(model.recommender.user_recommender)
    if request.user_id is not None or not same_rows:
        profile = resolve_user(user_recommender, request, feedback, stars_only=True)
        if not len(profile.history):
            return None
    rows = user_recommender.rows_of(page.ids)
    scores = user_recommender.scores_of(profile, np.maximum(rows, 0)).tolist()
    return tuple(
        [
            round(min(max(score, 0.5), 5.0), 2) if row >= 0 else None
            for score, row in zip(scores, rows.tolist(), strict=True)
        ]
    )


def next_cursor(page: Page, shown: Ints) -> str | None:
    """Return the cursor of the page after ``page``; None on the last."""
    return cursor.encode(np.concatenate([shown, page.ids])) if page.more else None
