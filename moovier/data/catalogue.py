"""The movies of a data set as plain values, for the service, which does not import pandas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: MovieLens's entry for a movie without genres.
NO_GENRE = "(no genres listed)"
#: Years from 1800 to 2199, which the filters of the HTTP API take.
_YEAR = re.compile(r"\(((?:18|19|20|21)[0-9]{2})(?:[-–][0-9]{0,4})?\)$")

#: Articles that MovieLens moves behind a title, in the languages of most of its movies.
_ENGLISH = {"The", "A", "An"}
_FRENCH = {"Le", "La", "Les", "L'", "Un", "Une"}
_ITALIAN = {"Il", "Lo", "I", "Gli"}
_SPANISH = {"El", "Los", "Las"}
_GERMAN = {"Der", "Die", "Das"}
_DUTCH_AND_NORDIC = {"De", "Het", "Den", "Det", "En"}
_ARTICLES = _ENGLISH | _FRENCH | _ITALIAN | _SPANISH | _GERMAN | _DUTCH_AND_NORDIC


@dataclass(frozen=True, slots=True)
class Movie:
    """A movie of the catalogue.

    ``id``: MovieLens id. ``title``: without the year. ``imdb_id``: in the form ``tt0112573``.
    ``year``, ``imdb_id`` and ``tmdb_id`` are None where MovieLens has none.
    """

    id: int
    title: str
    year: int | None
    genres: tuple[str, ...]
    imdb_id: str | None
    tmdb_id: int | None

    def __hash__(self) -> int:
        # Every response looks movies up; a hash over all fields takes many times as long.
        return hash(self.id)


@dataclass(frozen=True)
class Catalogue:
    """Movies in ascending order of id; position i is row i of :attr:`Index.movies`.

    ``movies``: a tuple, or :class:`moovier.data.compact_movies.CompactMovies`.
    """

    movies: Sequence[Movie]

    @classmethod
    def of(cls, movies: Iterable[Movie]) -> Catalogue:
        """Sort movies, given in any order, into a catalogue."""
        return cls(tuple(sorted(movies, key=lambda movie: movie.id)))

    def __len__(self) -> int:
        return len(self.movies)

    def __getitem__(self, row: int) -> Movie:
        return self.movies[row]

    def __iter__(self) -> Iterator[Movie]:
        return iter(self.movies)


def split_title(title: str) -> tuple[str, int | None]:
    """Split MovieLens's ``"Heat (1995)"`` into ``("Heat", 1995)``; the year may be None.

    A title that is only a year in parentheses stays whole.
    """
    title = title.strip()
    match = _YEAR.search(title)
    if match is None or not title[: match.start()].strip():
        return title, None
    return title[: match.start()].strip(), int(match.group(1))


def natural_title(title: str) -> str:
    """Convert MovieLens's ``"Matrix, The"`` to ``"The Matrix"``.

    A second title in brackets stays as it is.
    """
    head, bracket, tail = title.partition(" (")
    stem, comma, article = head.rpartition(", ")
    if comma and article in _ARTICLES:
        separator = "" if article.endswith("'") else " "
        head = f"{article}{separator}{stem}"
    return head + bracket + tail
