"""Decides which model answers a request: the champion or the challenger of an experiment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from moovier.experiments.experiment import CANARY, Experiment
from moovier.feedback.served_lists import CHALLENGER_ARM, CHAMPION_ARM
from moovier.serving.bundle_loader import LoadedModel

logger = logging.getLogger(__name__)


class Assignment(NamedTuple):
    """The model that answers a request.

    ``arm`` is one of the arms of :mod:`moovier.feedback.served_lists`. ``experiment`` is the key
    of the experiment that chose the arm; None without an experiment.
    """

    model: LoadedModel
    arm: str
    experiment: str | None


@dataclass(frozen=True)
class ActiveExperiment:
    """A running experiment.

    ``champion`` is the model that it started with; ``key`` identifies its recorded lists.
    """

    plan: Experiment
    champion: LoadedModel
    challenger: LoadedModel
    key: str

    @classmethod
    def of(
        cls, plan: Experiment, champion: LoadedModel, challenger: LoadedModel
    ) -> ActiveExperiment:
        """Return the experiment of ``plan`` between two models."""
        return cls(plan, champion, challenger, plan.key(champion.number, challenger.number))

    def extended(
        self,
        extend: Callable[[LoadedModel], LoadedModel],
        champion: LoadedModel | None,
        challenger: LoadedModel | None,
    ) -> ActiveExperiment:
        """Return the experiment with extended objects of the same models, where they exist."""
        challenger = challenger or extend(self.challenger)
        if champion is None or champion.key != self.champion.key:
            champion = self.champion
        if champion is self.champion and challenger is self.challenger:
            return self
        return replace(self, champion=champion, challenger=challenger)

    def assignment(self, user_ids: Sequence[int]) -> Assignment:
        """Return the challenger if all the users belong to its arm, else the champion."""
        takes_all = self.plan.takes_all(user_ids)
        if self.plan.mode != CANARY:
            # The challenger's arm of a shadow experiment are the lists that it computes as well.
            return Assignment(self.champion, CHAMPION_ARM, self.key if takes_all else None)
        if takes_all:
            return Assignment(self.challenger, CHALLENGER_ARM, self.key)
        return Assignment(self.champion, CHAMPION_ARM, self.key if user_ids else None)

    def to_json(self) -> dict[str, object]:
        """Return what :meth:`ModelStore.restore` needs to continue the experiment."""
        return {"plan": self.plan.tag, "challenger": self.challenger.to_json()}


def log_change(before: ActiveExperiment | None, after: ActiveExperiment | None) -> None:
    """Log the start of an experiment, or its end."""
    if after is not None and (before is None or before.key != after.key):
        logger.info(
            "experiment %s started: %s with %s (version %d), share %g",
            after.plan.id,
            after.plan.mode,
            after.challenger.name,
            after.challenger.number,
            after.plan.share,
        )
    elif after is None and before is not None:
        logger.info("experiment %s ended", before.plan.id)
