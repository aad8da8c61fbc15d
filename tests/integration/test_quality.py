"""Quality bands on the real data, on validation parts only: a change that costs quality shows.

The test parts are for reporting (`make bench-quality`), so no test looks at them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.data.split import development_split
from moovier.evaluation import rating_metrics
from moovier.models.families import family
from moovier.training import fit

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


class Real(NamedTuple):
    ratings: Ratings
    catalogue: Catalogue


@pytest.fixture(scope="module")
def real(real_data: Path) -> Real:
    _, ratings, catalogue = to_arrays(read_movielens(real_data))
    return Real(ratings, catalogue)


@pytest.mark.parametrize(
    ("name", "visitor", "next_visit"),
    [
        ("popular", (0.33, 0.35), (0.060, 0.067)),
        ("ease", (0.35, 0.42), (0.075, 0.105)),
        ("dae", (0.435, 0.47), (0.102, 0.120)),
    ],
)
def test_ranking(
    real: Real, name: str, visitor: tuple[float, float], next_visit: tuple[float, float]
) -> None:
    trained = fit.train(
        development_split(real.ratings),
        name,
        family(name).hyper_parameters.model_validate({}),
        catalogue=real.catalogue,
        seed=0,
        threads=2,
    )
    # Far above the band something leaks.
    low, high = visitor
    assert low < trained.validation["val_visitor_ndcg_at_10"] < high
    low, high = next_visit
    assert low < trained.validation["val_next_visit_ndcg_at_10"] < high


def test_stars(real: Real) -> None:
    kind = family("taste")
    split = development_split(real.ratings)
    fitted = fit.refit(
        split.stars_train,
        "taste",
        kind.hyper_parameters.model_validate({}),
        catalogue=real.catalogue,
        epochs=24,
        seed=0,
        threads=2,
    )
    found = rating_metrics.evaluate(
        kind.scorer(fitted.arrays), split.stars_train.histories, split.stars_validation
    )
    assert 0.77 < found.metrics()["rmse"] < 0.81
