"""A saved model that can answer alone: arrays and JSON, no pickle, checked by hash.

A bundle is a folder::

    bundle.json      the card (below) and the SHA-256 of every other file
    scoring.npz      the family's arrays
    people.npz       index (users, movies) and histories (offsets, movies, stars, timestamps)
    catalogue.json   one [id, title, year, genres, imdb_id, tmdb_id] a movie, ascending id

The Keras model lies beside it in MLflow; answering does not need it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moovier.data.array_files import (
    pack_arrays,
    pack_catalogue,
    pack_ratings,
    unpack_arrays,
    unpack_catalogue,
    unpack_ratings,
)
from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Histories, Index
from moovier.errors import BundleError
from moovier.models.family import Arrays

FORMAT = 1
CARD = "bundle.json"
_FILES = ("scoring.npz", "people.npz", "catalogue.json")


class DataFacts(BaseModel):
    """The data set that a model was trained on. ``hash`` is its DVC directory hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    hash: str
    synthetic: bool
    ratings: int
    users: int
    movies: int


class Card(BaseModel):
    """What a model says of itself."""

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
    """``moovier_emb_25_trained_0``: family, size, how often fine-tuned."""
    return f"moovier_{family}_{size}_trained_{trained}"


@dataclass(frozen=True)
class Bundle:
    """A model with all it needs to answer: see the module's text for the folder it is saved as."""

    card: Card
    index: Index
    histories: Histories
    catalogue: Catalogue
    arrays: Arrays = field(repr=False)

    def __post_init__(self) -> None:
        n_movies = self.index.movies.size
        if not (len(self.catalogue) == self.histories.n_movies == n_movies):
            raise BundleError(
                f"catalogue ({len(self.catalogue)}), histories ({self.histories.n_movies}) and "
                f"index ({n_movies}) disagree on the number of movies"
            )
        if self.histories.n_users != self.index.users.size:
            raise BundleError("histories and index disagree on the number of users")


def save(bundle: Bundle, folder: Path) -> Path:
    """Write ``bundle`` into ``folder``, made if need be, the card last; returns ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "scoring.npz": pack_arrays(bundle.arrays),
        "people.npz": pack_ratings(bundle.index, bundle.histories),
        "catalogue.json": pack_catalogue(bundle.catalogue),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    card = {"card": bundle.card.model_dump(mode="json"), "sha256": hashes}
    (folder / CARD).write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2))
    return folder


def load(folder: Path) -> Bundle:
    """Read a bundle, refusing altered or foreign files.

    Raises:
        BundleError: a file is missing, altered, or not of this format.
    """
    try:
        head = orjson.loads((folder / CARD).read_bytes())
        card = Card.model_validate(head["card"])
        if card.format != FORMAT:
            raise BundleError(f"bundle format {card.format}; this version reads {FORMAT}")
        contents = {name: (folder / name).read_bytes() for name in _FILES}
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != head["sha256"][name]:
                raise BundleError(f"{name} was altered: its SHA-256 is not the one in {CARD}")
        index, histories = unpack_ratings(contents["people.npz"])
        return Bundle(
            card=card,
            index=index,
            histories=histories,
            catalogue=unpack_catalogue(contents["catalogue.json"]),
            arrays=unpack_arrays(contents["scoring.npz"]),
        )
    except (OSError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise BundleError(f"no usable bundle in {folder.name}: {error}") from error
