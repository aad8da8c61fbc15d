"""Loads model versions from the registry: downloads, checks and tests them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cachetools import TTLCache

from moovier.errors import BundleError, MoovierError
from moovier.models import bundle, popular
from moovier.models.bundle import Bundle
from moovier.registry.client import Registry
from moovier.registry.version import NAME, Version
from moovier.serving.recommender import Recommender

logger = logging.getLogger(__name__)

#: Seconds for which a version requested by name is remembered as broken: each attempt downloads
#: the whole bundle.
BROKEN_FOR_S = 600.0
#: Number of broken versions remembered.
MAX_BROKEN = 100


@dataclass(frozen=True)
class LoadedModel:
    """A model version in memory.

    ``key`` is the name of its folder: two registries may use the same version number.
    """

    number: int
    name: str
    key: str
    recommender: Recommender

    def to_json(self) -> dict[str, object]:
        """Return what :meth:`ModelStore.restore` needs to load the model again."""
        return {"number": self.number, "name": self.name, "folder": self.key}

    def as_popular(self) -> LoadedModel:
        """Return a model with the same users and movies that ranks by popularity."""
        base = self.recommender.base
        source, popularity = base.bundle, base.user_recommender.popularity
        card = source.card.model_copy(update={"family": popular.NAME})
        arrays = {
            "counts": popularity.default(),
            popular.POPULAR_DAYS: np.array(popularity.default_days or 0),
        }
        recommender = Recommender(replace(source, card=card, arrays=arrays))
        return replace(self, name=popular.NAME, recommender=recommender)


@dataclass(frozen=True)
class RejectedModel:
    """A version that cannot be used; ``reason`` is for the log, since it may name files."""

    number: int
    name: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.title}: {self.reason}"

    @property
    def title(self) -> str:
        """The name and number for messages; the number alone without a name."""
        return f"{self.name} (version {self.number})" if self.name else f"version {self.number}"

    @classmethod
    def unusable(cls, version: Version) -> RejectedModel:
        """Return a version that has no model, as when somebody registered it by hand."""
        name = version.name if NAME.fullmatch(version.name) else ""
        return cls(version.number, name, key_of(version), version.unusable or "")

    @classmethod
    def of(cls, version: Version, error: MoovierError) -> RejectedModel:
        """Return ``version`` as rejected because of ``error``."""
        return cls(version.number, version.name, key_of(version), str(error))


class BundleLoader:
    """Downloads bundles into a folder and loads them. Safe to share between threads."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._lock = threading.Lock()
        self._broken: TTLCache[str, str] = TTLCache(MAX_BROKEN, BROKEN_FOR_S, time.monotonic)
        #: Applied to every model that is loaded.
        self.extend: Callable[[LoadedModel], LoadedModel] = lambda model: model

    def fetch(self, version: Version) -> LoadedModel:
        """Download and load a version.

        Raises:
            RegistryError: the registry cannot deliver it now.
            BundleError: the bundle cannot be used.
        """
        key = key_of(version)
        folder = self._folder / key
        model = self._registry.load_bundle(version, folder)
        return self.extend(_test(model, folder, version.number, version.name))

    def fetch_unless_broken(self, version: Version) -> LoadedModel:
        """Download and load a version, unless it was found broken a short while ago.

        Raises:
            RegistryError: the registry cannot deliver it now.
            BundleError: the bundle cannot be used, or could not within ``BROKEN_FOR_S``.
        """
        key = key_of(version)
        with self._lock:
            reason = self._broken.get(key)
        if reason is not None:
            raise BundleError(reason)
        try:
            return self.fetch(version)
        except BundleError as error:
            with self._lock:
                self._broken[key] = str(error)
            raise

    def fetch_stand_in(self, versions: Sequence[Version]) -> LoadedModel | None:
        """Return a popularity model from the newest usable version; None if none is usable.

        Raises:
            RegistryError: the registry cannot deliver a version now.
        """
        for version in versions:
            try:
                newest = self.fetch_unless_broken(version)
            except BundleError as error:
                logger.warning("a version cannot stand in for a champion: %s", error)
                continue
            return self.extend(newest.as_popular())
        return None

    def extend_cached(self, models: MutableMapping[str, LoadedModel], lock: threading.Lock) -> None:
        """Apply :attr:`extend` to the models of a cache, except to those replaced meanwhile.

        Nothing is extended while ``lock`` is held, because requests wait for it.
        """
        with lock:
            before = dict(models)
        extended = {key: self.extend(model) for key, model in before.items()}
        with lock:
            same = [key for key in before if models.get(key) is before[key]]
            models.update({key: extended[key] for key in same})


def load(folder: Path, number: int, name: str) -> LoadedModel:
    """Read, check and test a bundle.

    Raises:
        BundleError: the bundle is altered, incomplete, or cannot score.
    """
    return _test(bundle.load(folder), folder, number, name)


def _test(model: Bundle, folder: Path, number: int, name: str) -> LoadedModel:
    recommender = Recommender(replace(model, folder=folder))
    try:
        recommender.self_test()
    except (ValueError, IndexError, FloatingPointError) as error:
        raise BundleError(f"{name} (version {number}) cannot score: {error}") from error
    return LoadedModel(number, name, folder.name, recommender)


def key_of(version: Version) -> str:
    """Return the name of a version's folder."""
    return f"{version.number}-{version.run_id}"
