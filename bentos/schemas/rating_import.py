"""Schemas of `/ratings/match` and `/ratings/import`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field

from bentos.schemas.fields import ShownId
from moovier.data.catalogue import Movie, natural_title
from moovier.serving.rating_import import Imported, MatchedEntry, MatchedFile
from moovier.serving.title_matching import How

#: The OpenAPI document's description of the body, which is the file itself.
FILE_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file: Letterboxd (CSV or zip), IMDb, TMDB, Trakt (JSON or CSV), "
        "MovieLens, or CSV with the columns title, year and rating.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class MovieNamed(BaseModel):
    """A movie of the catalogue."""

    movie_id: ShownId
    title: str
    year: int | None
    genres: list[str]


class EntryShown(BaseModel):
    """An entry of the file with its movie, or null where none fits."""

    line: int
    title: str
    year: int | None
    stars: float | None = Field(description="0.5 to 5; null: watched, not rated.")
    timestamp: int | None
    movie: MovieNamed | None
    confidence: float = Field(description="0 to 1; how sure the match is.")
    how: How
    is_sure: bool = Field(description="Whether the match needs no question.")
    others: list[MovieNamed] = Field(description="Other movies that may be meant, best first.")


class FileMatched(BaseModel):
    """A file with the movies of its entries."""

    source: str
    skipped: int = Field(description="Entries that are not movies or have no rating.")
    seen: list[ShownId] = Field(description="Movie ids that were watched and not rated.")
    entries: list[EntryShown]


class FileImported(FileMatched):
    """The same, and how many ratings were stored."""

    stored: int
    unchanged: int = Field(description="Ratings that were stored before with the same stars.")
    ignored: int = Field(description="Ratings that are older than the stored ones.")


def matched(file: MatchedFile) -> dict[str, Any]:
    """Return a :class:`FileMatched` as JSON values."""
    return {
        "source": file.source,
        "skipped": file.skipped,
        "seen": file.seen,
        "entries": [_entry(item) for item in file.entries],
    }


def imported(result: Imported) -> dict[str, Any]:
    """Return a :class:`FileImported` as JSON values."""
    counts = {
        "stored": result.stored,
        "unchanged": result.unchanged,
        "ignored": result.ignored,
    }
    return matched(result.file) | counts


def _entry(item: MatchedEntry) -> dict[str, Any]:
    entry, match = item.entry, item.match
    return {
        "line": entry.line,
        "title": entry.title,
        "year": entry.year,
        "stars": entry.stars,
        "timestamp": entry.timestamp,
        "movie": None if item.movie is None else _movies([item.movie])[0],
        "confidence": match.confidence,
        "how": match.how,
        "is_sure": match.is_sure,
        "others": _movies(item.others),
    }


def _movies(movies: Iterable[Movie]) -> list[dict[str, Any]]:
    return [
        {
            "movie_id": movie.id,
            "title": natural_title(movie.title),
            "year": movie.year,
            "genres": list(movie.genres),
        }
        for movie in movies
    ]
