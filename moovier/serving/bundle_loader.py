"""Models as they come from the registry: fetched, checked and tried, or refused with the reason."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from moovier.errors import BundleError, MoovierError
from moovier.models import bundle, popular
from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.serving.recommender import Recommender

#: Seconds for which a version asked for by name is known to be broken, and how many at most: each
#: try downloads all of it.
BROKEN_FOR_S = 600.0
_MOST_BROKEN = 100


@dataclass(frozen=True)
class LoadedModel:
    """One version in memory. ``key`` is its folder's name: two registries may share a number."""

    number: int
    name: str
    key: str
    recommender: Recommender

    def told(self) -> dict[str, object]:
        """What is written down of it to load it again."""
        return {"number": self.number, "name": self.name, "folder": self.key}

    def popular(self) -> LoadedModel:
        """Return the same people and catalogue, scored by how often a movie was rated of late."""
        of, popularity = self.recommender.bundle, self.recommender.people.popularity
        card = of.card.model_copy(update={"family": popular.NAME})
        arrays = {
            "counts": popularity.default(),
            popular.POPULAR_DAYS: np.array(popularity.default_days or 0),
        }
        recommender = Recommender(replace(of, card=card, arrays=arrays))
        return replace(self, name=popular.NAME, recommender=recommender)


@dataclass(frozen=True)
class RejectedModel:
    """A version that cannot answer. ``reason`` is for the log: it may name files."""

    number: int
    name: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} (version {self.number}): {self.reason}"

    @classmethod
    def by(cls, version: Version, error: MoovierError) -> RejectedModel:
        return cls(version.number, version.name, key_of(version), str(error))


class BundleLoader:
    """Fetches what the registry holds into a folder. Safe to share between threads."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._lock = threading.Lock()
        # Versions that were asked for by name and cannot be used, and until when that is believed.
        self._broken: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def fetch(self, version: Version) -> LoadedModel:
        """
        Raises:
            RegistryError: it cannot be had now.
            BundleError: it cannot be used.
        """
        folder = self._registry.download_bundle(version, self._folder / key_of(version))
        return load(folder, version.number, version.name)

    def fetch_unless_broken(self, version: Version) -> LoadedModel:
        """
        Raises:
            RegistryError: it cannot be had now.
            BundleError: it cannot be used, or could not a short while ago.
        """
        key = key_of(version)
        with self._lock:
            reason, until = self._broken.get(key, ("", 0.0))
        if time.monotonic() < until:
            raise BundleError(reason)
        try:
            return self.fetch(version)
        except BundleError as error:
            with self._lock:
                self._broken[key] = str(error), time.monotonic() + BROKEN_FOR_S
                self._broken.move_to_end(key)
                while len(self._broken) > _MOST_BROKEN:
                    self._broken.popitem(last=False)
            raise


def load(folder: Path, number: int, name: str) -> LoadedModel:
    """Read, check and try a bundle.

    Raises:
        BundleError: it is altered, incomplete, or does not score.
    """
    recommender = Recommender(bundle.load(folder))
    try:
        recommender.self_test()
    except (ValueError, IndexError, FloatingPointError) as error:
        raise BundleError(f"{name} (version {number}) does not score: {error}") from error
    return LoadedModel(number, name, folder.name, recommender)


def key_of(version: Version) -> str:
    """Its folder's name."""
    return f"{version.number}-{version.run_id}"


def is_rejected(refused: RejectedModel | None, version: Version) -> bool:
    """Whether it is this version that was refused."""
    return refused is not None and refused.key == key_of(version)
