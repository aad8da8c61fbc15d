"""Parse the ratings of a retraining and store them as a snapshot.

A snapshot is a folder::

    snapshot.json    the data set's facts and the SHA-256 of the other files
    ratings.npz      index (users, movies) and all ratings by user, oldest first
    catalogue.json   one [id, title, year, genres, imdb_id, tmdb_id] per movie

Later stages read the snapshot, because the CSV files may have changed since.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import orjson
from pydantic import ValidationError

from moovier.data.array_files import (
    pack_catalogue,
    pack_ratings,
    unpack_catalogue,
    unpack_ratings,
)
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Index, Ratings
from moovier.errors import BundleError
from moovier.jobs.ingest import Pulled
from moovier.json_files import write_json
from moovier.models import bundle
from moovier.models.bundle import DataFacts
from moovier.registry.atomic_folder import replaced
from moovier.settings import Settings

FORMAT = 1
SNAPSHOT = "snapshot.json"
_RATINGS, _CATALOGUE = "ratings.npz", "catalogue.json"


@dataclass(frozen=True)
class Dataset:
    """Ratings over ``index`` and ``catalogue``, with the facts of their data set."""

    index: Index
    ratings: Ratings
    catalogue: Catalogue
    facts: DataFacts


def parse_dataset(pulled: Pulled, settings: Settings) -> Dataset:
    """Parse and validate a pulled data set; the ratings stay in file order.

    Raises:
        InvalidData: the data set must not be used.
    """
    movielens = read_movielens(
        Path(pulled["folder"]),
        bad_rows_share=settings.bad_rows_share,
        name=pulled["name"],
        synthetic=pulled["synthetic"],
    )
    index, ratings, catalogue = to_arrays(movielens)
    facts = DataFacts(
        name=pulled["name"],
        hash=pulled["hash"],
        synthetic=pulled["synthetic"],
        ratings=len(ratings),
        users=int(np.unique(ratings.users).size),
        movies=len(catalogue),
    )
    return Dataset(index, ratings, catalogue, facts)


def keep_dataset(folder: Path, settings: Settings, pulled: Pulled) -> Dataset:
    """Return the snapshot in ``folder``, parsed and written if needed.

    Raises:
        InvalidData: the data set must not be used.
    """
    try:
        return read_dataset(folder)
    except BundleError:
        pass
    dataset = parse_dataset(pulled, settings)
    # The order of the snapshot, so that every stage trains on the same rows.
    dataset = replace(dataset, ratings=dataset.ratings.histories.ratings())
    with replaced(folder) as temporary:
        _write_snapshot(temporary, dataset)
    return dataset


def has_snapshot(folder: Path) -> bool:
    """Return whether ``folder`` holds a snapshot, without checking its content."""
    return (folder / SNAPSHOT).exists() or (folder / bundle.CARD).exists()


def read_dataset(folder: Path) -> Dataset:
    """Return the data set of a snapshot, with the ratings by user, oldest first.

    Raises:
        BundleError: a file is missing, altered, or of another format.
    """
    if (folder / bundle.CARD).exists():
        # Earlier versions stored the data as a popularity model.
        model = bundle.load(folder)
        return Dataset(model.index, model.histories.ratings(), model.catalogue, model.card.data)
    try:
        head = orjson.loads((folder / SNAPSHOT).read_bytes())
        if head["format"] != FORMAT:
            raise BundleError(f"snapshot format {head['format']}; this version reads {FORMAT}")
        contents = {name: (folder / name).read_bytes() for name in (_RATINGS, _CATALOGUE)}
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != head["sha256"][name]:
                raise BundleError(f"{name} was altered: its SHA-256 is not the one in {SNAPSHOT}")
        index, histories = unpack_ratings(contents[_RATINGS])
        catalogue = unpack_catalogue(contents[_CATALOGUE])
        facts = DataFacts.model_validate(head["data"])
    except (OSError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise BundleError(f"no usable data snapshot in {folder.name}: {error}") from error
    return Dataset(index, histories.ratings(), catalogue, facts)


def _write_snapshot(folder: Path, dataset: Dataset) -> None:
    contents = {
        _RATINGS: pack_ratings(dataset.index, dataset.ratings.histories),
        _CATALOGUE: pack_catalogue(dataset.catalogue),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    head = {
        "format": FORMAT,
        "data": dataset.facts.model_dump(mode="json"),
        "sha256": hashes,
    }
    write_json(folder / SNAPSHOT, head)
