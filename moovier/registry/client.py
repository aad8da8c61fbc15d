"""Read and change versions and aliases through MLflow's REST API.

This module does not import the ``mlflow`` library, which takes seconds and 200 MB, too much for the
service and for commands (docs/decisions/registry-over-rest.md).
"""

from __future__ import annotations

import contextlib

from moovier.errors import RegistryError
from moovier.experiments.experiment import TAG as EXPERIMENT
from moovier.registry.reader import RegistryReader
from moovier.registry.rest_client import NotFound
from moovier.registry.version import (
    CHALLENGER,
    CHAMPION,
    EARLIER,
    GATE,
    LAST_CHAMPION,
    OLD_REASONS,
    PREVIOUS,
    REPLACES,
    STARS,
    Version,
)

_LONGEST_TAG = _LONGEST_DESCRIPTION = 5000
_ROLLBACK, _ROLLING_BACK = "rollback", "rolling back"


class Registry(RegistryReader):
    """The versions of one registered model, to read and to change. Threads may share it."""

    def promote(self, version: Version, reason: str, *, gate: str = "manual") -> Version:
        """Make ``version`` the champion, and the old champion ``previous``.

        ``gate`` becomes a tag, ``reason`` the description. A call that was killed at any point can
        be repeated: the old champion's number is stored on the new one first, the alias
        ``champion`` moves in one step, and for a version that already is champion only the tags
        and the description are completed. Where the alias names no usable version, the last one
        that was champion is the old champion.
        """
        old = self.alias(CHAMPION) or self.listing().last_champion()
        if old is not None and old.number != version.number:
            self.set_tag(version, REPLACES, str(old.number))
            self._set_alias(PREVIOUS, old.number)
        self._set_alias(CHAMPION, version.number)
        self.record_decision(version, gate, reason)
        self.set_model_tag(LAST_CHAMPION, str(version.number))
        if self._aliases().get(CHALLENGER) == version.number:
            self._delete_alias(CHALLENGER)
        # A champion takes part in no experiment, not even after it was replaced.
        self.delete_tag(version, EXPERIMENT)
        return self._version(version.number) or version

    def set_challenger(self, version: Version) -> bool:
        """Move the alias ``challenger`` to ``version``.

        Returns False without a change while an experiment runs on another version.
        """
        holder = self.alias(CHALLENGER)
        if holder is not None and holder.number != version.number and EXPERIMENT in holder.tags:
            return False
        self._set_alias(CHALLENGER, version.number)
        return True

    def set_rating_model(self, version: Version) -> None:
        """Move the alias ``stars`` to ``version``."""
        self._set_alias(STARS, version.number)

    def rollback(self, reason: str) -> Version:
        """Make the previous champion the champion again.

        This also works if the alias ``champion`` names no usable version.

        Raises:
            RegistryError: there is no champion, or no previous one.
        """
        champion = self.alias(CHAMPION)
        if champion is None:
            return self._replace_unusable_champion(reason)
        if champion.tags.get(GATE) == _ROLLING_BACK:
            # A rollback was killed after the alias had moved: finish it instead of reverting it.
            return self.promote(champion, reason, gate=_ROLLBACK)
        target = self.alias(PREVIOUS)
        if target is not None and target.number == champion.number:
            # A promotion or rollback was killed between its two alias changes: the tag still has
            # the number of the replaced champion.
            target = None if champion.replaces is None else self._version(champion.replaces)
        if target is None:
            raise RegistryError(self._why_no_previous(champion))
        self.set_tag(target, GATE, _ROLLING_BACK)
        self.record_decision(champion, "rolled back", f"rolled back: {reason}")
        return self.promote(target, reason, gate=_ROLLBACK)

    def _why_no_previous(self, champion: Version) -> str:
        problem = self.listing().problem(PREVIOUS)
        if problem is None and champion.replaces is not None:
            problem = f"version {champion.replaces}, the previous champion, was deleted"
        if problem is None:
            return f"{champion.title} is the first champion: there is nothing to roll back to"
        return f"{problem}: promote a model of `moovier models`"

    def _replace_unusable_champion(self, reason: str) -> Version:
        """Make the previous champion the champion while no usable version has the alias."""
        listing = self.listing()
        # The tag marks a rollback that was killed.
        marked = [v for v in listing.versions if v.tags.get(GATE) == _ROLLING_BACK]
        target = next(iter(marked), listing.holder(PREVIOUS))
        if target is None:
            problem = listing.problem(CHAMPION)
            if problem is None:
                raise RegistryError(
                    "there is no champion to roll back from: promote a model of `moovier models`"
                )
            raise RegistryError(
                f"{problem}; no usable version is the previous champion either: promote a model "
                "of `moovier models`"
            )
        self.set_tag(target, GATE, _ROLLING_BACK)
        return self.promote(target, reason, gate=_ROLLBACK)

    def set_tag(self, version: Version, key: str, value: str) -> None:
        """Set one tag of a version; a value longer than 5,000 characters is cut."""
        self._rest.send(
            "POST",
            "/model-versions/set-tag",
            {
                "name": self.model_name,
                "version": str(version.number),
                "key": key,
                "value": value[:_LONGEST_TAG],
            },
        )

    def delete_tag(self, version: Version, key: str) -> None:
        """Delete one tag of a version, if it exists."""
        with contextlib.suppress(NotFound):
            self._rest.send(
                "DELETE",
                "/model-versions/delete-tag",
                {"name": self.model_name, "version": str(version.number), "key": key},
            )

    def set_model_tag(self, key: str, value: str) -> None:
        """Set one tag of the registered model.

        Raises:
            RegistryError: the value has more than 5,000 characters, or the model does not exist.
        """
        if len(value) > _LONGEST_TAG:
            raise RegistryError(
                f"tag {key!r} has {len(value)} characters; MLflow allows {_LONGEST_TAG}"
            )
        self._rest.send(
            "POST",
            "/registered-models/set-tag",
            {"name": self.model_name, "key": key, "value": value},
        )

    def record_decision(self, version: Version, gate: str, reasons: str) -> None:
        """Set the tag ``gate``, and put the reasons in front of the version's description.

        ``reasons``: Markdown. The same decision is recorded once.
        """
        current = self._version(version.number) or version
        earlier = current.description.strip()
        if earlier.split(f"\n{EARLIER}\n")[0].strip() != reasons.strip():
            text = f"{reasons.strip()}\n\n{EARLIER}\n\n{earlier}" if earlier else reasons.strip()
            self._describe(version, text[:_LONGEST_DESCRIPTION])
        if OLD_REASONS in current.tags:
            self.delete_tag(version, OLD_REASONS)
        self.set_tag(version, GATE, gate)

    def _describe(self, version: Version, text: str) -> None:
        self._rest.send(
            "PATCH",
            "/model-versions/update",
            {"name": self.model_name, "version": str(version.number), "description": text},
        )

    def _set_alias(self, alias: str, number: int) -> None:
        body = {"name": self.model_name, "alias": alias, "version": str(number)}
        self._rest.send("POST", "/registered-models/alias", body)

    def _delete_alias(self, alias: str) -> None:
        body = {"name": self.model_name, "alias": alias}
        self._rest.send("DELETE", "/registered-models/alias", body)
