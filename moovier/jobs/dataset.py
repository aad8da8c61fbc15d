"""Parse the ratings of a retraining and store them as a snapshot.

A snapshot is a folder::

    snapshot.json    the data set's facts
    ...              the files of :mod:`moovier.data.columns`

Later stages map the snapshot into memory, because the CSV files may have changed since.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import ValidationError

from moovier.data import columns
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import EVENTS_MARK
from moovier.data.ratings import Index, Ratings
from moovier.errors import BundleError
from moovier.jobs.ingest import Pulled
from moovier.json_files import write_json
from moovier.models import bundle
from moovier.models.bundle import DataFacts
from moovier.registry.atomic_folder import replaced
from moovier.settings import Settings

FORMAT = 2
SNAPSHOT = "snapshot.json"


@dataclass(frozen=True)
class Dataset:
    """Ratings over ``index`` and ``catalogue``, with the facts of their data set."""

    index: Index
    ratings: Ratings
    catalogue: Catalogue
    facts: DataFacts


def parse_dataset(pulled: Pulled, settings: Settings) -> Dataset:
    """Return a pulled data set; its CSV files are parsed once in this home.

    The ratings are by user, oldest first, and mapped into memory.

    Raises:
        InvalidData: the data set must not be used.
    """
    return _parse(pulled, settings)[0]


def _parse(pulled: Pulled, settings: Settings) -> tuple[Dataset, Path]:
    """Return a pulled data set and the folder of its columns."""
    data, folder = columns.parsed(
        Path(pulled["folder"]),
        pulled["hash"],
        settings,
        name=pulled["name"],
        synthetic=pulled["synthetic"],
    )
    facts = DataFacts(
        name=pulled["name"],
        hash=pulled["hash"],
        synthetic=pulled["synthetic"],
        ratings=int(data.histories.movies.size),
        users=int(data.index.users.size),
        movies=len(data.catalogue),
        stars=not (Path(pulled["folder"]) / EVENTS_MARK).exists(),
    )
    return Dataset(data.index, data.histories.ratings(), data.catalogue, facts), folder


def keep_dataset(folder: Path, settings: Settings, pulled: Pulled) -> Dataset:
    """Return the snapshot in ``folder``, parsed and written if needed.

    Raises:
        InvalidData: the data set must not be used.
    """
    try:
        return read_dataset(folder)
    except BundleError:
        pass
    dataset, parsed = _parse(pulled, settings)
    with replaced(folder) as temporary:
        columns.link(parsed, temporary)
        head = {"format": FORMAT, "data": dataset.facts.model_dump(mode="json")}
        write_json(temporary / SNAPSHOT, head)
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
        facts = DataFacts.model_validate(head["data"])
    except (OSError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise BundleError(f"no usable data snapshot in {folder.name}: {error}") from error
    data = columns.read(folder)
    return Dataset(data.index, data.histories.ratings(), data.catalogue, facts)
