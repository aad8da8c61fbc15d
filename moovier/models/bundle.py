"""A bundle: a saved model with all data that scoring needs.

It holds arrays and JSON, no pickle, and a hash of each file. A bundle is a folder::

    bundle.json      the card (:class:`Card`) and the SHA-256 of every other file
    scoring.npz      the family's arrays
    people.npz       index (users, movies) and histories (offsets, movies, stars, timestamps)
    catalogue.json   [id, title, year, genres, imdb_id, tmdb_id] of each movie, ascending ids
    ids.npz          the texts of ids that are text; missing where all are whole numbers

MLflow stores the Keras model beside it; scoring does not need it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moovier.data import id_texts
from moovier.data.array_files import (
    pack_catalogue,
    read_arrays,
    read_ratings,
    unpack_catalogue,
    write_arrays,
    write_ratings,
)
from moovier.data.catalogue import Catalogue
from moovier.data.id_texts import IdTexts
from moovier.data.ratings import Histories, Index
from moovier.errors import BundleError
from moovier.models.family import Arrays

FORMAT = 1
CARD = "bundle.json"
_PEOPLE, CATALOGUE = "people.npz", "catalogue.json"
_FILES = ("scoring.npz", _PEOPLE, CATALOGUE)
#: Parts of loaded bundles by the SHA-256 of their files. Models that were trained on the same data,
#: such as the champion and the rating model, share these parts.
_INDEXES: WeakValueDictionary[str, Index] = WeakValueDictionary()
_HISTORIES: WeakValueDictionary[str, Histories] = WeakValueDictionary()
_CATALOGUES: WeakValueDictionary[str, Catalogue] = WeakValueDictionary()


class DataFacts(BaseModel):
    """The data set that a model was trained on.

    ``hash`` is its DVC directory hash. ``stars``: whether its ratings are stars; otherwise they
    were made from events, and no model predicts stars.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    hash: str
    synthetic: bool
    ratings: int
    users: int
    movies: int
    stars: bool = True


class Card(BaseModel):
    """The description of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str
    family: str
    params: dict[str, Any]
    trained: int = Field(0, ge=0, description="How often it was fine-tuned.")
    parent: str | None = None
    epochs: int = 0
    data: DataFacts
    metrics: dict[str, float] = {}
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


def display_name(family: str, size: int, trained: int) -> str:
    """Return a model's name, such as ``moovier_emb_25_trained_0``.

    ``trained``: how often the model was fine-tuned.
    """
    return f"moovier_{family}_{size}_trained_{trained}"


@dataclass(frozen=True)
class Bundle:
    """A model in memory; the module's docstring describes its folder."""

    card: Card
    index: Index
    histories: Histories
    catalogue: Catalogue
    arrays: Arrays = field(repr=False)
    ids: IdTexts | None = field(default=None, repr=False)
    #: The service's folder with the files of ``catalogue``; None elsewhere.
    folder: Path | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        n_movies = self.index.movies.size
        if not (len(self.catalogue) == self.histories.n_movies == n_movies):
            raise BundleError(
                f"catalogue ({len(self.catalogue)}), histories ({self.histories.n_movies}) and "
                f"index ({n_movies}) disagree on the number of movies"
            )
        if self.histories.n_users != self.index.users.size:
            raise BundleError(
                f"histories ({self.histories.n_users}) and index ({self.index.users.size}) "
                "disagree on the number of users"
            )


def save(bundle: Bundle, folder: Path) -> Path:
    """Write ``bundle`` into ``folder``, the card last, and return ``folder``.

    The folder is created if it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / "scoring.npz", bundle.arrays)
    write_ratings(folder / _PEOPLE, bundle.index, bundle.histories)
    (folder / CATALOGUE).write_bytes(pack_catalogue(bundle.catalogue))
    names: tuple[str, ...] = _FILES
    if bundle.ids is not None:
        id_texts.write(folder / id_texts.FILE, bundle.ids)
        names = (*names, id_texts.FILE)
    hashes = {name: _sha256(folder / name) for name in names}
    card = {"card": bundle.card.model_dump(mode="json"), "sha256": hashes}
    (folder / CARD).write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2))
    return folder


def read_card(file: Path) -> Card | None:
    """Return the card in a bundle's file, None if it cannot be read."""
    try:
        return Card.model_validate(orjson.loads(file.read_bytes())["card"])
    except (OSError, KeyError, TypeError, ValueError):
        return None


def read_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a bundle but its card.

    Raises:
        KeyError, OSError, ValueError: the card cannot be read.
    """
    hashes: dict[str, str] = orjson.loads((folder / CARD).read_bytes())["sha256"]
    return hashes


def load(folder: Path) -> Bundle:
    """Read a bundle and verify the hashes of its files.

    Its large arrays are mapped into memory, so replace its files instead of writing to them.

    Raises:
        BundleError: A file is missing, altered, or of another format.
    """
    try:
        head = orjson.loads((folder / CARD).read_bytes())
        card = Card.model_validate(head["card"])
        if card.format != FORMAT:
            raise BundleError(
                f"the bundle has format {card.format}, but this version of Moovier reads only "
                f"format {FORMAT}; train the model again or use a matching version"
            )
        hashes: dict[str, str] = head["sha256"]
        has_texts = id_texts.FILE in hashes
        for name in (*_FILES, *([id_texts.FILE] if has_texts else [])):
            if _sha256(folder / name) != hashes[name]:
                raise BundleError(
                    f"{name} was altered: its SHA-256 differs from the one in {CARD}; download the "
                    "bundle again"
                )
        index, histories = _read_people(folder / _PEOPLE, hashes[_PEOPLE])
        return Bundle(
            card=card,
            index=index,
            histories=histories,
            catalogue=_read_catalogue(folder / CATALOGUE, hashes[CATALOGUE]),
            arrays=read_arrays(folder / "scoring.npz", mapped=True),
            ids=id_texts.read(folder / id_texts.FILE) if has_texts else None,
        )
    except (OSError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise BundleError(f"cannot read the bundle in {folder.name}: {error}") from error


def read_ids(folder: Path) -> tuple[Index, IdTexts | None]:
    """Return the ids of a bundle and their texts, without reading or verifying the rest.

    Raises:
        BundleError: The ids cannot be read.
    """
    try:
        index, _ = read_ratings(folder / _PEOPLE, mapped=True)
        file = folder / id_texts.FILE
        return index, id_texts.read(file) if file.exists() else None
    except (OSError, KeyError, ValueError) as error:
        raise BundleError(f"cannot read the ids in {folder.name}: {error}") from error


def _read_people(file: Path, sha256: str) -> tuple[Index, Histories]:
    """Return the ratings of a file, or those of a loaded bundle with an equal file."""
    index, histories = _INDEXES.get(sha256), _HISTORIES.get(sha256)
    if index is None or histories is None:
        index, histories = read_ratings(file, mapped=True)
        _INDEXES[sha256], _HISTORIES[sha256] = index, histories
    return index, histories


def _read_catalogue(file: Path, sha256: str) -> Catalogue:
    """Return the catalogue of a file, or that of a loaded bundle with an equal file."""
    catalogue = _CATALOGUES.get(sha256)
    if catalogue is None:
        catalogue = _CATALOGUES[sha256] = unpack_catalogue(file.read_bytes())
    return catalogue


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
