"""The registered model's versions, names and aliases, read and moved over MLflow's REST interface.

Nothing here imports the ``mlflow`` library: that costs seconds and some 200 MB, too much for the
process that answers requests and for a command (docs/decisions/registry-over-rest.md).
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import orjson
from filelock import FileLock

from moovier.errors import BundleError, RegistryError, UnknownModel
from moovier.experiments.experiment import TAG as EXPERIMENT
from moovier.models import bundle
from moovier.registry.atomic_folder import replaced
from moovier.registry.rest_client import NotThere, Rest
from moovier.registry.version import (
    ALIASES,
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    REPLACES,
    STARS,
    Version,
)

BUNDLE = "bundle"
KERAS_MODEL = "data/model.keras"
_PAGE = 1000
_LONGEST_TAG = 5000
_ROLLBACK, _ROLLING_BACK = "rollback", "rolling back"
#: A display name. What does not match cannot be one and is never sent anywhere.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")


class Registry:
    """The versions of one registered model. Safe to share between threads.

    Every method raises RegistryUnavailable when MLflow does not answer within ``timeout_s``
    (seconds, for connecting and for each read), and RegistryError when it refuses.
    """

    def __init__(
        self, tracking_uri: str, model_name: str = "moovier", *, timeout_s: float = 10.0
    ) -> None:
        self.model_name = model_name
        self._rest = Rest(tracking_uri, timeout_s)

    @property
    def address(self) -> str:
        """Where MLflow is, without user and password."""
        return self._rest.address

    def close(self) -> None:
        self._rest.close()

    def ping(self) -> None:
        """
        Raises:
            RegistryUnavailable: MLflow does not answer.
        """
        self._rest.ping()

    # Reading

    def names(self) -> list[str]:
        """Display names of the complete versions, each once, the newest version's first."""
        return list(dict.fromkeys(version.name for version in self.versions()))

    def versions(self) -> list[Version]:
        """The complete versions, newest first."""
        return self.find()

    def resolve(self, text: str) -> Version:
        """The version that an alias, a display name (its newest version) or a number means.

        Raises:
            UnknownModel: there is no such complete version; its ``known`` has the names.
        """
        found: Version | None = None
        if text in ALIASES:
            found = self.alias(text)
        elif text.isascii() and text.isdecimal() and len(text) < 10:
            found = self._version(int(text))
        elif _NAME.fullmatch(text):
            named = self.find(name=text)
            found = named[0] if named else None
        if found is None:
            raise UnknownModel(text[:200], self.names())
        return found

    def find(self, **tags: str) -> list[Version]:
        """The complete versions that carry all of ``tags``, newest first.

        Raises:
            ValueError: a value holds a quote or a backslash, which MLflow's filter cannot carry.
        """
        for value in tags.values():
            if "'" in value or "\\" in value:
                raise ValueError(f"cannot look for {value!r}")
        wanted = [f"name='{self.model_name}'"]
        return self._search(
            " and ".join(wanted + [f"tags.{key}='{value}'" for key, value in tags.items()])
        )

    def alias(self, alias: str) -> Version | None:
        """The complete version that ``alias`` stands at, if any."""
        number = self._aliases().get(alias)
        return None if number is None else self._version(number)

    def download_bundle(self, version: Version, folder: Path) -> Path:
        """Fetch the version's bundle into ``folder``, whole and checked, or not at all.

        A usable bundle that is already there is left as it is, so the folder should be named for
        the version. Several processes may do this at once.

        Raises:
            BundleError: what the registry holds is incomplete or altered.
            RegistryError: it cannot be had, or not be written here.
        """
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # One at a time: whoever waited finds it there, and nobody who was told that it is
            # there sees it being replaced.
            with FileLock(folder.parent / f".{folder.name}.lock"):
                if not _usable(folder):
                    self._fetch_bundle(version, folder)
        except NotThere as error:
            raise BundleError(f"version {version.number} has no bundle: {error}") from error
        except OSError as error:
            # A full disk says nothing about the bundle: the next try may go well.
            reason = error.strerror or type(error).__name__
            raise RegistryError(f"cannot keep version {version.number} here: {reason}") from error
        return folder

    def download_keras_model(self, version: Version, file: Path) -> Path:
        """Fetch the version's ``.keras`` file to ``file``.

        Raises:
            BundleError: the version has none.
        """
        try:
            return self._rest.download(self._artifact_uri(version), KERAS_MODEL, file)
        except NotThere as error:
            raise BundleError(f"{version.name} has no Keras model to train further") from error

    def download_file(self, version: Version, name: str, file: Path) -> Path | None:
        """Fetch one artefact that lies beside the bundle to ``file``; None where there is none."""
        try:
            return self._rest.download(self._artifact_uri(version), name, file)
        except NotThere:
            return None

    # Moving

    def promote(self, version: Version, reason: str, *, gate: str = "manual") -> Version:
        """Make ``version`` the champion and the old champion ``previous``; returns it anew.

        ``gate`` and ``reason`` become tags. Safe to run again after being killed at any point:
        the old champion's number is kept on the new one before anything moves, moving the alias
        ``champion`` is the one step that counts, and a version that already is champion only has
        its tags completed.
        """
        old = self._aliases().get(CHAMPION)
        if old is not None and old != version.number:
            self.set_tag(version, REPLACES, str(old))
            self._set_alias(PREVIOUS, old)
        self._set_alias(CHAMPION, version.number)
        self.set_tag(version, "gate_reasons", reason)
        self.set_tag(version, "gate", gate)
        if self._aliases().get(CHALLENGER) == version.number:
            self._delete_alias(CHALLENGER)
        # A champion challenges nobody, not even after it lost the title.
        self.delete_tag(version, EXPERIMENT)
        return self._version(version.number) or version

    def set_challenger(self, version: Version) -> bool:
        """Let the alias ``challenger`` stand at ``version``; False, and nothing done, while an
        experiment runs on another one."""
        holder = self.alias(CHALLENGER)
        if holder is not None and holder.number != version.number and EXPERIMENT in holder.tags:
            return False
        self._set_alias(CHALLENGER, version.number)
        return True

    def set_rating_model(self, version: Version) -> None:
        """Let the alias ``stars`` stand at ``version``."""
        self._set_alias(STARS, version.number)

    def rollback(self, reason: str) -> Version:
        """Give the title back to the previous champion; the two change places.

        Raises:
            RegistryError: there is no champion, or none before it.
        """
        champion = self.alias(CHAMPION)
        if champion is None:
            raise RegistryError("there is no champion to roll back from")
        if champion.tags.get("gate") == _ROLLING_BACK:
            # A rollback was killed after the alias had moved: finish it, rather than undo it.
            return self.promote(champion, reason, gate=_ROLLBACK)
        target = self.alias(PREVIOUS)
        if target is not None and target.number == champion.number:
            # A promotion or rollback was killed between its two aliases: what it was going to
            # replace is still known from the tag.
            target = None if champion.replaces is None else self._version(champion.replaces)
        if target is None:
            raise RegistryError(
                f"{champion.name} (version {champion.number}) is the first champion: there is "
                "nothing to roll back to"
            )
        self.set_tag(target, "gate", _ROLLING_BACK)
        self.set_tag(champion, "gate_reasons", f"rolled back: {reason}")
        self.set_tag(champion, "gate", "rolled back")
        return self.promote(target, reason, gate=_ROLLBACK)

    def set_tag(self, version: Version, key: str, value: str) -> None:
        """Set one tag of a version; a tag holds up to 5,000 characters."""
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
        """Delete one tag of a version; nothing happens where there is none."""
        with contextlib.suppress(NotThere):
            self._rest.send(
                "DELETE",
                "/model-versions/delete-tag",
                {"name": self.model_name, "version": str(version.number), "key": key},
            )

    def model_tags(self) -> dict[str, str]:
        """Tags of the registered model itself; empty where there is none yet."""
        try:
            answer = self._rest.get("/registered-models/get", name=self.model_name)
        except NotThere:
            return {}
        tags = answer.get("registered_model", {}).get("tags", [])
        return {tag["key"]: tag.get("value", "") for tag in tags}

    def set_model_tag(self, key: str, value: str) -> None:
        """Set one tag of the registered model; a tag holds up to 5,000 characters.

        Raises:
            RegistryError: the value is too long, or there is no such model yet.
        """
        if len(value) > _LONGEST_TAG:
            raise RegistryError(f"a tag holds {_LONGEST_TAG} characters; {key} has {len(value)}")
        self._rest.send(
            "POST",
            "/registered-models/set-tag",
            {"name": self.model_name, "key": key, "value": value},
        )

    def describe(self, version: Version, text: str) -> None:
        """Set the description that MLflow's page shows."""
        self._rest.send(
            "PATCH",
            "/model-versions/update",
            {"name": self.model_name, "version": str(version.number), "description": text},
        )

    # Inside

    def _aliases(self) -> dict[str, int]:
        try:
            answer = self._rest.get("/registered-models/get", name=self.model_name)
        except NotThere:
            return {}
        aliases = answer.get("registered_model", {}).get("aliases", [])
        return {entry["alias"]: int(entry["version"]) for entry in aliases}

    def _version(self, number: int) -> Version | None:
        try:
            answer = self._rest.get(
                "/model-versions/get", name=self.model_name, version=str(number)
            )["model_version"]
            version = Version.of(answer, tuple(sorted(answer.get("aliases", []))))
        except NotThere:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryError(f"MLflow's answer has an unknown form: {error!r}") from error
        return version if version.complete else None

    def _search(self, wanted: str) -> list[Version]:
        """Complete versions that match a filter, newest first."""
        aliases: dict[int, list[str]] = {}
        for alias, number in self._aliases().items():
            aliases.setdefault(number, []).append(alias)
        found: list[Version] = []
        page_token = ""
        while True:
            answer = self._rest.get(
                "/model-versions/search", filter=wanted, max_results=_PAGE, page_token=page_token
            )
            try:
                for entry in answer.get("model_versions", []):
                    own = tuple(sorted(aliases.get(int(entry["version"]), [])))
                    found.append(Version.of(entry, own))
            except (KeyError, TypeError, ValueError) as error:
                raise RegistryError(f"MLflow's answer has an unknown form: {error!r}") from error
            page_token = answer.get("next_page_token", "")
            if not page_token:
                break
        found.sort(key=lambda version: version.number, reverse=True)
        return [version for version in found if version.complete]

    def _artifact_uri(self, version: Version) -> str:
        answer = self._rest.get(
            "/model-versions/get-download-uri", name=self.model_name, version=str(version.number)
        )
        return str(answer.get("artifact_uri", ""))

    def _fetch_bundle(self, version: Version, folder: Path) -> None:
        uri = self._artifact_uri(version)
        with replaced(folder) as temporary:
            card = temporary / bundle.CARD
            self._rest.download(uri, f"{BUNDLE}/{bundle.CARD}", card)
            for name in _listed(card.read_bytes()):
                self._rest.download(uri, f"{BUNDLE}/{name}", temporary / name)
            bundle.load(temporary)

    def _set_alias(self, alias: str, number: int) -> None:
        body = {"name": self.model_name, "alias": alias, "version": str(number)}
        self._rest.send("POST", "/registered-models/alias", body)

    def _delete_alias(self, alias: str) -> None:
        body = {"name": self.model_name, "alias": alias}
        self._rest.send("DELETE", "/registered-models/alias", body)


def _usable(folder: Path) -> bool:
    try:
        bundle.load(folder)
    except BundleError:
        return False
    return True


def _listed(card: bytes) -> list[str]:
    """Names of the bundle's other files; each must be a plain file name."""
    try:
        names = list(orjson.loads(card)["sha256"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BundleError(f"{bundle.CARD} has an unknown form: {error!r}") from error
    for name in names:
        if Path(name).name != name or name in ("", ".", ".."):
            raise BundleError(f"{bundle.CARD} names a file {name!r} outside its folder")
    return names
