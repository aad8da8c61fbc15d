"""Read versions, aliases, bundles and tags through MLflow's REST API."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock

from moovier.errors import BundleError, RegistryError, UnknownModel, UnusableModel
from moovier.models import bundle
from moovier.models.bundle import Bundle, Card
from moovier.registry import tags
from moovier.registry.atomic_folder import replaced
from moovier.registry.listing import Listing
from moovier.registry.model_record import ModelRecords
from moovier.registry.rest_client import NotFound, Rest
from moovier.registry.version import ALIASES, NAME, Version, described_by

BUNDLE = "bundle"
KERAS_MODEL = "data/model.keras"
_PAGE = 1000


class RegistryReader:
    """Reads the versions of one registered model. Threads may share it.

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

    def listing(self) -> Listing:
        """Return all versions, also those that cannot be used, and the aliases."""
        model = self._registered_model()
        aliases = _aliases_of(model)
        found = self._search(f"name='{self.model_name}'", aliases)
        return Listing(
            versions=tuple(version for version in found if version.complete),
            unusable=tuple(version for version in found if not version.complete),
            aliases=aliases,
            model_tags=_tags_of(model),
        )

    def resolve(self, text: str) -> Version:
        """Return the version of an alias, a display name (its newest) or a number.

        Raises:
            UnknownModel: no version matches; ``known`` has the display names.
            UnusableModel: the version that matches has no model that could be loaded.
        """
        version: Version | None = None
        if text in ALIASES:
            version = self.alias(text)
            if version is None and (problem := self.listing().problem(text)):
                raise UnusableModel(text, problem, self.names())
        elif (number := tags.number(text)) is not None:
            version = self._any_version(number)
        elif NAME.fullmatch(text):
            versions = self._search(self._filter(name=text), self._aliases())
            complete = [version for version in versions if version.complete]
            version = next(iter([*complete, *versions]), None)
        if version is None:
            raise UnknownModel(text[:200], self.names())
        if version.unusable:
            raise UnusableModel(text, f"{version.title}: {version.unusable}", self.names())
        return version

    def find(self, **tag_values: str) -> list[Version]:
        """Return the complete versions that have all of the tags, newest first.

        Raises:
            ValueError: a value has a quote or a backslash, which MLflow's filter does not support.
        """
        found = self._search(self._filter(**tag_values), self._aliases())
        return [version for version in found if version.complete]

    def alias(self, alias: str) -> Version | None:
        """Return the complete version that has ``alias``, or None.

        :meth:`listing` says whether there is none because the version cannot be used.
        """
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
            raise BundleError(
                f"version {version.number} has no bundle ({error}); choose another model"
            ) from error
        except OSError as error:
            # Not a BundleError: with a full disk, a later attempt may succeed.
            reason = error.strerror or type(error).__name__
            raise RegistryError(
                f"cannot store version {version.number} on the disk: {reason}"
            ) from error

    def download_keras_model(self, version: Version, file: Path) -> Path:
        """Download the version's ``.keras`` file to ``file``.

        Raises:
            BundleError: the version has no Keras model.
        """
        try:
            return self._rest.download(self._artifact_uri(version), KERAS_MODEL, file)
        except NotFound as error:
            raise BundleError(
                f"{version.name} has no Keras model to fine-tune; choose another model"
            ) from error

    def download_file(self, version: Version, name: str, file: Path) -> Path | None:
        """Download an artefact beside the bundle; return None if it does not exist."""
        try:
            return self._rest.download(self._artifact_uri(version), name, file)
        except NotFound:
            return None

    def card(self, version: Version) -> Card | None:
        """Return the card of the version's bundle, None if it has none that can be read."""
        with tempfile.TemporaryDirectory() as folder:
            file = self.download_file(
                version, f"{BUNDLE}/{bundle.CARD}", Path(folder) / bundle.CARD
            )
            return None if file is None else bundle.read_card(file)

    def model_tags(self) -> dict[str, str]:
        """Return the tags of the registered model; empty if the model does not exist yet."""
        return _tags_of(self._registered_model())

    # Inside

    def _aliases(self) -> dict[str, int]:
        return _aliases_of(self._registered_model())

    def _registered_model(self) -> dict[str, Any]:
        """Return MLflow's description of the registered model, empty if it does not exist yet."""
        try:
            answer = self._rest.get("/registered-models/get", name=self.model_name)
        except NotFound:
            return {}
        return dict(answer.get("registered_model", {}))

    def _filter(self, **tag_values: str) -> str:
        for value in tag_values.values():
            if "'" in value or "\\" in value:
                raise ValueError(f"cannot search for {value!r}: it has a quote or a backslash")
        conditions = [f"tags.{key}='{value}'" for key, value in tag_values.items()]
        return " and ".join([f"name='{self.model_name}'", *conditions])

    def _version(self, number: int) -> Version | None:
        version = self._any_version(number)
        return version if version is not None and version.complete else None

    def _any_version(self, number: int) -> Version | None:
        try:
            answer = self._rest.get(
                "/model-versions/get", name=self.model_name, version=str(number)
            )
        except NotFound:
            return None
        (version,) = self._parse([answer.get("model_version", {})])
        return version

    def _search(self, filter_text: str, aliases: Mapping[str, int]) -> list[Version]:
        """Return all versions that match an MLflow filter, newest first."""
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
        return sorted(versions, key=lambda version: version.number, reverse=True)

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


def _aliases_of(model: Mapping[str, Any]) -> dict[str, int]:
    return {entry["alias"]: int(entry["version"]) for entry in model.get("aliases", [])}


def _tags_of(model: Mapping[str, Any]) -> dict[str, str]:
    return {entry["key"]: entry.get("value") or "" for entry in model.get("tags", [])}


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
