"""The validation part of a rating family."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.data.split import development_split
from moovier.training import validation
from tests.unit.training.spy import N_MOVIES


class Recorder:
    """A scorer that records whom it scores."""

    n_movies = N_MOVIES

    def __init__(self) -> None:
        self.users: list[int] = []

    def score(self, users: Ints, histories: Histories) -> Floats:
        self.users += users.tolist()
        return np.tile(-np.arange(N_MOVIES, dtype=np.float32), (len(users), 1))

    def fold_in(self, history: History) -> Floats:
        raise AssertionError("known users must be scored by score")

    def explain(self, history: History, movies: Ints) -> Floats:
        raise NotImplementedError


@pytest.mark.parametrize("most", [4, 1000])
def test_lists_of_a_rating_family_are_measured_for_a_sample(
    ratings: Ratings, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "MOST_RANKED", most)
    split = development_split(ratings)
    everybody = np.unique(split.stars_validation.users)
    recorder = Recorder()
    metrics = validation.rating_parts(split).evaluate(recorder)
    assert len(recorder.users) == min(most, everybody.size)
    assert set(recorder.users) <= set(everybody.tolist())
    assert 0 <= metrics["val_ndcg_at_10"] <= 1
