"""The table of families; what each family does is in tests/contracts/test_families.py."""

from __future__ import annotations

from typing import get_args

import pytest

from moovier.errors import BadRequest
from moovier.models.bundle import display_name
from moovier.models.families import FAMILIES, RETIRED, family
from moovier.models.family import Family


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_has_its_own_name(name: str) -> None:
    assert family(name).name == name
    assert display_name(name, 7, 0) == f"moovier_{name}_7_trained_0"


def test_there_are_models_that_rank_and_models_that_rate() -> None:
    objectives = get_args(Family.__annotations__["objective"]) or ("ranking", "rating")
    assert {kind.objective for kind in FAMILIES.values()} == set(objectives)


def test_retired_families_are_still_served() -> None:
    assert set(FAMILIES) > RETIRED
    for name in RETIRED:
        assert family(name).name == name


@pytest.mark.parametrize("name", ["svd", "", "DAE", "dae "])
def test_an_unknown_family_error_lists_the_families(name: str) -> None:
    with pytest.raises(BadRequest, match=r"choose from dae, .*emb.*popular") as caught:
        family(name)
    assert f"unknown family {name!r}" in str(caught.value)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        FAMILIES["other"] = family("popular")  # type: ignore[index]
