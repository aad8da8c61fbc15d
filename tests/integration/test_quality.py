"""Quality bands on the real data, on validation parts only: a change that costs quality shows.

The test parts are for reporting (`make bench-quality`), so no test looks at them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from moovier.data.arrays import Ratings
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import indexed, read_movielens
from moovier.data.split import random_split, time_split
from moovier.evaluation import stars
from moovier.models.families import family
from moovier.training import fit

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


class Real(NamedTuple):
    ratings: Ratings
    catalogue: Catalogue


@pytest.fixture(scope="module")
def real(real_data: Path) -> Real:
    _, ratings, catalogue = indexed(read_movielens(real_data))
    return Real(ratings, catalogue)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("popular", 0.08, 0.10), ("ease", 0.13, 0.16), ("timeline", 0.21, 0.24)],
)
def test_ranking(real: Real, name: str, low: float, high: float) -> None:
    params = family(name).hyper_parameters.model_validate({"size": 1} if name == "popular" else {})
    trained = fit.train(
        time_split(real.ratings), name, params, catalogue=real.catalogue, seed=0, threads=2
    )
    # Far above the band something leaks.
    assert low < trained.validation_ndcg < high


def test_stars(real: Real) -> None:
    kind = family("taste")
    rest, _ = random_split(real.ratings, seed=0)
    train, validation = random_split(rest, seed=1)
    fitted = fit.refit(
        train,
        "taste",
        kind.hyper_parameters.model_validate({}),
        catalogue=real.catalogue,
        epochs=24,
        seed=0,
        threads=2,
    )
    scorer = kind.scorer(fitted.arrays)
    assert 0.77 < stars.evaluate(scorer, train.histories, validation).metrics()["rmse"] < 0.81
