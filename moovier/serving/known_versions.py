"""The versions of the registry at its last successful read, by name, number and alias."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from cachetools import TTLCache

from moovier.registry.listing import Listing
from moovier.registry.version import ALIASES, Version

#: Seconds for which an unknown name is cached, so that wrong names cost MLflow little. A model
#: that is registered meanwhile is found after that, or by the next read.
UNKNOWN_FOR_S = 2.0
#: Number of unknown names cached.
MAX_UNKNOWN = 1000


class KnownVersions:
    """Versions by name, number and alias. Safe to share between threads; never waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, Version] = {}
        self._unusable: dict[str, Version] = {}
        self._unknown: TTLCache[str, bool] = TTLCache(MAX_UNKNOWN, UNKNOWN_FOR_S, time.monotonic)
        #: Whether the registry was read.
        self.is_read = False
        #: The last read; empty before the first.
        self.listing = Listing((), (), {})

    def update(self, listing: Listing) -> None:
        """Replace all versions by those of a new read."""
        with self._lock:
            self.listing, self.is_read = listing, True
            self._by_name = _by_name(listing.versions)
            self._unusable = _by_name(listing.unusable)
            self._unknown.clear()

    def add(self, name: str, version: Version) -> None:
        """Add the version of a ``name`` that the last read did not contain."""
        with self._lock:
            self._by_name[name] = version

    def add_unknown(self, name: str) -> None:
        """Remember for a short while that no model is called ``name``."""
        with self._lock:
            self._unknown[name] = True

    def get(self, name: str) -> Version | None:
        """Return the version of a name, number or alias, or None."""
        with self._lock:
            return self._by_name.get(name)

    def why_unusable(self, name: str) -> str | None:
        """Return why the version called ``name`` cannot be used; None if it can be."""
        with self._lock:
            version = self._unusable.get(name)
        return None if version is None else f"{version.title}: {version.unusable}"

    def is_unknown(self, name: str) -> bool:
        """Return whether MLflow recently answered that no model is called ``name``."""
        with self._lock:
            return name in self._unknown

    def versions(self) -> list[Version]:
        """Return all usable versions, newest first."""
        with self._lock:
            by_number = {version.number: version for version in self._by_name.values()}
        return [by_number[number] for number in sorted(by_number, reverse=True)]


def _by_name(versions: Sequence[Version]) -> dict[str, Version]:
    """Return the newest version of each display name, and the one of each number and alias."""
    by_name: dict[str, Version] = {}
    for version in sorted(versions, key=lambda version: version.number):
        aliases = [alias for alias in version.aliases if alias in ALIASES]
        by_name |= dict.fromkeys((version.name, str(version.number), *aliases), version)
    return by_name
