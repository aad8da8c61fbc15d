"""Fine-tune a registered model on new ratings as a new version."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache

from moovier.data.ratings import Index, Ints, Ratings, check_parallel
from moovier.errors import BadRequest, BundleError
from moovier.jobs.registration import open_registry, open_tracking, record_of, write_model
from moovier.models.bundle import Bundle, Card, display_name
from moovier.models.families import family
from moovier.models.family import FineTuneRequest, FitResult
from moovier.models.popular import POPULAR_DAYS
from moovier.registry import keras_export
from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.settings import Settings

#: Parents' bundles in memory. Keras models are not cached, because training changes them.
_bundles: LRUCache[Path, Bundle] = LRUCache(maxsize=4)


@dataclass(frozen=True)
class FineTuned:
    """The registered result.

    ``skipped``: ids of movies that the catalogue does not have, without duplicates.
    """

    name: str
    version: int
    skipped: list[int]


def fine_tune(
    settings: Settings,
    model: str,
    users: Sequence[int],
    movies: Sequence[int],
    ratings: Sequence[float],
    *,
    validation_split: float = 0.2,
    patience: int = 10,
) -> FineTuned:
    """Fine-tune a model on one batch and register the child.

    ``model``: name, alias or version number of the parent.

    ``users``, ``movies`` (MovieLens ids) and ``ratings`` (0.5 to 5 in steps of 0.5) are parallel.
    The last rating of a user and a movie counts, within the batch and before the parent's. New
    users are appended to the index. ``validation_split``: share of the batch that decides when to
    stop, 0 up to, not including, 1. ``patience``: epochs without improvement before that, 1 or
    more.

    Raises:
        BadRequest: the input is invalid, no movie is known, or the family cannot be fine-tuned.
        BundleError: the parent's files are incomplete or altered.
        UnknownModel, RegistryUnavailable, RegistryError: see :class:`Registry`.
    """
    _check(users, movies, ratings, validation_split, patience)
    registry = open_registry(settings)
    version = registry.resolve(model)
    # The run id distinguishes versions of two registries that have the same number.
    folder = settings.path("parents", f"{version.number}-{version.run_id}")
    parent = _load_bundle(registry, version, folder / "bundle")
    batch, index, skipped = _batch(parent, users, movies, ratings)
    merged = _merge(parent, batch)
    kind = family(parent.card.family)
    is_read = kind.fine_tunes_keras_model
    keras_model = _load_keras_model(registry, version, folder / "model.keras") if is_read else None
    fitted = kind.fine_tune(
        FitResult(parent.arrays, keras_model),
        kind.hyper_parameters.model_validate(parent.card.params),
        FineTuneRequest(
            catalogue=parent.catalogue,
            old_n_users=int(parent.index.users.size),
            batch=batch,
            merged=merged,
            validation_split=validation_split,
            patience=patience,
            seed=settings.seed,
        ),
    )
    child = Bundle(
        card=_card(parent.card, fitted.epochs, merged),
        index=index,
        histories=merged.histories,
        catalogue=parent.catalogue,
        arrays={**_inherited_arrays(parent), **fitted.arrays},
        ids=parent.ids,
    )
    options = {"validation_split": validation_split, "patience": patience}
    number = _register(settings, version, child, fitted, options | {"new_ratings": len(batch)})
    return FineTuned(child.card.name, number, skipped)


def warm_up() -> None:
    """Import the libraries of :func:`fine_tune`, some 20 s of processor time.

    Also limit the threads to half of the cores, so that the service can answer requests meanwhile.
    """
    keras_export.preload()

    from moovier.training.fit import limit_threads

    limit_threads(max((os.cpu_count() or 1) // 2, 1))


def _check(
    users: Sequence[int],
    movies: Sequence[int],
    ratings: Sequence[float],
    validation_split: float,
    patience: int,
) -> None:
    """Check the arguments of :func:`fine_tune`.

    Raises:
        BadRequest: a value is out of range, or the lists have different lengths.
    """
    check_parallel(users, movies, ratings)
    if not len(users):
        raise BadRequest("the list of ratings is empty; give at least one rating")
    for stars in ratings:
        if not (0.5 <= stars <= 5 and float(stars * 2).is_integer()):
            raise BadRequest(f"ratings must be 0.5 to 5 in steps of 0.5, not {stars}")
    for name, ids in (("users", users), ("movies", movies)):
        for id_ in ids:
            if id_ < 1 or id_ > np.iinfo(np.int64).max:
                raise BadRequest(f"{name} must be positive 64-bit numbers, not {id_}")
    if not 0 <= validation_split < 1:
        raise BadRequest(
            f"validation_split must be 0 or more and less than 1, not {validation_split}"
        )
    if patience < 1:
        raise BadRequest(f"patience must be at least 1, not {patience}")


def _load_bundle(registry: Registry, version: Version, folder: Path) -> Bundle:
    """Return the parent's bundle from memory, from ``folder``, or from the registry."""
    bundle = _bundles.get(folder)
    if bundle is None:
        bundle = _bundles[folder] = registry.load_bundle(version, folder)
    return bundle


def _load_keras_model(registry: Registry, version: Version, file: Path) -> Any:
    """Return the parent's Keras model from ``file``, or from the registry.

    Raises:
        BundleError: the version has no Keras model, or it cannot be loaded.
    """
    import keras

    if not file.exists():
        temporary = file.with_name(f".{uuid.uuid4().hex}{file.suffix}")
        try:
            registry.download_keras_model(version, temporary)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    try:
        return keras.saving.load_model(file, safe_mode=True, compile=False)
    except (ValueError, TypeError, OSError) as error:
        raise BundleError(
            f"the Keras model of {version.name} cannot be loaded ({error}); choose another model"
        ) from error


def _batch(
    parent: Bundle, users: Sequence[int], movies: Sequence[int], ratings: Sequence[float]
) -> tuple[Ratings, Index, list[int]]:
    """Return the batch, the index with its new users, and skipped movie ids.

    The batch has each pair once, with its last rating.

    Raises:
        BadRequest: the parent's catalogue has none of the movies.
    """
    movie_ids = np.asarray(movies, dtype=np.int64)
    is_known = parent.index.movie_rows(movie_ids) >= 0
    skipped = list(dict.fromkeys(movie_ids[~is_known].tolist()))
    if not is_known.any():
        raise BadRequest(
            f"none of the movies is in the catalogue of {parent.card.name}: "
            f"{', '.join(map(str, skipped[:20]))}"
        )
    user_ids = np.asarray(users, dtype=np.int64)[is_known]
    new_users = list(dict.fromkeys(user_ids[parent.index.user_rows(user_ids) < 0].tolist()))
    index = Index(
        np.concatenate([parent.index.users, np.array(new_users, dtype=np.int64)]),
        parent.index.movies,
    )
    rows = Ratings(
        users=index.user_rows(user_ids),
        movies=index.movie_rows(movie_ids[is_known]),
        stars=np.asarray(ratings, dtype=np.float32)[is_known],
        timestamps=np.full(user_ids.size, int(time.time()), dtype=np.int64),
        n_users=int(index.users.size),
        n_movies=int(index.movies.size),
    )
    return rows.take(_last_of_pairs(rows)), index, skipped


def _merge(parent: Bundle, batch: Ratings) -> Ratings:
    """Return the parent's ratings, replaced and extended by the batch."""
    old = parent.histories.ratings()
    both = Ratings(
        np.concatenate([old.users, batch.users]),
        np.concatenate([old.movies, batch.movies]),
        np.concatenate([old.stars, batch.stars]),
        np.concatenate([old.timestamps, batch.timestamps]),
        batch.n_users,
        batch.n_movies,
    )
    return both.take(_last_of_pairs(both))


def _last_of_pairs(ratings: Ratings) -> Ints:
    """Return the row of each (user, movie) pair's last rating, in row order."""
    pairs = ratings.pairs
    _, first_from_end = np.unique(pairs[::-1], return_index=True)
    return np.sort(len(ratings) - 1 - first_from_end)


def _inherited_arrays(parent: Bundle) -> dict[str, Any]:
    """Return the parent's arrays that do not belong to its family."""
    return {name: parent.arrays[name] for name in (POPULAR_DAYS,) if name in parent.arrays}


def _card(parent: Card, epochs: int, merged: Ratings) -> Card:
    """Return the child's card."""
    facts = parent.data.model_copy(
        update={"ratings": len(merged), "users": int(np.unique(merged.users).size)}
    )
    return Card(
        name=display_name(parent.family, int(parent.params["size"]), parent.trained + 1),
        family=parent.family,
        params=parent.params,
        trained=parent.trained + 1,
        parent=parent.name,
        epochs=epochs,
        data=facts,
    )


def _register(
    settings: Settings, parent: Version, child: Bundle, fitted: FitResult, options: dict[str, Any]
) -> int:
    """Log the fine-tuning as a run and register the child; return its version number."""
    tracking = open_tracking(settings)
    card = child.card
    key = f"fine-tune-{uuid.uuid4().hex}"
    run_id = tracking.start(card.name, retraining=key, part="fine-tune")
    tracking.log(
        run_id,
        params={**card.params, "parent": f"{parent.name}, version {parent.number}", **options},
        metrics={"epochs": float(fitted.epochs)},
        curves=fitted.curves,
    )
    tracking.log_curves_plot(run_id, fitted.curves, card.name)
    tracking.log_data(run_id, card.data)
    with tempfile.TemporaryDirectory() as folder:
        version = tracking.register(
            write_model(Path(folder), child, fitted.keras_model),
            card.name,
            run_id=run_id,
            key=key,
            record=record_of(card, {"parent_version": str(parent.number)}),
            data=card.data,
        )
    tracking.finish(run_id)
    return version.number
