"""The movies there are, as plain values that a service can hold without pandas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: What MovieLens writes where it knows no genre.
NO_GENRE = "(no genres listed)"
_YEAR = re.compile(r"\s*\((\d{4})(?:[-–]\d{0,4})?\)\s*$")


@dataclass(frozen=True, slots=True)
class Movie:
    """One movie of the catalogue.

    ``id`` is the MovieLens id; ``title`` is without the year; ``imdb_id`` has the form
    ``tt0112573``; ``year``, ``imdb_id`` and ``tmdb_id`` are None where MovieLens has none.
    """

    id: int
    title: str
    year: int | None
    genres: tuple[str, ...]
    imdb_id: str | None
    tmdb_id: int | None

    def __hash__(self) -> int:
        # Movies are looked up for every answer; all fields together take many times as long.
        return hash(self.id)


@dataclass(frozen=True)
class Catalogue:
    """Movies in ascending order of id: position i is row i of the :class:`Index`'s movies."""

    movies: tuple[Movie, ...]

    @classmethod
    def of(cls, movies: Iterable[Movie]) -> Catalogue:
        return cls(tuple(sorted(movies, key=lambda movie: movie.id)))

    def __len__(self) -> int:
        return len(self.movies)

    def __getitem__(self, row: int) -> Movie:
        return self.movies[row]

    def __iter__(self) -> Iterator[Movie]:
        return iter(self.movies)


def split_title(title: str) -> tuple[str, int | None]:
    """MovieLens's ``"Heat (1995)"`` as ``("Heat", 1995)``; without a year, ``(title, None)``."""
    match = _YEAR.search(title)
    if match is None:
        return title.strip(), None
    return title[: match.start()].strip(), int(match.group(1))
