"""Read and change versions and aliases through MLflow's REST API.

This module does not import the ``mlflow`` library, which takes seconds and 200 MB, too much for the
service and for commands (docs/decisions/registry-over-rest.md).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock

from moovier.errors import BundleError, RegistryError, UnknownModel
from moovier.experiments.experiment import TAG as EXPERIMENT
from moovier.models import bundle
from moovier.models.bundle import Bundle
from moovier.registry.atomic_folder import replaced
from moovier.registry.model_record import ModelRecords
from moovier.registry.rest_client import NotFound, Rest
from moovier.registry.version import (
    ALIASES,
    CHALLENGER,
    CHAMPION,
    EARLIER,
    GATE,
    OLD_REASONS,
    PREVIOUS,
    REPLACES,
    STARS,
    Version,
    described_by,
)

BUNDLE = "bundle"
KERAS_MODEL = "data/model.keras"
_PAGE = 1000
_LONGEST_TAG = _LONGEST_DESCRIPTION = 5000
_ROLLBACK, _ROLLING_BACK = "rollback", "rolling back"
#: Form of a display name. Other texts are never sent to MLflow.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")


class Registry:
    """The versions of one registered model. Threads may share it.

    Every method raises RegistryUnavailable when MLflow does not answer within ``timeout_s``
    (seconds, for connecting and for each read), and RegistryError when MLflow refuses the request.
    """

    def __init__(
        self, tracking_uri: str, model_name: str = "moovier", *, timeout_s: float = 10.0
    ) -> None:
        self.model_name = model_name
        self._rest = Rest(tracking_uri, timeout_s)
        self._records = ModelRecords(self._rest)

    @property
    def address(self) -> str:
        """MLflow's address, without user and password."""
        return self._rest.address

    def close(self) -> None:
        """Close the connections."""
        self._rest.close()

    def ping(self) -> None:
        """Check that MLflow answers.

        Raises:
            RegistryUnavailable: MLflow does not answer.
        """
        self._rest.ping()

    # Reading

    def names(self) -> list[str]:
        """Return the display names of the complete versions, newest first."""
        return list(dict.fromkeys(version.name for version in self.versions()))

    def versions(self) -> list[Version]:
        """Return the complete versions, newest first."""
        return self.find()

    def resolve(self, text: str) -> Version:
        """Return the version of an alias, a display name (its newest) or a number.

        Raises:
            UnknownModel: no complete version matches; ``known`` has the display names.
        """
        version: Version | None = None
        if text in ALIASES:
            version = self.alias(text)
        elif text.isascii() and text.isdecimal() and len(text) < 10:
            version = self._version(int(text))
        elif _NAME.fullmatch(text):
            versions = self.find(name=text)
            version = versions[0] if versions else None
        if version is None:
            raise UnknownModel(text[:200], self.names())
        return version

    def find(self, **tags: str) -> list[Version]:
        """Return the complete versions that have all of ``tags``, newest first.

        Raises:
            ValueError: a value has a quote or a backslash, which MLflow's filter does not support.
        """
        for value in tags.values():
            if "'" in value or "\\" in value:
                raise ValueError(f"cannot search for {value!r}: it has a quote or a backslash")
        conditions = [f"tags.{key}='{value}'" for key, value in tags.items()]
        return self._search(" and ".join([f"name='{self.model_name}'", *conditions]))

    def alias(self, alias: str) -> Version | None:
        """Return the complete version that has ``alias``, or None."""
        number = self._aliases().get(alias)
        return None if number is None else self._version(number)

    def load_bundle(self, version: Version, folder: Path) -> Bundle:
        """Return the version's bundle, downloaded into ``folder`` unless it is there.

        The download is atomic and the hashes are checked. Use one folder per version. Several
        processes may call this at the same time.

        Raises:
            BundleError: the bundle in the registry is incomplete or altered.
            RegistryError: it cannot be downloaded, or ``folder`` cannot be written.
        """
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Only one process downloads; the others wait and then read its files.
            with FileLock(folder.parent / f".{folder.name}.lock"):
                try:
                    return bundle.load(folder)
                except BundleError:
                    return self._fetch_bundle(version, folder)
        except NotFound as error:
            raise BundleError(f"version {version.number} has no bundle: {error}") from error
        except OSError as error:
            # Not a BundleError: with a full disk, a later attempt may succeed.
            reason = error.strerror or type(error).__name__
            raise RegistryError(f"cannot store version {version.number}: {reason}") from error

    def download_keras_model(self, version: Version, file: Path) -> Path:
        """Download the version's ``.keras`` file to ``file``.

        Raises:
            BundleError: the version has no Keras model.
        """
        try:
            return self._rest.download(self._artifact_uri(version), KERAS_MODEL, file)
        except NotFound as error:
            raise BundleError(f"{version.name} has no Keras model to fine-tune") from error

    def download_file(self, version: Version, name: str, file: Path) -> Path | None:
        """Download an artefact beside the bundle; return None if it does not exist."""
        try:
            return self._rest.download(self._artifact_uri(version), name, file)
        except NotFound:
            return None

    # Moving

    def promote(self, version: Version, reason: str, *, gate: str = "manual") -> Version:
        """Make ``version`` the champion, and the old champion ``previous``.

        ``gate`` becomes a tag, ``reason`` the description. A call that was killed at any point can
        be repeated: the old champion's number is stored on the new one first, the alias
        ``champion`` moves in one step, and for a version that already is champion only the tags
        and the description are completed.
        """
        old = self._aliases().get(CHAMPION)
        if old is not None and old != version.number:
            self.set_tag(version, REPLACES, str(old))
            self._set_alias(PREVIOUS, old)
        self._set_alias(CHAMPION, version.number)
        self.record_decision(version, gate, reason)
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

        Raises:
            RegistryError: there is no champion, or no previous one.
        """
        champion = self.alias(CHAMPION)
        if champion is None:
            raise RegistryError("there is no champion to roll back from")
        if champion.tags.get(GATE) == _ROLLING_BACK:
            # A rollback was killed after the alias had moved: finish it instead of reverting it.
            return self.promote(champion, reason, gate=_ROLLBACK)
        target = self.alias(PREVIOUS)
        if target is not None and target.number == champion.number:
            # A promotion or rollback was killed between its two alias changes: the tag still has
            # the number of the replaced champion.
            target = None if champion.replaces is None else self._version(champion.replaces)
        if target is None:
            raise RegistryError(
                f"{champion.name} (version {champion.number}) is the first champion: there is "
                "nothing to roll back to"
            )
        self.set_tag(target, GATE, _ROLLING_BACK)
        self.record_decision(champion, "rolled back", f"rolled back: {reason}")
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

    def model_tags(self) -> dict[str, str]:
        """Return the tags of the registered model; empty if the model does not exist yet."""
        try:
            answer = self._rest.get("/registered-models/get", name=self.model_name)
        except NotFound:
            return {}
        tags = answer.get("registered_model", {}).get("tags", [])
        return {tag["key"]: tag.get("value", "") for tag in tags}

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

    # Inside

    def _aliases(self) -> dict[str, int]:
        try:
            answer = self._rest.get("/registered-models/get", name=self.model_name)
        except NotFound:
            return {}
        aliases = answer.get("registered_model", {}).get("aliases", [])
        return {entry["alias"]: int(entry["version"]) for entry in aliases}

    def _version(self, number: int) -> Version | None:
        try:
            answer = self._rest.get(
                "/model-versions/get", name=self.model_name, version=str(number)
            )
        except NotFound:
            return None
        (version,) = self._parse([answer.get("model_version", {})])
        return version if version.complete else None

    def _search(self, filter_text: str) -> list[Version]:
        """Return the complete versions that match an MLflow filter, newest first."""
        aliases = self._aliases()
        entries: list[dict[str, Any]] = []
        page_token = ""
        while True:
            answer = self._rest.get(
                "/model-versions/search",
                filter=filter_text,
                max_results=_PAGE,
                page_token=page_token,
            )
            entries += answer.get("model_versions", [])
            page_token = answer.get("next_page_token", "")
            if not page_token:
                break
        versions = self._parse(entries, aliases)
        versions.sort(key=lambda version: version.number, reverse=True)
        return [version for version in versions if version.complete]

    def _parse(
        self, entries: Sequence[dict[str, Any]], aliases: Mapping[str, int] | None = None
    ) -> list[Version]:
        """Return the versions of API objects, described by their logged models.

        ``aliases``: of the registered model; None if the objects have their own.
        """
        model_ids = [described_by(entry) for entry in entries]
        records = self._records.of([model_id for model_id in model_ids if model_id is not None])
        try:
            return [
                Version.of(
                    entry,
                    tuple(sorted(entry.get("aliases", [])))
                    if aliases is None
                    else tuple(sorted(a for a, n in aliases.items() if n == int(entry["version"]))),
                    records.get(model_id or ""),
                )
                for entry, model_id in zip(entries, model_ids, strict=True)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryError(f"MLflow's answer has an unknown form: {error!r}") from error

    def _artifact_uri(self, version: Version) -> str:
        answer = self._rest.get(
            "/model-versions/get-download-uri", name=self.model_name, version=str(version.number)
        )
        return str(answer.get("artifact_uri", ""))

    def _fetch_bundle(self, version: Version, folder: Path) -> Bundle:
        uri = self._artifact_uri(version)
        with replaced(folder) as temporary:
            card = temporary / bundle.CARD
            self._rest.download(uri, f"{BUNDLE}/{bundle.CARD}", card)
            for name in _file_names(card.read_bytes()):
                self._rest.download(uri, f"{BUNDLE}/{name}", temporary / name)
            return bundle.load(temporary)

    def _set_alias(self, alias: str, number: int) -> None:
        body = {"name": self.model_name, "alias": alias, "version": str(number)}
        self._rest.send("POST", "/registered-models/alias", body)

    def _delete_alias(self, alias: str) -> None:
        body = {"name": self.model_name, "alias": alias}
        self._rest.send("DELETE", "/registered-models/alias", body)


def _file_names(card: bytes) -> list[str]:
    """Return the names of the bundle's other files.

    Raises:
        BundleError: the card is invalid, or a name is a path.
    """
    try:
        names = list(orjson.loads(card)["sha256"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BundleError(f"{bundle.CARD} has an unknown form: {error!r}") from error
    for name in names:
        if Path(name).name != name or name in ("", ".", ".."):
            raise BundleError(f"{bundle.CARD} names a file {name!r} outside its folder")
    return names
