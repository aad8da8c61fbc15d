"""The real data, read once, and models that several tests of the real data share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from moovier.data.catalogue import Catalogue
from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Index, Ratings
from moovier.data.split import Development, development_split
from moovier.models.bundle import Bundle, Card, DataFacts, display_name
from moovier.models.families import family
from moovier.training import fit


@dataclass(frozen=True)
class RealData:
    """The real data set and its development split. Do not write to the arrays."""

    facts: DataFacts
    index: Index
    ratings: Ratings
    catalogue: Catalogue
    split: Development


@pytest.fixture(scope="session")
def real(real_data: Path) -> RealData:
    movielens = read_movielens(real_data)
    index, ratings, catalogue = to_arrays(movielens)
    facts = DataFacts(
        name=movielens.name,
        hash=directory_hash(real_data),
        synthetic=movielens.synthetic,
        ratings=len(ratings),
        users=int(index.users.size),
        movies=len(catalogue),
    )
    return RealData(facts, index, ratings, catalogue, development_split(ratings))


@pytest.fixture(scope="session")
def trained_dae(real: RealData) -> fit.Trained:
    """`dae` with its default parameters, trained on the development split."""
    return fit.train(
        real.split,
        "dae",
        family("dae").hyper_parameters.model_validate({}),
        catalogue=real.catalogue,
        seed=0,
        threads=2,
    )


@pytest.fixture(scope="session")
def dae_bundle(real: RealData, trained_dae: fit.Trained) -> Bundle:
    """A bundle of :func:`trained_dae` that knows all users and ratings."""
    params = trained_dae.params
    card = Card(
        name=display_name("dae", params.size, 0),
        family="dae",
        params=params.model_dump(mode="json"),
        data=real.facts,
    )
    arrays = trained_dae.fitted.arrays
    return Bundle(card, real.index, real.ratings.histories, real.catalogue, arrays)
