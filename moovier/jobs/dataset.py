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
from moovier.data.id_texts import IdTexts
from moovier.data.movielens import EVENTS_MARK
from moovier.data.ratings import Index, Ratings
from moovier.errors import BundleError
from moovier.jobs import engine
from moovier.jobs.ingest import Pulled
from moovier.json_files import write_json
from moovier.models import bundle
from moovier.models.bundle import Bundle, Card, DataFacts
from moovier.models.family import Arrays
from moovier.registry.atomic_folder import replaced
from moovier.settings import Settings

FORMAT = 2
SNAPSHOT = "snapshot.json"


@dataclass(frozen=True)
class Dataset:
    """Ratings over ``index`` and ``catalogue``, with the facts of their data set.

    ``ids``: the texts of ids that are text; None where all are whole numbers.
    """

    index: Index
    ratings: Ratings
    catalogue: Catalogue
    facts: DataFacts
    ids: IdTexts | None = None

    def bundle(self, card: Card, arrays: Arrays) -> Bundle:
        """Return the bundle of a model that was trained on these ratings."""
        histories = self.ratings.histories
        return Bundle(card, self.index, histories, self.catalogue, arrays, self.ids)


def parse_dataset(pulled: Pulled, settings: Settings) -> Dataset:
    """Return a pulled data set; its CSV files are parsed once in this home.

    The ratings are by user, oldest first, and mapped into memory.

    Raises:
        InvalidData: the data set must not be used.
    """
    return _parse(pulled, settings)[0]


def _parse(pulled: Pulled, settings: Settings) -> tuple[Dataset, Path]:
    """Return a pulled data set and the folder of its columns."""
    data, folder = engine.parsed(
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
    ratings = data.histories.ratings()
    return Dataset(data.index, ratings, data.catalogue, facts, data.ids), folder


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
        ratings = model.histories.ratings()
        return Dataset(model.index, ratings, model.catalogue, model.card.data, model.ids)
    try:
        head = orjson.loads((folder / SNAPSHOT).read_bytes())
        if head["format"] != FORMAT:
            raise BundleError(f"snapshot format {head['format']}; this version reads {FORMAT}")
        facts = DataFacts.model_validate(head["data"])
    except (OSError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise BundleError(f"no usable data snapshot in {folder.name}: {error}") from error
    data = columns.read(folder)
    return Dataset(data.index, data.histories.ratings(), data.catalogue, facts, data.ids)
