"""The models that a service holds in memory: always the champion, and a few others on request.

Methods may wait for MLflow or the disk, so the service calls them from a worker thread; only
:meth:`ModelStore.loaded` and :meth:`ModelStore.assignment` never wait. Loaded models answer without
MLflow. The champion is also kept on disk, so a restart without MLflow serves it again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from cachetools import LRUCache

from moovier.errors import (
    BadRequest,
    BundleError,
    MoovierError,
    RegistryError,
    RegistryUnavailable,
    UnknownModel,
    UnusableModel,
)
from moovier.experiments.experiment import TAG, Experiment
from moovier.feedback.served_lists import CHAMPION_ARM, OTHER_ARM
from moovier.registry.client import Registry
from moovier.registry.listing import Listing
from moovier.registry.version import CHALLENGER, CHAMPION, STARS, Version
from moovier.serving import champion_file
from moovier.serving.alias_follower import AliasFollower
from moovier.serving.bundle_loader import BundleLoader, LoadedModel, RejectedModel, key_of
from moovier.serving.experiment_routing import ActiveExperiment, Assignment, log_change
from moovier.serving.known_versions import KnownVersions
from moovier.serving.new_movies import NewMovies

logger = logging.getLogger(__name__)


class ModelStore:
    """Loaded models by name, alias or version number. Safe to share between threads."""

    def __init__(self, registry: Registry, folder: Path, *, capacity: int) -> None:
        """Hold models of ``registry``, whose bundles are kept in ``folder``.

        ``capacity``: number of models beside champion, rating model and challenger.
        """
        self._registry = registry
        self._folder = folder
        self._loader = BundleLoader(registry, folder)
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._loading = threading.Lock()
        self._extending = threading.Lock()
        self._others: LRUCache[str, LoadedModel] = LRUCache(capacity)
        #: The versions at the last successful refresh.
        self.known = KnownVersions()
        self._names: list[str] | None = None
        self._stand_in: LoadedModel | None = None
        self._champion = AliasFollower(self._loader, self._find_in_memory)
        self._stars = AliasFollower(self._loader, self._find_in_memory)
        self._challenger = AliasFollower(self._loader, self._find_in_memory)
        #: The running experiment, if any.
        self.experiment: ActiveExperiment | None = None
        #: The challenger whose experiment cannot run; None if it runs or there is none.
        self.experiment_rejected: RejectedModel | None = None
        #: Tags of the registered model at the last refresh.
        self.model_tags: Mapping[str, str] = {}
        #: Why the served models could not be saved on the disk; None if they are.
        self.save_error: str | None = None
        #: Why the last refresh failed; None if it succeeded.
        self.registry_error: str | None = None
        #: Whether the last refresh failed because MLflow did not answer.
        self.registry_unavailable = False

    @property
    def champion(self) -> LoadedModel | None:
        """Return the champion; None before the first one."""
        return self._champion.model

    @property
    def champion_rejected(self) -> RejectedModel | None:
        """Return the registry's champion if it cannot be used; None if it answers."""
        return self._champion.rejected

    @property
    def stars(self) -> LoadedModel | None:
        """Return the rating model, which predicts stars; None without one."""
        return self._stars.model

    @property
    def stars_rejected(self) -> RejectedModel | None:
        """Return the registry's rating model if it cannot be used."""
        return self._stars.rejected

    @property
    def registry_address(self) -> str:
        """Return MLflow's address without user and password."""
        return self._registry.address

    def restore(self) -> None:
        """Load the models that were served last from the disk, if they are intact."""
        saved = champion_file.restore(self._folder)
        self._names, self.experiment = saved.names, saved.experiment
        self._champion.model, self._stars.model = saved.champion, saved.stars
        self._extend_loaded()

    def set_new_movies(self, new_movies: NewMovies) -> None:
        """Add these movies, and no others, to every model in memory and to those loaded later."""
        self._loader.extend = new_movies.added_to
        self._extend_loaded()

    def _extend_loaded(self) -> None:
        """Add the new movies to the models in memory that lack them.

        A refresh may replace a model meanwhile, and extends its own afterwards.
        """
        extend = self._loader.extend
        with self._extending:
            for follower in (self._champion, self._stars, self._challenger):
                follower.extend(extend)
            self._stand_in = self._stand_in and extend(self._stand_in)
            self._loader.extend_cached(self._others, self._lock)
            if (experiment := self.experiment) is not None:
                changed = experiment.extended(extend, self.champion, self._challenger.model)
                self.experiment = changed if self.experiment is experiment else self.experiment

    def refresh(self) -> None:
        """Read the registry once: load a new champion, and remember all names.

        A champion that cannot be loaded or cannot score is rejected, and the old one stays.
        """
        # One refresh at a time, so that an older answer never overwrites a newer one.
        with self._refreshing:
            try:
                listing = self._registry.listing()
                self._names = list(dict.fromkeys(version.name for version in listing.versions))
                self.known.update(listing)
                self.model_tags = listing.model_tags
                self._follow_stars(listing)
                self._follow_champion(listing)
                self._follow_challenger(listing)
                self._extend_loaded()
                self.registry_error, self.registry_unavailable = None, False
            except (MoovierError, OSError) as error:
                self.registry_unavailable = isinstance(error, RegistryUnavailable)
                if self.registry_error is None:
                    logger.warning("the loaded models are unchanged: %s", error)
                self.registry_error = str(error)

    def names(self) -> list[str]:
        """Return the names of all models at the last successful refresh, newest first.

        Raises:
            RegistryUnavailable: no refresh has succeeded yet.
        """
        if self._names is None:
            self.refresh()
        if self._names is None:
            raise RegistryUnavailable(self.registry_error or "MLflow has not answered yet")
        return list(self._names)

    def versions(self) -> list[Version]:
        """Return the versions at the last successful refresh, newest first; never waits."""
        return self.known.versions()

    @property
    def listing(self) -> Listing:
        """Return the last successful read of the registry; never waits."""
        return self.known.listing

    def loaded(self, name: str | None) -> LoadedModel | None:
        """Return the model called ``name`` if it is in memory; None means the default model."""
        champion = self._champion.model
        if name is None:
            return champion or self._stand_in
        if champion is not None and name == CHAMPION:
            return champion
        version = self.known.get(name)
        return None if version is None else self._find_in_memory(version)

    def assignment(self, name: str | None, users: Sequence[int] = ()) -> Assignment | None:
        """Return the model that answers a request, or None if it is not in memory.

        Without ``name`` the experiment decides by ``users`` (MovieLens ids): the challenger answers
        if all of them belong to its arm, else the champion.
        """
        champion = self._champion.model
        if name is not None or champion is None:
            model = self.loaded(name)
            return None if model is None else Assignment(model, OTHER_ARM, None)
        experiment = self.experiment
        if experiment is None or experiment.champion is not champion:
            return Assignment(champion, CHAMPION_ARM, None)
        return experiment.assignment(users)

    def default(self) -> LoadedModel:
        """Return the champion; before the first one, a model that ranks by popularity.

        Raises:
            RegistryError: there is no model, or MLflow does not answer.
        """
        if self.loaded(None) is None:
            self.refresh()
        model = self.loaded(None)
        if model is None:
            rejected = self.champion_rejected
            raise RegistryError(
                self.registry_error
                or (rejected and f"the champion {rejected.name} cannot be used")
                or "no model has been trained yet; the first retraining makes one"
            )
        return model

    def get(self, name: str) -> LoadedModel:
        """Return the model called ``name``; load it if it is not in memory.

        Raises:
            UnknownModel: no model has this name.
            RegistryError: the registry cannot deliver the model now.
            BundleError: the bundle cannot be used.
        """
        model = self.loaded(name)
        if model is not None:
            return model
        try:
            version = self.version(name)
        except UnknownModel:
            raise
        except RegistryError:
            # After a start without MLflow only the champion of the disk is known.
            champion = self.champion
            if champion is None or name not in (champion.name, str(champion.number)):
                raise
            return champion
        with self._loading:  # two requests for one model download it once
            model = self._find_in_memory(version) or self._loader.fetch_unless_broken(version)
            with self._lock:
                if all(model.key != held.key for held in self._followed()):
                    self._others[model.key] = model
        return model

    def count(self) -> int:
        """Return the number of models in memory."""
        with self._lock:
            return len({model.key for model in self._followed()} | set(self._others))

    def version(self, name: str) -> Version:
        """Return the version that ``name`` means, without loading it.

        The last successful refresh decides; MLflow is asked for names that it does not know.

        Raises:
            UnknownModel: no model has this name.
            RegistryError: MLflow does not answer.
        """
        version = self.known.get(name)
        if version is not None:
            return version
        if (reason := self.known.why_unusable(name)) is not None:
            raise UnusableModel(name, reason, self._names or ())
        if self.known.is_unknown(name):
            raise UnknownModel(name[:200], self._names or ())
        try:
            version = self._registry.resolve(name)
        except UnusableModel:
            raise
        except UnknownModel:
            self.known.add_unknown(name)
            raise
        self.known.add(name, version)
        return version

    def close(self) -> None:
        """Close the connections to the registry."""
        self._registry.close()

    def _followed(self) -> list[LoadedModel]:
        """Return the models that always stay in memory."""
        experiment = self.experiment
        challenger = None if experiment is None else experiment.challenger
        models = (self._champion.model, self._stars.model, challenger)
        return [model for model in models if model is not None]

    def _find_in_memory(self, version: Version) -> LoadedModel | None:
        key = key_of(version)
        for model in self._followed():
            if model.key == key:
                return model
        with self._lock:
            return self._others.get(key)

    def _follow_champion(self, listing: Listing) -> None:
        """Load the champion if it is new; without one, keep the last one or a stand-in."""
        version, unusable = listing.holder(CHAMPION), listing.unusable_holder(CHAMPION)
        if version is None:
            last = listing.last_champion()
            if self.champion is None and last is not None:
                with contextlib.suppress(BundleError):
                    self._champion.model = self._loader.fetch_unless_broken(last)
            if listing.versions and self.champion is None and self._stand_in is None:
                self._stand_in = self._loader.fetch_stand_in(listing.versions)
            self._champion.reject(unusable)
            return
        before, rejected_before = self._champion.model, self._champion.rejected
        if not self._champion.follow(version):
            if self._champion.rejected is not rejected_before:
                answering = "no model" if before is None else before.name
                logger.error(
                    "rejected champion %s; %s keeps answering", self._champion.rejected, answering
                )
            return
        if self._champion.model is not before:
            logger.info("the champion is now %s (version %d)", version.name, version.number)
        self._stand_in = None
        self._save()

    def _follow_stars(self, listing: Listing) -> None:
        """Load the rating model if it is new.

        Lists work without stars, so a broken rating model must not keep a new champion out.
        """
        version, unusable = listing.holder(STARS), listing.unusable_holder(STARS)
        if unusable is not None:
            self._stars.reject(unusable)
            return
        if version is None:
            self._stars.clear()
            return
        rejected_before = self._stars.rejected
        try:
            self._stars.follow(version)
        except RegistryError as error:
            logger.warning("the rating model is unchanged: %s", error)
            return
        rejected = self._stars.rejected
        if rejected is not None and rejected is not rejected_before:
            logger.warning("rejected rating model %s; the last one stays", rejected)

    def _follow_challenger(self, listing: Listing) -> None:
        """Start the experiment that the challenger's tag describes, or end the running one.

        If the tag cannot be parsed or the challenger is broken, the champion answers everybody.
        """
        champion, version = self.champion, listing.holder(CHALLENGER)
        if (unusable := listing.unusable_holder(CHALLENGER)) is not None:
            self._challenger.clear()
            self._set_experiment(None, RejectedModel.unusable(unusable))
            return
        tag = None if version is None else version.tags.get(TAG)
        if champion is None or version is None or not tag or key_of(version) == champion.key:
            self._challenger.clear()
            self._set_experiment(None, None)
            return
        try:
            plan = Experiment.parse(tag)
            self._challenger.follow(version)
        except BadRequest as error:
            self._set_experiment(None, RejectedModel.of(version, error))
        except RegistryError:
            # The next refresh may succeed; until then the champion answers everybody.
            self._set_experiment(None, None)
            raise
        else:
            rejected, challenger = self._challenger.rejected, self._challenger.model
            if rejected is not None or challenger is None:
                self._set_experiment(None, rejected)
            else:
                self._set_experiment(ActiveExperiment.of(plan, champion, challenger), None)

    def _set_experiment(
        self, experiment: ActiveExperiment | None, rejected: RejectedModel | None
    ) -> None:
        before, self.experiment = self.experiment, experiment
        if experiment is None:
            self._challenger.model = None
        if rejected is not None and rejected != self.experiment_rejected:
            logger.error("rejected the experiment on %s; the champion answers everybody", rejected)
        self.experiment_rejected = rejected
        log_change(before, experiment)
        if self.listing.holder(CHAMPION) is not None and self.champion_rejected is None:
            self._save()

    def _save(self) -> None:
        """Write which models to serve after a restart."""
        if self._champion.model is None:
            return
        try:
            champion_file.write(
                self._folder, self._names, self._champion.model, self._stars.model, self.experiment
            )
        except OSError as error:
            # The models in memory answer; only a restart without MLflow would miss them.
            logger.warning("the served models cannot be saved: %s", error)
            self.save_error = error.strerror or type(error).__name__
        else:
            self.save_error = None
