"""The ratings that one retraining works on, read once and kept in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Index, Ratings
from moovier.errors import BundleError
from moovier.jobs.ingest import Pulled
from moovier.models import bundle
from moovier.models.bundle import Bundle, Card, DataFacts, display_name
from moovier.registry.atomic_folder import replaced
from moovier.settings import Settings


@dataclass(frozen=True)
class Dataset:
    """``ratings`` are rows by user, oldest first, over ``index`` and ``catalogue``."""

    index: Index
    ratings: Ratings
    catalogue: Catalogue
    facts: DataFacts


def keep_dataset(folder: Path, settings: Settings, pulled: Pulled) -> Dataset:
    """Read and check the data set and keep it in ``folder``; one that is there is read back.

    What is kept is a bundle of the popularity baseline: it holds all three and its own hashes.
    Later stages read it instead of files that may have changed since.

    Raises:
        InvalidData: the data set must not be used.
    """
    try:
        return read_dataset(folder)
    except BundleError:
        pass
    found = read_movielens(
        Path(pulled["folder"]),
        bad_rows_share=settings.bad_rows_share,
        name=pulled["name"],
        synthetic=pulled["synthetic"],
    )
    index, ratings, catalogue = to_arrays(found)
    histories = ratings.histories
    facts = DataFacts(
        name=pulled["name"],
        hash=pulled["hash"],
        synthetic=pulled["synthetic"],
        ratings=len(ratings),
        users=int(np.count_nonzero(histories.counts())),
        movies=len(catalogue),
    )
    card = Card(
        name=display_name("popular", 1, 0), family="popular", params={"size": 1}, data=facts
    )
    counts = {"counts": histories.movie_counts()}
    with replaced(folder) as temporary:
        bundle.save(Bundle(card, index, histories, catalogue, counts), temporary)
    return Dataset(index, histories.ratings(), catalogue, facts)


def read_dataset(folder: Path) -> Dataset:
    """What :func:`keep_dataset` kept.

    Raises:
        BundleError: nothing whole is there.
    """
    kept = bundle.load(folder)
    return Dataset(kept.index, kept.histories.ratings(), kept.catalogue, kept.card.data)
