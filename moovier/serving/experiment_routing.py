"""Whose turn it is to answer: the champion's, or a challenger's that is on trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from moovier.experiments.experiment import CANARY, Experiment
from moovier.feedback.served_lists import CHALLENGER_ARM, CHAMPION_ARM

if TYPE_CHECKING:
    from moovier.serving.bundle_loader import LoadedModel


class Assignment(NamedTuple):
    """The model that answers a request.

    ``arm``: as in :mod:`moovier.feedback.served_lists`. ``experiment``: key of the experiment that
    drew the arm; None without one.
    """

    model: LoadedModel
    arm: str
    experiment: str | None


@dataclass(frozen=True)
class ActiveExperiment:
    """An experiment in force. ``champion``: the one that it began with; ``key``: what its lists are
    recorded under."""

    plan: Experiment
    champion: LoadedModel
    challenger: LoadedModel
    key: str

    @classmethod
    def of(
        cls, plan: Experiment, champion: LoadedModel, challenger: LoadedModel
    ) -> ActiveExperiment:
        return cls(plan, champion, challenger, plan.key(champion.number, challenger.number))

    def assignment(self, user_ids: Sequence[int]) -> Assignment:
        """The challenger's where all the people are its own, else the champion's."""
        takes = self.plan.takes_all(user_ids)
        if self.plan.mode != CANARY:
            # In the shadow: those are its own whose lists it makes a second time.
            return Assignment(self.champion, CHAMPION_ARM, self.key if takes else None)
        if takes:
            return Assignment(self.challenger, CHALLENGER_ARM, self.key)
        return Assignment(self.champion, CHAMPION_ARM, self.key if user_ids else None)

    def told(self) -> dict[str, object]:
        """What is written down of it to go on with it."""
        return {"plan": self.plan.tag, "challenger": self.challenger.told()}
