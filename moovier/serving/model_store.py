"""The models that a service holds: the champion, always, and a few others as they are asked for.

Everything here may block on MLflow or the disk, so the service calls it from a worker thread;
:meth:`ModelStore.loaded` alone never waits. What is loaded goes on answering whatever happens to
MLflow: the champion is also kept on disk, so that a restart without MLflow serves it again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from moovier.errors import (
    BadRequest,
    BundleError,
    MoovierError,
    RegistryError,
    RegistryUnavailable,
    UnknownModel,
)
from moovier.experiments.experiment import TAG, Experiment
from moovier.feedback.served_lists import CHAMPION_ARM, OTHER_ARM
from moovier.registry.client import Registry
from moovier.registry.version import CHALLENGER, CHAMPION, STARS, Version
from moovier.serving.bundle_loader import (
    BundleLoader,
    LoadedModel,
    RejectedModel,
    is_rejected,
    key_of,
    load,
)
from moovier.serving.experiment_routing import ActiveExperiment, Assignment

logger = logging.getLogger(__name__)

#: Seconds for which an unknown name is cached, so that wrong names cost MLflow little. A model
#: that is registered meanwhile is found after that, or by :meth:`ModelStore.refresh`.
UNKNOWN_FOR_S = 2.0
#: Wrong names remembered at most.
_MOST_UNKNOWN = 1000


class ModelStore:
    """Loaded models by name, alias or version number. Safe to share between threads."""

    def __init__(self, registry: Registry, folder: Path, *, capacity: int) -> None:
        """``folder``: where bundles are kept; ``capacity``: models beside the champion."""
        self._registry = registry
        self._folder = folder
        self._bundles = BundleLoader(registry, folder)
        self._capacity = capacity
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._loading = threading.Lock()
        self._others: OrderedDict[str, LoadedModel] = OrderedDict()
        # What each name, number and alias means, as of the last look that went well.
        self._known: dict[str, Version] = {}
        self._unknown: dict[str, float] = {}
        self._names: list[str] | None = None
        self._stand_in: LoadedModel | None = None
        self.champion: LoadedModel | None = None
        #: Predicts the stars beside a movie; None where no rating model has that alias.
        self.stars: LoadedModel | None = None
        #: The experiment in force; None while there is none.
        self.trial: ActiveExperiment | None = None
        #: The challenger whose experiment cannot be in force; None when it is or there is none.
        self.trial_refused: RejectedModel | None = None
        #: The one that the alias names and that cannot be used; not fetched again until it moves.
        self.stars_refused: RejectedModel | None = None
        #: The champion that cannot be used; None when the one that the registry names is served. It
        #: is not fetched again until the alias moves.
        self.refused: RejectedModel | None = None
        #: Tags of the registered model itself, as of the last look that went well.
        self.model_tags: Mapping[str, str] = {}
        #: Why the last look at the registry failed; None when it went well.
        self.trouble: str | None = None
        #: Whether that was since MLflow did not answer.
        self.away = False

    @property
    def registry_address(self) -> str:
        """Where MLflow is, without user and password."""
        return self._registry.address

    def restore(self) -> None:
        """Load the champion that was served last from the disk, if it is there and whole."""
        try:
            kept = orjson.loads(self._kept_file.read_bytes())
            self._names = [str(name) for name in kept["names"]]
            self.champion = load(self._folder / kept["folder"], kept["number"], kept["name"])
            if stars := kept.get("stars"):
                self.stars = load(self._folder / stars["folder"], stars["number"], stars["name"])
            if trial := kept.get("trial"):
                told = trial["challenger"]
                challenger = load(self._folder / told["folder"], told["number"], told["name"])
                self.trial = ActiveExperiment.of(
                    Experiment.parse(trial["plan"]), self.champion, challenger
                )
        except FileNotFoundError:
            return
        except (OSError, KeyError, TypeError, ValueError, MoovierError) as error:
            logger.warning("the champion kept on disk cannot be used: %s", error)

    def refresh(self) -> None:
        """Look at the registry once: take over a new champion, remember the names there are.

        A champion that cannot be loaded or does not score is refused and the old one kept.
        """
        # One at a time, so that a look that started later is never overwritten by an older one.
        with self._refreshing:
            try:
                versions = self._registry.versions()
                with self._lock:
                    self._names = list(dict.fromkeys(version.name for version in versions))
                    self._known = _meanings(versions)
                    self._unknown.clear()
                self.model_tags = self._registry.model_tags()
                self._follow_stars(self._known.get(STARS))
                self._take_over(self._known.get(CHAMPION), versions)
                self._follow_trial(self._known.get(CHALLENGER))
                self.trouble, self.away = None, False
            except (MoovierError, OSError) as error:
                self.away = isinstance(error, RegistryUnavailable)
                if self.trouble is None:
                    logger.warning("keeping what is loaded: %s", error)
                self.trouble = str(error)

    def names(self) -> list[str]:
        """The names that the registry had at the last look that went well, newest first.

        Raises:
            RegistryUnavailable: there never was one.
        """
        if self._names is None:
            self.refresh()
        if self._names is None:
            raise RegistryUnavailable(self.trouble or "MLflow was not asked yet")
        return list(self._names)

    def versions(self) -> list[Version]:
        """The versions that the registry had at the last look that went well, newest first; none
        where there never was one. Never waits for MLflow."""
        with self._lock:
            known = {version.number: version for version in self._known.values()}
        return [known[number] for number in sorted(known, reverse=True)]

    def loaded(self, name: str | None) -> LoadedModel | None:
        """The model called ``name``, None for the default one, if it is in memory; never waits."""
        champion = self.champion
        if name is None:
            return champion or self._stand_in
        if champion is not None and name == CHAMPION:
            return champion
        with self._lock:
            version = self._known.get(name)
        return None if version is None else self._in_memory(version)

    def assignment(self, name: str | None, users: Sequence[int] = ()) -> Assignment | None:
        """As :meth:`loaded`; without a name the model whose turn it is with these people (user
        ids). The challenger answers where all of them are its own, else the champion does."""
        champion = self.champion
        if name is not None or champion is None:
            model = self.loaded(name)
            return None if model is None else Assignment(model, OTHER_ARM, None)
        trial = self.trial
        if trial is None or trial.champion is not champion:
            return Assignment(champion, CHAMPION_ARM, None)
        return trial.assignment(users)

    def default(self) -> LoadedModel:
        """The champion; before there is one, what is popular, if any model was registered.

        Raises:
            RegistryError: there is neither, or MLflow does not say.
        """
        if self.loaded(None) is None:
            self.refresh()
        found = self.loaded(None)
        if found is None:
            raise RegistryError(
                self.trouble
                or (self.refused and f"the champion {self.refused.name} cannot be used")
                or "no model has been trained yet; the first retraining makes one"
            )
        return found

    def get(self, name: str) -> LoadedModel:
        """The model called ``name``, loaded if need be.

        Raises:
            UnknownModel: there is none.
            RegistryError, BundleError: it is not in memory and cannot be had now.
        """
        found = self.loaded(name)
        if found is not None:
            return found
        try:
            version = self.version(name)
        except UnknownModel:
            raise
        except RegistryError:
            # Started while MLflow is away, it knows the champion from its disk alone.
            champion = self.champion
            if champion is None or name not in (champion.name, str(champion.number)):
                raise
            return champion
        with self._loading:  # two requests for one model download it once
            model = self._in_memory(version) or self._bundles.fetch_unless_broken(version)
            with self._lock:
                if all(model.key != held.key for held in self._always()):
                    self._others[model.key] = model
                    while len(self._others) > self._capacity:
                        self._others.popitem(last=False)
        return model

    def count(self) -> int:
        """Models in memory."""
        with self._lock:
            return len({one.key for one in self._always()} | set(self._others))

    def _always(self) -> list[LoadedModel]:
        """What is held whatever is asked for."""
        trial = self.trial
        held = (self.champion, self.stars, None if trial is None else trial.challenger)
        return [one for one in held if one is not None]

    @property
    def _kept_file(self) -> Path:
        return self._folder / "champion.json"

    def version(self, name: str) -> Version:
        """What ``name`` meant at the last look, else what the registry says now; not loaded for it.

        Raises:
            UnknownModel: there is none.
            RegistryError: MLflow does not say.
        """
        with self._lock:
            known = self._known.get(name)
        if known is not None:
            return known
        if time.monotonic() - self._unknown.get(name, -UNKNOWN_FOR_S) < UNKNOWN_FOR_S:
            raise UnknownModel(name[:200], self._names or ())
        try:
            version = self._registry.resolve(name)
        except UnknownModel:
            self._remember_unknown(name)
            raise
        with self._lock:
            self._known[name] = version
        return version

    def _take_over(self, champion: Version | None, versions: Sequence[Version]) -> None:
        """Load the champion, or the newest of ``versions`` as a stand-in, if it is new."""
        if champion is not None:
            if self.champion is None or self.champion.key != key_of(champion):
                found = self._in_memory(champion)
                if found is None and is_rejected(self.refused, champion):
                    return
                try:
                    self.champion = found or self._bundles.fetch(champion)
                except BundleError as error:
                    self.refused = RejectedModel.by(champion, error)
                    served = "none" if self.champion is None else self.champion.name
                    logger.error("refused champion %s; served goes on: %s", self.refused, served)
                    return
                logger.info("champion is now %s (version %d)", champion.name, champion.number)
            self.refused = None
            self._stand_in = None
            self._keep(champion)
        elif versions and self.champion is None and self._stand_in is None:
            self._stand_in = self._popular_of(versions)

    def _popular_of(self, versions: Sequence[Version]) -> LoadedModel | None:
        """What is popular by the newest version that can be used; None where none can."""
        for version in versions:
            try:
                newest = self._bundles.fetch_unless_broken(version)
            except BundleError as error:
                logger.warning("no stand-in for a champion: %s", error)
                continue
            return newest.popular()
        return None

    def _follow_stars(self, version: Version | None) -> None:
        """Load the model that predicts stars, if it is new. Without it lists have no stars, so a
        broken one must not keep a new champion out."""
        if version is None:
            self.stars = self.stars_refused = None
        elif self.stars is not None and self.stars.key == key_of(version):
            self.stars_refused = None
        elif not is_rejected(self.stars_refused, version):
            try:
                self.stars = self._in_memory(version) or self._bundles.fetch(version)
                self.stars_refused = None
            except BundleError as error:
                self.stars_refused = RejectedModel.by(version, error)
                logger.warning("stars stay as they are: %s", error)
            except RegistryError as error:
                logger.warning("stars stay as they are: %s", error)

    def _follow_trial(self, challenger: Version | None) -> None:
        """Put the experiment that the challenger carries in force, or end the one that is.

        One that cannot be read, or whose challenger is broken, is refused: the champion answers
        everybody.
        """
        champion = self.champion
        text = None if challenger is None else challenger.tags.get(TAG)
        if champion is None or challenger is None or not text or key_of(challenger) == champion.key:
            self._set_trial(None, None)
            return
        try:
            plan = Experiment.parse(text)
            loaded = self._in_memory(challenger) or self._bundles.fetch_unless_broken(challenger)
        except (BadRequest, BundleError) as error:
            self._set_trial(None, RejectedModel.by(challenger, error))
        except RegistryError:
            # It may be had at the next look; whoever answered before it does so no longer.
            self._set_trial(None, None)
            raise
        else:
            self._set_trial(ActiveExperiment.of(plan, champion, loaded), None)

    def _set_trial(self, trial: ActiveExperiment | None, refused: RejectedModel | None) -> None:
        before, self.trial = self.trial, trial
        if refused is not None and refused != self.trial_refused:
            logger.error("refused the experiment on %s; the champion answers everybody", refused)
        self.trial_refused = refused
        if trial is not None and (before is None or before.key != trial.key):
            logger.info(
                "experiment %s: %s with %s (version %d), share %g",
                trial.plan.id,
                trial.plan.mode,
                trial.challenger.name,
                trial.challenger.number,
                trial.plan.share,
            )
        elif trial is None and before is not None:
            logger.info("experiment %s is over", before.plan.id)
        champion = self._known.get(CHAMPION)
        if champion is not None and self.refused is None:
            self._keep(champion)

    def _in_memory(self, version: Version) -> LoadedModel | None:
        for held in self._always():
            if held.key == key_of(version):
                return held
        with self._lock:
            found = self._others.get(key_of(version))
            if found is not None:
                self._others.move_to_end(found.key)
            return found

    def _remember_unknown(self, name: str) -> None:
        with self._lock:
            if len(self._unknown) >= _MOST_UNKNOWN:
                self._unknown.clear()
            self._unknown[name] = time.monotonic()

    def _keep(self, champion: Version) -> None:
        """Write down what to serve after a restart, whole or not at all."""
        said = {
            "number": champion.number,
            "name": champion.name,
            "folder": key_of(champion),
            "names": self._names,
            "stars": None if self.stars is None else self.stars.told(),
            "trial": None if self.trial is None else self.trial.told(),
        }
        content = orjson.dumps(said)
        if self._kept_file.exists() and self._kept_file.read_bytes() == content:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        # Another worker may be writing the same at this moment.
        temporary = self._kept_file.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(content)
        temporary.replace(self._kept_file)


def _meanings(versions: Sequence[Version]) -> dict[str, Version]:
    """Every alias, number and display name, which means its newest version."""
    meanings: dict[str, Version] = {}
    for version in sorted(versions, key=lambda version: version.number):
        meanings |= dict.fromkeys((version.name, str(version.number), *version.aliases), version)
    return meanings
