"""Decides which model answers a request: the champion or the challenger of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from moovier.experiments.experiment import CANARY, Experiment
from moovier.feedback.served_lists import CHALLENGER_ARM, CHAMPION_ARM
from moovier.serving.bundle_loader import LoadedModel


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
