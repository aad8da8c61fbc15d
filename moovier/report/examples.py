"""Choose example users of a report, with ratings and recommendations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from moovier.data.catalogue import Catalogue, natural_title
from moovier.data.ratings import Histories
from moovier.models.family import Scorer
from moovier.models.top_k import top_rows

#: Number of example users, and of rated and recommended movies of each.
EXAMPLES, RATED_MOVIES, RECOMMENDED_MOVIES = 12, 6, 6


class Reason(BaseModel):
    """A recommended movie and the rated movie that adds most to its score, or None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    because: str | None


class Example(BaseModel):
    """One user with ratings and recommendations.

    ``rated``: newest ratings first, with stars. ``given``: best movies first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: int
    n_rated: int
    rated: list[tuple[str, float]]
    given: list[Reason]


def examples(
    scorer: Scorer, histories: Histories, user_ids: Sequence[int], catalogue: Catalogue
) -> list[Example]:
    """Return twelve users, shortest to longest history, with their recommendations.

    ``user_ids``: MovieLens id of each row of ``histories``.
    """
    counts = histories.counts()
    by_length = np.argsort(counts, kind="stable")
    by_length = by_length[counts[by_length] > 0]
    if not by_length.size:
        return []
    positions = np.linspace(0, by_length.size - 1, min(EXAMPLES, by_length.size)).astype(np.int64)
    return [
        _example(scorer, histories, int(row), int(user_ids[row]), catalogue)
        for row in by_length[positions]
    ]


def _example(
    scorer: Scorer, histories: Histories, row: int, user_id: int, catalogue: Catalogue
) -> Example:
    history = histories[row]
    scores = scorer.score(np.array([row], dtype=np.int64), histories)[0].copy()
    scores[history.movies] = -np.inf
    recommended = []
    best = top_rows(scores, RECOMMENDED_MOVIES)
    for movie, contributions in zip(best.tolist(), scorer.explain(history, best), strict=True):
        largest = int(contributions.argmax())
        because = None
        if contributions[largest] > 0:
            because = natural_title(catalogue[int(history.movies[largest])].title)
        recommended.append(Reason(title=_title_and_year(catalogue, movie), because=because))
    newest_first = range(len(history) - 1, max(len(history) - 1 - RATED_MOVIES, -1), -1)
    rated = [
        (_title_and_year(catalogue, int(history.movies[row])), float(history.stars[row]))
        for row in newest_first
    ]
    return Example(user=user_id, n_rated=len(history), rated=rated, given=recommended)


def _title_and_year(catalogue: Catalogue, row: int) -> str:
    movie = catalogue[row]
    title = natural_title(movie.title)
    return title if movie.year is None else f"{title} ({movie.year})"
