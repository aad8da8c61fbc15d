"""Example people of a report: what they rated and what a model recommends to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Histories
from moovier.models.family import Scorer
from moovier.models.top_k import top_rows

#: Example people of a report, movies shown of each one's history, and movies recommended.
EXAMPLES, SHOWN, GIVEN = 12, 6, 6


class Reason(BaseModel):
    """A recommended movie and, if any, the rated movie that contributes most to its score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    because: str | None


class Example(BaseModel):
    """One person. ``rated``: newest ratings first, with stars. ``given``: movies, best first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: int
    n_rated: int
    rated: list[tuple[str, float]]
    given: list[Reason]


def examples(
    scorer: Scorer, histories: Histories, user_ids: Sequence[int], catalogue: Catalogue
) -> list[Example]:
    """Return a dozen people, shortest to longest history, with their recommendations.

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
    for movie, parts in zip(best.tolist(), scorer.explain(history, best), strict=True):
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
