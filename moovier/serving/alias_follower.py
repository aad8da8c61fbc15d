"""The model that a registry alias names, kept in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable

from moovier.errors import BundleError
from moovier.registry.version import Version
from moovier.serving.bundle_loader import BundleLoader, LoadedModel, RejectedModel, key_of

logger = logging.getLogger(__name__)


class AliasFollower:
    """Loads the version that an alias names, and keeps the last one that could be used.

    One thread at a time may call :meth:`follow` and :meth:`clear`; any thread may read ``model``
    and ``rejected``.
    """

    def __init__(
        self, loader: BundleLoader, find_in_memory: Callable[[Version], LoadedModel | None]
    ) -> None:
        """Follow one alias; ``find_in_memory`` returns a version that is already loaded."""
        self._loader = loader
        self._find_in_memory = find_in_memory
        #: The newest usable version that had the alias; None before the first.
        self.model: LoadedModel | None = None
        #: The version that has the alias and cannot be used; None while ``model`` is up to date.
        self.rejected: RejectedModel | None = None

    def follow(self, version: Version) -> bool:
        """Load ``version`` if it is new; return whether ``model`` is this version now.

        A version that cannot be used is downloaded once, and again only after the alias moved to
        another version.

        Raises:
            RegistryError: the registry cannot deliver the version now; nothing changes.
        """
        model = self.model
        if model is None or model.key != key_of(version):
            model = self._find_in_memory(version)
            if model is None and self.rejected is not None and self.rejected.key == key_of(version):
                return False
            try:
                model = model or self._loader.fetch(version)
            except BundleError as error:
                self.rejected = RejectedModel.of(version, error)
                return False
        self.model, self.rejected = model, None
        return True

    def reject(self, version: Version | None) -> None:
        """Keep the model, because ``version`` has the alias and cannot be used.

        None: no version has the alias.
        """
        if version is None:
            self.rejected = None
        elif self.rejected is None or self.rejected.key != key_of(version):
            self.rejected = RejectedModel.unusable(version)
            logger.error("rejected %s; the last usable model stays", self.rejected)

    def extend(self, extend: Callable[[LoadedModel], LoadedModel]) -> None:
        """Replace the model by ``extend(model)``, unless another model came meanwhile."""
        model = self.model
        extended = model and extend(model)
        if self.model is model:
            self.model = extended

    def clear(self) -> None:
        """Forget the model: no version has the alias."""
        self.model = self.rejected = None
