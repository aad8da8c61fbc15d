from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.split import development_split
from moovier.models.families import family
from moovier.report.examples import examples
from moovier.report.model_report import BASELINE, POPULARITY, ModelReport
from moovier.training import fit, protocols
from tests.fixtures import toy_movielens

CURVES = {"loss": [0.9, 0.8], "val_loss": [0.95, 0.9]}


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # 20 ratings per user are enough for visitors and next visits.
    return toy_movielens(tmp_path_factory.mktemp("toy"), users=120, movies=80)


@pytest.fixture(scope="package")
def ease(folder: Path) -> ModelReport:
    """Return the report of EASE, evaluated under every protocol."""
    return evaluated(folder, "ease", {"lambda_": 10.0}, "moovier_ease_1_trained_0", "default")


@pytest.fixture(scope="package")
def popularity(folder: Path) -> ModelReport:
    return evaluated(folder, "popular", {}, POPULARITY, BASELINE)


def evaluated(
    folder: Path, family_name: str, params: dict[str, Any], name: str, kind: str
) -> ModelReport:
    index, ratings, catalogue = to_arrays(read_movielens(folder))
    learner = family(family_name)
    trained = fit.train(
        development_split(ratings),
        family_name,
        learner.hyper_parameters.model_validate(params),
        catalogue=catalogue,
        seed=0,
        threads=1,
    )
    return ModelReport.of(
        name,
        kind,
        protocols.evaluate(trained, ratings, catalogue=catalogue),
        params=params,
        fit_s=trained.fit_s,
        curves=CURVES if family_name == "ease" else None,
        examples=examples(
            learner.scorer(trained.fitted.arrays),
            ratings.histories,
            index.users.tolist(),
            catalogue,
        ),
    )
