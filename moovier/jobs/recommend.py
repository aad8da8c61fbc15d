"""Recommendations without a service: straight from the registry's bundle."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from moovier.feedback import database
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.store import FeedbackStore, UserFeedback
from moovier.models import bundle
from moovier.registry.client import Registry
from moovier.registry.version import CHAMPION
from moovier.serving import live_users
from moovier.serving.recommender import Recommender
from moovier.settings import Settings, load_settings


def recommend(
    users: Sequence[int],
    top_k: int,
    model: str | None = None,
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """The best ``top_k`` (1 to 1,000) unseen movies for each user, in the order asked.

    What they rated and deleted since the model was trained counts, as it does in the service. The
    lists are made without it where the database does not answer: ``feedback`` then says why, else
    it is None.

    ``model`` is a name, alias or version number; None is the champion. The answer names the
    ``model`` and its ``version``, says whether its ratings are ``synthetic``, and has one entry
    a user in ``answers``: ``user``, ``source`` (``popular`` for a user the model does not know)
    and ``items``, best first.

    Raises:
        BadRequest: no user, or ``top_k`` is out of range.
        UnknownModel, RegistryUnavailable, RegistryError: see :class:`Registry`.
        BundleError: the model cannot be used.
    """
    settings = settings or load_settings()
    registry = Registry(settings.mlflow_tracking_uri, settings.registered_model)
    version = registry.resolve(model or CHAMPION)
    # The run's id tells versions of two registries apart that share a number.
    folder = settings.path("bundles", f"{version.number}-{version.run_id}")
    loaded = bundle.load(registry.download_bundle(version, folder))
    said, trouble = _said_by(users, settings)
    return {
        "model": version.name,
        "version": version.number,
        "synthetic": loaded.card.data.synthetic,
        "feedback": trouble,
        "answers": [
            {
                "user": answer.user_id,
                "source": answer.source,
                "items": [{**asdict(item.movie), "score": item.score} for item in answer.items],
            }
            for answer in live_users.recommend(Recommender(loaded), users, top_k, said.get)
        ],
    }


def _said_by(
    users: Sequence[int], settings: Settings
) -> tuple[dict[int, UserFeedback], str | None]:
    """What each user said, if anything, and why the database could not be asked."""
    said: dict[int, UserFeedback] = {}
    if not database.exists(settings.database):
        return said, None
    try:
        with contextlib.closing(FeedbackStore.open(settings.database)) as store:
            for user in dict.fromkeys(users):
                found = store.of_user(user)
                if found:
                    said[user] = found
    except FeedbackUnavailable as error:
        return {}, str(error)
    return said, None
