"""Recommendations without a service: straight from the registry's bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from moovier.models import bundle
from moovier.recommending.recommender import Recommender
from moovier.registry.client import Registry
from moovier.registry.version import CHAMPION
from moovier.settings import Settings, load_settings


def recommend(
    users: Sequence[int],
    top_k: int,
    model: str | None = None,
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """The best ``top_k`` (1 to 1,000) unseen movies for each user, in the order asked.

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
    return {
        "model": version.name,
        "version": version.number,
        "synthetic": loaded.card.data.synthetic,
        "answers": [
            {
                "user": answer.user_id,
                "source": answer.source,
                "items": [{**asdict(item.movie), "score": item.score} for item in answer.items],
            }
            for answer in Recommender(loaded).recommend(users, top_k)
        ],
    }
