"""The family ``dae``: its search space, and what its lists do with dislikes."""

from __future__ import annotations

from typing import Any

import numpy as np

from moovier.data.ratings import History
from moovier.models.dae import DaeFamily
from moovier.models.dae_scoring import DaeParams
from moovier.models.family import FitContext
from tests.contracts import toy

PARAMS = DaeParams(
    size=6, least=1, dropout=0.2, lambda_=2.0, batch_size=16, learning_rate=0.02, epochs=6
)


def history(movies: list[int], stars: float) -> History:
    n = len(movies)
    return History(np.array(movies), np.full(n, stars, np.float32), np.full(n, 5))


def test_disliked_movies_lower_similar_movies() -> None:
    context = FitContext(toy.catalogue(), seed=1, epochs=6)
    family = DaeFamily()
    scorer = family.scorer(family.fit(toy.ratings(), PARAMS, context).arrays)
    liked, disliked = (scorer.fold_in(history([0, 1, 2], stars)) for stars in (5.0, 0.5))
    same, other = slice(3, 8), slice(8, 16)
    assert (disliked[same].mean() - disliked[other].mean()) < (
        liked[same].mean() - liked[other].mean()
    )


class Ends:
    """A trial that draws one end of each range: a fraction of 0 or 1 of the way."""

    def __init__(self, end: int) -> None:
        self._end = end
        self.names: set[str] = set()

    def _draw(self, name: str, values: Any) -> Any:
        assert name not in self.names, "drawn twice"
        self.names.add(name)
        return values[-self._end]

    def suggest_int(self, name: str, low: int, high: int, **_options: Any) -> int:
        return int(self._draw(name, (low, high)))

    def suggest_float(self, name: str, low: float, high: float, **_options: Any) -> float:
        return float(self._draw(name, (low, high)))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._draw(name, choices)


def test_both_ends_of_the_search_space_are_valid_hyper_parameters() -> None:
    low, high = Ends(0), Ends(1)
    smallest, largest = DaeFamily().search_space(low), DaeFamily().search_space(high)
    assert low.names <= set(DaeParams.model_fields)
    for name in low.names:
        assert getattr(smallest, name) < getattr(largest, name), name
        assert getattr(smallest, name) <= getattr(DaeParams(), name) <= getattr(largest, name), name
