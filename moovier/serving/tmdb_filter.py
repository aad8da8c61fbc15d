"""A filter of lists by what only TMDB knows of a movie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moovier.tmdb.providers import provider_ids


@dataclass(frozen=True, slots=True)
class TmdbFilter:
    """A filter by TMDB's facts; a movie of which TMDB's answer is unknown does not pass.

    ``providers``: TMDB's provider ids, any of which shows the movie in ``region`` (ISO 3166-1)
    without an extra payment; empty for all. ``runtime_from`` and ``runtime_to``: minutes,
    inclusive. ``language``: the original language (ISO 639-1).
    """

    providers: tuple[int, ...] = ()
    region: str = "US"
    runtime_from: int | None = None
    runtime_to: int | None = None
    language: str | None = None

    @property
    def needs_details(self) -> bool:
        """Return whether TMDB's details decide, and not the providers alone."""
        return not (self.runtime_from is None and self.runtime_to is None and self.language is None)

    def passes(self, details: dict[str, Any] | None, offers: dict[str, Any] | None) -> bool:
        """Return whether a movie with these details and providers passes."""
        if self.providers:
            region = (offers or {}).get("regions", {}).get(self.region)
            if region is None or not provider_ids(region) & set(self.providers):
                return False
        if not self.needs_details:
            return True
        if details is None:
            return False
        runtime = details.get("runtime")
        if self.runtime_from is not None or self.runtime_to is not None:
            # TMDB has 0 where it does not know the runtime.
            if not isinstance(runtime, int) or runtime < max(self.runtime_from or 1, 1):
                return False
            if self.runtime_to is not None and runtime > self.runtime_to:
                return False
        return self.language is None or details.get("original_language") == self.language
