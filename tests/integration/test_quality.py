"""The quality on the real data stays within bands, which detects changes that lower it.

The tests use the validation parts only; `make bench-quality` reports on the test parts.
"""

from __future__ import annotations

import pytest

from moovier.evaluation import rating_metrics
from moovier.models.families import family
from moovier.training import fit
from tests.integration.conftest import RealData

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


@pytest.mark.parametrize(
    ("name", "visitor", "next_visit"),
    [
        ("popular", (0.33, 0.35), (0.060, 0.067)),
        ("ease", (0.35, 0.42), (0.075, 0.105)),
        ("dae", (0.435, 0.47), (0.102, 0.120)),
    ],
)
def test_ranking_quality_is_within_its_band(
    request: pytest.FixtureRequest,
    real: RealData,
    name: str,
    visitor: tuple[float, float],
    next_visit: tuple[float, float],
) -> None:
    trained = request.getfixturevalue("trained_dae") if name == "dae" else _train(real, name)
    # A value far above the band is a sign of leaked ratings.
    low, high = visitor
    assert low < trained.validation["val_visitor_ndcg_at_10"] < high
    low, high = next_visit
    assert low < trained.validation["val_next_visit_ndcg_at_10"] < high


def _train(real: RealData, name: str) -> fit.Trained:
    return fit.train(
        real.split,
        name,
        family(name).hyper_parameters.model_validate({}),
        catalogue=real.catalogue,
        seed=0,
        threads=2,
    )


def test_rating_error_is_within_its_band(real: RealData) -> None:
    kind = family("taste")
    split = real.split
    fitted = fit.refit(
        split.stars_train,
        "taste",
        kind.hyper_parameters.model_validate({}),
        catalogue=real.catalogue,
        epochs=24,
        seed=0,
        threads=2,
    )
    result = rating_metrics.evaluate(
        kind.scorer(fitted.arrays), split.stars_train.histories, split.stars_validation
    )
    assert 0.77 < result.metrics()["rmse"] < 0.81
