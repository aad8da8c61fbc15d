"""What the page says of each model: plain values that survive between the stages as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from moovier.data.arrays import Histories
from moovier.data.catalogue import Catalogue
from moovier.evaluation.metrics import bootstrap
from moovier.evaluation.ranking import RankingResult
from moovier.models.family import Scorer
from moovier.models.top import top_rows
from moovier.training.fit import Evaluation

#: Example people of a page, movies shown of each one's history, and movies recommended.
EXAMPLES, SHOWN, GIVEN = 12, 6, 6


class People(BaseModel):
    """One model among one kind of people.

    ``low`` and ``high``: interval of ``ndcg_at_10``. ``segments``: by length of history, users and
    mean NDCG@10.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: int
    metrics: dict[str, float]
    low: float
    high: float
    segments: dict[str, tuple[int, float]]

    @classmethod
    def of(cls, result: RankingResult, seed: int) -> People:
        low, high = bootstrap(result.ndcg, seed)
        return cls(
            users=int(result.users.size),
            metrics=result.metrics(),
            low=low,
            high=high,
            segments=result.segments(),
        )


class Reason(BaseModel):
    """A recommended movie, and the rated one that speaks most for it, if any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    because: str | None


class Example(BaseModel):
    """``rated``: newest ratings, newest first, with stars. ``given``: recommended, best first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: int
    n_rated: int
    rated: list[tuple[str, float]]
    given: list[Reason]


class Figures(BaseModel):
    """One model on the page.

    ``curves``: per figure, one value an epoch. ``fit_s``: seconds. ``gap``: the figure, fine-tuned
    and trained again (:class:`moovier.training.fit.Gap`). ``params``: hyper-parameters.
    ``metrics``: all of :meth:`moovier.training.fit.Evaluation.metrics`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str
    fit_s: float
    known: People
    new: People | None
    stars: dict[str, float]
    gap: tuple[str, float, float] | None
    params: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    curves: dict[str, list[float]] = {}
    examples: list[Example] = []

    @classmethod
    def of(
        cls,
        name: str,
        kind: str,
        evaluation: Evaluation,
        *,
        params: Mapping[str, Any] | None = None,
        fit_s: float = 0.0,
        seed: int = 0,
        curves: dict[str, list[float]] | None = None,
        examples: Sequence[Example] = (),
    ) -> Figures:
        # Only a rating family has no result on the split by time, where its next visits suffice.
        known = evaluation.by_time or evaluation.next_visit
        assert known is not None
        return cls(
            name=name,
            kind=kind,
            params=dict(params or {}),
            metrics=evaluation.metrics(),
            fit_s=fit_s,
            known=People.of(known, seed),
            new=None,
            stars={} if evaluation.stars is None else evaluation.stars.metrics(),
            gap=None
            if evaluation.gap is None
            else (evaluation.gap.figure, evaluation.gap.fine_tuned, evaluation.gap.retrained),
            curves=curves or {},
            examples=list(examples),
        )


def examples(
    scorer: Scorer, histories: Histories, user_ids: Sequence[int], catalogue: Catalogue
) -> list[Example]:
    """A dozen people, from the shortest history to the longest, and what they are recommended.

    ``user_ids``: MovieLens id of each row of ``histories``.
    """
    counts = histories.counts()
    by_length = np.argsort(counts, kind="stable")
    by_length = by_length[counts[by_length] > 0]
    if not by_length.size:
        return []
    places = np.linspace(0, by_length.size - 1, min(EXAMPLES, by_length.size)).astype(np.int64)
    return [
        _example(scorer, histories, int(row), int(user_ids[row]), catalogue)
        for row in by_length[places]
    ]


def _example(
    scorer: Scorer, histories: Histories, row: int, user_id: int, catalogue: Catalogue
) -> Example:
    history = histories[row]
    scores = scorer.score(np.array([row], dtype=np.int64), histories)[0].copy()
    scores[history.movies] = -np.inf
    given = []
    best = top_rows(scores, GIVEN)
    for movie, parts in zip(best.tolist(), scorer.because(history, best), strict=True):
        most = int(parts.argmax())
        because = catalogue[int(history.movies[most])].title if parts[most] > 0 else None
        given.append(Reason(title=_titled(catalogue, movie), because=because))
    newest = range(len(history) - 1, max(len(history) - 1 - SHOWN, -1), -1)
    rated = [
        (_titled(catalogue, int(history.movies[place])), float(history.stars[place]))
        for place in newest
    ]
    return Example(user=user_id, n_rated=len(history), rated=rated, given=given)


def _titled(catalogue: Catalogue, row: int) -> str:
    movie = catalogue[row]
    return movie.title if movie.year is None else f"{movie.title} ({movie.year})"
