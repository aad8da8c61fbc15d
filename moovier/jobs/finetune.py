"""Train a registered model further on new ratings, as a new version beside its parent."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from moovier.data.ratings import Index, Ints, Ratings, check_parallel
from moovier.errors import BadRequest, BundleError
from moovier.jobs.registration import open_registry, open_tracking, tags_of, write_model
from moovier.models.bundle import Bundle, Card, display_name, load
from moovier.models.families import family
from moovier.models.family import FineTuneRequest, FitResult
from moovier.models.popular import POPULAR_DAYS
from moovier.registry.atomic_folder import replaced
from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.settings import Settings

#: Parents kept in memory; the Keras model itself is read anew each time, since training alters it.
_PARENTS = 4


@dataclass(frozen=True)
class FineTuned:
    """``name`` and ``version`` of the child; ``skipped`` are movie ids that the catalogue lacks,
    each once, in the order in which they came."""

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
    """Fine-tune ``model`` (name, alias or version number) on one batch and register the child.

    ``users``, ``movies`` (MovieLens ids) and ``ratings`` (0.5 to 5 in half steps) are parallel.
    A pair that the parent knows, or that comes twice, takes its last rating. Users never seen
    before are appended to the index. ``validation_split`` (0 up to, not including, 1) of the
    batch decides when to stop, after ``patience`` epochs (1 or more) without improvement.

    Raises:
        BadRequest: the input makes no sense, no movie is left, or the family cannot be tuned.
        UnknownModel, RegistryUnavailable, RegistryError: see :class:`Registry`.
    """
    _check(users, movies, ratings, validation_split, patience)
    registry = open_registry(settings)
    version = registry.resolve(model)
    parent, keras_file = _parent(registry, version, settings)
    known = parent.index.movie_rows(np.asarray(movies, dtype=np.int64)) >= 0
    skipped = list(dict.fromkeys(np.asarray(movies)[~known].tolist()))
    if not known.any():
        raise BadRequest(
            f"none of the movies is in the catalogue of {parent.card.name}: "
            f"{', '.join(map(str, skipped[:20]))}"
        )
    batch, index = _batch(
        parent.index,
        np.asarray(users, dtype=np.int64)[known],
        np.asarray(movies, dtype=np.int64)[known],
        np.asarray(ratings, dtype=np.float32)[known],
    )
    merged = _merged(parent, batch)
    kind = family(parent.card.family)
    fitted = kind.fine_tune(
        FitResult(parent.arrays, _load_keras(keras_file)),
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
        arrays={**_kept_arrays(parent), **fitted.arrays},
    )
    said = {"new_ratings": len(batch), "validation_split": validation_split, "patience": patience}
    number = _register(settings, version, child, fitted, said)
    return FineTuned(child.card.name, number, skipped)


def warm_up() -> None:
    """Import what :func:`fine_tune` needs (some 20 s of processor time), ahead of the first one.

    It leaves half of the cores to those who answer meanwhile.
    """
    import keras  # noqa: F401
    import mlflow.keras  # noqa: F401

    from moovier.training.fit import limit_threads

    limit_threads(max((os.cpu_count() or 1) // 2, 1))


def _check(
    users: Sequence[int],
    movies: Sequence[int],
    ratings: Sequence[float],
    validation_split: float,
    patience: int,
) -> None:
    check_parallel(users, movies, ratings)
    if not len(users):
        raise BadRequest("there must be at least one rating")
    for stars in ratings:
        if not (0.5 <= stars <= 5 and float(stars * 2).is_integer()):
            raise BadRequest(f"ratings run from 0.5 to 5 in half steps; {stars} is none")
    for what, ids in (("users", users), ("movies", movies)):
        if any(id_ < 1 or id_ > np.iinfo(np.int64).max for id_ in ids):
            raise BadRequest(f"{what} must be positive whole numbers")
    if not 0 <= validation_split < 1:
        raise BadRequest(
            f"validation_split must be 0 or more and less than 1, not {validation_split}"
        )
    if patience < 1:
        raise BadRequest(f"patience must be at least 1, not {patience}")


def _parent(registry: Registry, version: Version, settings: Settings) -> tuple[Bundle, Path]:
    # The run's id tells versions of two registries apart that share a number.
    folder = settings.path("parents", f"{version.number}-{version.run_id}")
    keras_file = folder / "model.keras"
    if not keras_file.exists():
        with replaced(folder) as temporary:
            registry.download_bundle(version, temporary / "bundle")
            registry.download_keras_model(version, temporary / keras_file.name)
    return _bundle(folder / "bundle"), keras_file


@lru_cache(maxsize=_PARENTS)
def _bundle(folder: Path) -> Bundle:
    return load(folder)


def _load_keras(file: Path) -> Any:
    import keras

    try:
        return keras.saving.load_model(file, safe_mode=True, compile=False)
    except (ValueError, TypeError, OSError) as error:
        raise BundleError(f"the Keras model cannot be loaded: {error}") from error


def _batch(index: Index, users: Ints, movies: Ints, stars: Any) -> tuple[Ratings, Index]:
    """The batch over ``index`` with new users appended, each pair once: its last rating."""
    new = list(dict.fromkeys(users[index.user_rows(users) < 0].tolist()))
    grown = Index(np.concatenate([index.users, np.array(new, dtype=np.int64)]), index.movies)
    now = np.full(users.size, int(time.time()), dtype=np.int64)
    rows = Ratings(
        grown.user_rows(users),
        grown.movie_rows(movies),
        stars,
        now,
        int(grown.users.size),
        int(grown.movies.size),
    )
    return rows.take(_last_of_pairs(rows)), grown


def _merged(parent: Bundle, batch: Ratings) -> Ratings:
    """Everything known now: the parent's ratings with the batch on top."""
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
    """Positions of each (user, movie) pair's last row, in row order."""
    pairs = ratings.users * ratings.n_movies + ratings.movies
    _, first_from_the_end = np.unique(pairs[::-1], return_index=True)
    return np.sort(len(ratings) - 1 - first_from_the_end)


def _kept_arrays(parent: Bundle) -> dict[str, Any]:
    """Return what a bundle holds beside its family's arrays."""
    return {name: parent.arrays[name] for name in (POPULAR_DAYS,) if name in parent.arrays}


def _card(parent: Card, epochs: int, merged: Ratings) -> Card:
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
    settings: Settings, parent: Version, child: Bundle, fitted: FitResult, said: dict[str, Any]
) -> int:
    """Log the fine-tuning as a run of its own and register the child; its version number."""
    tracking = open_tracking(settings)
    card = child.card
    key = f"fine-tune-{uuid.uuid4().hex}"
    run_id = tracking.start(card.name, retraining=key, part="fine-tune")
    tracking.log(
        run_id,
        params={**card.params, "parent": f"{parent.name}, version {parent.number}", **said},
        metrics={"epochs": float(fitted.epochs)},
        curves=fitted.curves,
    )
    tracking.log_curves_picture(run_id, fitted.curves, card.name)
    tracking.log_data(run_id, card.data)
    with tempfile.TemporaryDirectory() as folder:
        version = tracking.register(
            write_model(Path(folder), child, fitted.keras_model),
            card.name,
            run_id=run_id,
            key=key,
            tags=tags_of(card, {"parent_version": str(parent.number)}),
        )
    tracking.finish(run_id)
    return version.number
