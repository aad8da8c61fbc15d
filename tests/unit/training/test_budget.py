"""Large data get fewer trials, fewer movies and fewer families, with a note of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.training import budget
from moovier.training.budget import Budget, Size

FAMILIES = ("dae", "taste", "emb", "ease")
#: ml-latest-small: of its 9,742 movies, as many have three ratings.
SMALL = Size(100_836, 610, 9_742, 4_980)
MEDIUM = Size(1_000_000, 6_500, 10_600)
LARGE = Size(25_000_000, 162_541, 62_423)


def planned(size: Size, memory: float = 8.0, **options: Any) -> Budget:
    return budget.plan(
        FAMILIES, size, trials=20, embedding_sizes=(50, 25), memory=memory, **options
    )


def test_small_data_are_not_thinned() -> None:
    found = planned(SMALL)
    assert found == Budget(FAMILIES, dict.fromkeys(FAMILIES, 20), None, (50, 25))
    assert not found.notes


def test_leading_family_of_large_data_has_ten_trials() -> None:
    found = planned(LARGE)
    assert found.families == ("dae", "taste", "ease")
    assert found.trials == {"dae": 10, "taste": 1, "ease": 4}
    assert found.covered == budget.VERY_LARGE_MOVIES
    assert any("emb was left out" in note for note in found.notes)
    assert any("4,000 most rated of 62,423" in note for note in found.notes)


def test_medium_data_keep_all_families() -> None:
    found = planned(MEDIUM)
    assert found.families == FAMILIES
    assert found.embedding_sizes == (50,)
    assert found.grids["dae"]["lambda_"] == (100.0, 200.0, 400.0)


def test_chosen_number_of_trials_stays() -> None:
    assert set(planned(LARGE, fixed_trials=True).trials.values()) == {20}


def test_little_memory_covers_fewer_movies_and_leaves_out_families() -> None:
    less, little = planned(LARGE, memory=5.4), planned(LARGE, memory=2.0)
    assert less.covered is not None
    assert 100 < less.covered < budget.VERY_LARGE_MOVIES
    for family in less.families:
        assert budget.memory_gb(family, LARGE, less.covered) <= 5.4 / budget.PARALLEL
    assert little.families == ()
    assert any("MOOVIER_TRAIN_MEMORY_GB" in note for note in little.notes)


def test_a_catalogue_that_is_covered_gets_no_model_of_low_rank() -> None:
    for size in (SMALL, replace(SMALL, frequent=None), replace(MEDIUM, frequent=6_000)):
        found = planned(size, may_add=("elsa",))
        assert found.families == FAMILIES
        assert not any("elsa" in note or "cover" in note for note in found.notes)


def test_few_ratings_of_many_movies_get_a_model_of_low_rank() -> None:
    found = planned(Size(300_000, 900, 20_000, 9_000), may_add=("elsa",))
    assert found.families == (*FAMILIES, "elsa")
    assert found.trials == dict.fromkeys(found.families, 20)
    assert (found.covered, found.embedding_sizes) == (None, (50, 25))
    cut, added, *_ = found.notes
    assert "(dae, ease) cover the 6,000 most rated of 9,000 movies with 3 ratings" in cut
    assert added.startswith("elsa was added, which covers all 9,000 movies")


def test_many_ratings_of_many_movies_get_a_model_of_low_rank() -> None:
    found = planned(replace(MEDIUM, frequent=9_500), may_add=("elsa",))
    assert found.families == (*FAMILIES, "elsa")
    assert found.trials["elsa"] == budget.MOST_OTHER_TRIALS
    assert any("elsa was added" in note for note in found.notes)
    chosen = planned(replace(MEDIUM, frequent=9_500))
    assert chosen.families == FAMILIES, "a person's choice stays"
    assert any("6,000 most rated of 9,500" in note for note in chosen.notes)


@pytest.mark.parametrize(
    "size", [Size(300_000, 900, 20_000, 9_000), replace(LARGE, frequent=9_000)]
)
def test_a_family_of_the_cluster_has_two_trials(size: Size) -> None:
    found = planned(size, may_add=("elsa", "als"))
    assert found.families[-2:] == ("elsa", "als")
    assert found.trials["als"] == 2
    assert any("fewer trials than 20" in note and "2 for als" in note for note in found.notes)
    assert any("als was added, which covers all 9,000" in note for note in found.notes)
    assert planned(size, may_add=("als",), fixed_trials=True).trials["als"] == 20


def test_a_model_of_low_rank_is_thinned_by_the_movies() -> None:
    ranks = []
    for movies in (9_500, 62_423, 400_000):
        size = Size(1_000_000, 6_500, movies, movies)
        found = planned(size, memory=9.0, may_add=("elsa",))
        grid = found.grids["elsa"]
        ranks.append(max(grid["size"]))
        assert min(grid["size"]) == 32
        (note,) = [note for note in found.notes if note.startswith("elsa was thinned")]
        assert f"a rank of at most {ranks[-1]}" in note
        assert budget.memory_gb("elsa", size, 0, ranks[-1]) < 9.0 / budget.PARALLEL
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] > ranks[-1]


def test_a_model_of_low_rank_is_left_out_without_memory() -> None:
    size = Size(1_000_000, 6_500, 2_000_000, 1_500_000)
    found = planned(size, memory=6.0, may_add=("elsa",))
    assert "elsa" not in found.families
    assert any("elsa was left out: a process needs" in note for note in found.notes)


def test_the_costs_of_each_family_are_named() -> None:
    (note,) = [note for note in planned(MEDIUM).notes if note.startswith("planned with at most")]
    assert note.count(" GB") == len(FAMILIES)
    assert "dae 2.2 GB and 6 processor seconds a trial; taste" in note
    (less,) = [note for note in planned(LARGE).notes if note.startswith("planned with at most")]
    assert "emb" not in less


def test_larger_catalogues_take_more_time_of_a_model_of_low_rank() -> None:
    few, many = replace(MEDIUM, frequent=8_000), replace(MEDIUM, frequent=16_000)
    seconds = budget.trial_s("elsa", few, 6_000, 64, 20)
    assert seconds is not None
    assert budget.trial_s("elsa", many, 6_000, 64, 20) == pytest.approx(2 * seconds)
    assert budget.trial_s("elsa", few, 6_000, 128, 20) == pytest.approx(4 * seconds)
    assert budget.trial_s("emb", few, 6_000, 64, 20) is None


def test_frequent_movies_are_counted() -> None:
    movies = np.array([0, 1, 1, 1, 2, 2, 4, 4, 4, 4])
    n = movies.size
    ratings = Ratings(
        np.arange(n), movies, np.full(n, 4.0, np.float32), np.zeros(n, np.int64), n, 6
    )
    assert budget.frequent(ratings) == 2


@pytest.mark.parametrize("family", [*FAMILIES, "elsa", "als"])
def test_larger_data_need_more_memory(family: str) -> None:
    assert budget.memory_gb(family, MEDIUM, 4000) < budget.memory_gb(family, LARGE, 4000)
