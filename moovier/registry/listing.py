"""All versions of the registered model at one moment, with those that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from moovier.registry import tags
from moovier.registry.version import CHAMPION, LAST_CHAMPION, PREVIOUS, Version

#: Values of the tag ``gate`` of a version that became champion and was not rolled back.
_PROMOTED = ("promoted", "manual", "rollback", "rolling back", "experiment")


@dataclass(frozen=True)
class Listing:
    """The versions, newest first, and the version number of each alias.

    ``unusable``: versions without a model that could be loaded, as when somebody registered them
    by hand. An alias can name one of them, or a version that was deleted.
    """

    versions: tuple[Version, ...]
    unusable: tuple[Version, ...]
    aliases: Mapping[str, int]
    model_tags: Mapping[str, str] = field(default_factory=dict)

    def holder(self, alias: str) -> Version | None:
        """Return the usable version that has ``alias``, or None."""
        return self._numbered(self.versions, self.aliases.get(alias))

    def unusable_holder(self, alias: str) -> Version | None:
        """Return the version that has ``alias`` and cannot be used, or None."""
        return self._numbered(self.unusable, self.aliases.get(alias))

    def problem(self, alias: str) -> str | None:
        """Return why no usable version has ``alias``; None without a problem."""
        number, unusable = self.aliases.get(alias), self.unusable_holder(alias)
        if unusable is not None:
            return (
                f"the alias {alias!r} names {unusable.title}, which cannot be used: "
                f"{unusable.unusable}"
            )
        if number is not None and self.holder(alias) is None:
            return f"the alias {alias!r} names version {number}, which does not exist"
        if number is not None or alias != CHAMPION or not self.had_champion:
            return None
        last = self.last_champion()
        title = f"version {self._last_number}" if last is None else last.title
        return (
            f"no version has the alias {alias!r}, although {title} was champion before: the alias "
            "or its version was deleted"
        )

    @property
    def had_champion(self) -> bool:
        """Whether any version ever was champion, also if it was deleted."""
        return self._last_number is not None or self.last_champion() is not None

    def last_champion(self) -> Version | None:
        """Return the champion, or the version that was it before the alias became unusable.

        None if no usable version ever was champion.
        """
        champion, previous = self.holder(CHAMPION), self.holder(PREVIOUS)
        if champion is not None:
            return champion
        last = self._numbered(self.versions, self._last_number)
        if last is not None:
            return last
        # The tag is missing in registries of earlier releases.
        promoted = [version for version in self.versions if version.tags.get("gate") in _PROMOTED]
        after_previous = [
            version
            for version in promoted
            if previous is not None and version.replaces == previous.number
        ]
        return next(iter((*after_previous, *promoted)), previous)

    @property
    def _last_number(self) -> int | None:
        return tags.number(self.model_tags.get(LAST_CHAMPION, ""))

    @staticmethod
    def _numbered(versions: tuple[Version, ...], number: int | None) -> Version | None:
        return next((version for version in versions if version.number == number), None)
