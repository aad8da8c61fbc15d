"""Large data get fewer trials, fewer movies and fewer families, with a note of each."""

from __future__ import annotations

import pytest

from moovier.training import budget
from moovier.training.budget import Budget, Size

FAMILIES = ("dae", "taste", "emb", "ease")
SMALL = Size(100_836, 610, 9_742)
MEDIUM = Size(1_000_000, 6_500, 10_600)
LARGE = Size(25_000_000, 162_541, 62_423)


def planned(size: Size, memory: float = 8.0, **options: bool) -> Budget:
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
    assert found.trials == {"dae": 10, "taste": 2, "ease": 4}
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


@pytest.mark.parametrize("family", FAMILIES)
def test_larger_data_need_more_memory(family: str) -> None:
    assert budget.memory_gb(family, MEDIUM, 4000) < budget.memory_gb(family, LARGE, 4000)
