"""Recommend movies from the registry's bundle, without the service."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from moovier.data.catalogue import natural_title
from moovier.event_weights import parse_event_weights
from moovier.feedback import database
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.events import with_implicit
from moovier.feedback.new_movies import NewMovieStore
from moovier.feedback.ratings import UserFeedback
from moovier.feedback.store import FeedbackStore
from moovier.ids import MOVIE, USER
from moovier.jobs.text_ids import OutsideIds
from moovier.registry.client import Registry
from moovier.registry.version import CHAMPION, Version
from moovier.serving import live_users
from moovier.serving.new_movies import NewMovies
from moovier.serving.recommender import Recommendation, Recommender
from moovier.settings import Settings, load_settings
from moovier.tmdb.texts import cached_texts


def recommend(
    users: Sequence[int | str],
    top_k: int,
    model: str | None = None,
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Return the users' top-k unseen movies, in the order of ``users``.

    ``users``: ids; texts where the data set has text ids. ``top_k``: 1 to 1,000.

    Ratings, deletions and new movies since the training count, as in the service. If the database
    does not answer, the lists leave them out and ``feedback`` holds the reason, otherwise None.

    ``model``: name, alias or version number; None means the champion. The result has ``model`` and
    ``version``, ``synthetic`` (whether the ratings are generated), and ``answers`` with one entry
    per user: ``user``, ``source`` (``popular`` for a user that the model does not know) and
    ``items``, best first.

    Raises:
        BadRequest: ``users`` is empty or has a wrong id, or ``top_k`` is out of range.
        UnknownModel, RegistryUnavailable, RegistryError: see :class:`Registry`.
        BundleError: the bundle is incomplete or altered.
    """
    settings = settings or load_settings()
    version, recommender = load_recommender(model, settings)
    ids = OutsideIds.of(recommender.bundle.ids, settings)
    texts = {ids.number(USER, str(user)): str(user) for user in users}
    numbers = [ids.number(USER, str(user)) for user in users]
    feedback, error = _feedback_of(numbers, settings)
    if error is None:
        recommender = with_new_movies(recommender, settings)
    return {
        "model": version.name,
        "version": version.number,
        "synthetic": recommender.bundle.card.data.synthetic,
        "feedback": error,
        "answers": [
            {
                "user": texts[answer.user_id] if ids.is_text(USER) else answer.user_id,
                "source": answer.source,
                "items": [_item(item, ids) for item in answer.items],
            }
            for answer in live_users.recommend(recommender, numbers, top_k, feedback.get)
        ],
    }


def _item(item: Recommendation, ids: OutsideIds) -> dict[str, Any]:
    """Return a movie of a list; its title is spelt as on the web page."""
    title = natural_title(item.movie.title)
    movie_id = ids.shown(MOVIE, item.movie.id)
    return {**asdict(item.movie), "id": movie_id, "title": title, "score": item.score}


def load_recommender(model: str | None, settings: Settings) -> tuple[Version, Recommender]:
    """Return a version and its recommender, from the bundle on this machine or in the registry.

    ``model``: name, alias or version number; None means the champion.

    Raises:
        UnknownModel, RegistryUnavailable, RegistryError: see :class:`Registry`.
        BundleError: the bundle is incomplete or altered.
    """
    registry = Registry(settings.mlflow_tracking_uri, settings.registered_model)
    version = registry.resolve(model or CHAMPION)
    # The run id distinguishes versions of two registries that have the same number.
    folder = settings.path("bundles", f"{version.number}-{version.run_id}")
    return version, Recommender(registry.load_bundle(version, folder))


def with_new_movies(recommender: Recommender, settings: Settings) -> Recommender:
    """Return a recommender with the movies beside the data set and their places, as the service.

    Raises:
        FeedbackUnavailable: the database does not answer.
    """
    if not database.exists(settings.database):
        return recommender
    with contextlib.closing(database.Database.open(settings.database)) as opened:
        movies = NewMovieStore(opened).all()
    new = NewMovies(movies, settings.new_movies_share, cached_texts(settings))
    return new.in_recommender(recommender)


def _feedback_of(
    users: Sequence[int], settings: Settings
) -> tuple[dict[int, UserFeedback], str | None]:
    """Return the users' feedback, and the reason if it cannot be read."""
    feedback: dict[int, UserFeedback] = {}
    weights = parse_event_weights(settings.event_weights)
    if not database.exists(settings.database):
        return feedback, None
    try:
        with contextlib.closing(FeedbackStore.open(settings.database)) as store:
            for user in dict.fromkeys(users):
                user_feedback = store.of_user(user)
                if user_feedback:
                    feedback[user] = with_implicit(user_feedback, weights)
    except FeedbackUnavailable as error:
        return {}, str(error)
    return feedback, None
