"""The movies of a large catalogue in compact columns.

As Python objects, 60,000 movies take 30 MB in each process, and a list shows a few thousand of
them at most.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from moovier.data.catalogue import Movie

#: Number of movies from which a catalogue that is read is compact.
LARGE = 20_000
_NONE = -(2**63)


class CompactMovies(Sequence[Movie]):
    """A sequence of movies that makes a movie when somebody asks for it, and then keeps it.

    Iterating keeps none. Safe to share between threads.
    """

    def __init__(self, movies: Iterable[Movie]) -> None:
        """Store the movies.

        Raises:
            ValueError: a number has more than 64 bits.
        """
        self._ids, self._years, self._tmdb_ids = array("q"), array("q"), array("q")
        self._titles, self._imdb_ids = _Texts(), _Texts()
        self._genres = array("I")
        numbers: dict[tuple[str, ...], int] = {}
        try:
            for movie in movies:
                self._ids.append(movie.id)
                self._titles.append(movie.title)
                self._years.append(_NONE if movie.year is None else movie.year)
                self._genres.append(numbers.setdefault(movie.genres, len(numbers)))
                self._imdb_ids.append(movie.imdb_id or "")
                self._tmdb_ids.append(_NONE if movie.tmdb_id is None else movie.tmdb_id)
        except OverflowError as error:
            raise ValueError(str(error)) from error
        # New texts: those of a parsed file would keep its other objects' blocks of memory.
        names: dict[str, str] = {}
        self._kinds = [
            tuple([names.setdefault(name, name.encode().decode()) for name in kind])
            for kind in numbers
        ]
        self._made: list[Movie | None] = [None] * len(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, row: int) -> Movie: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Movie, ...]: ...
    def __getitem__(self, row: int | slice) -> Movie | tuple[Movie, ...]:
        if isinstance(row, slice):
            return tuple([self[one] for one in range(*row.indices(len(self)))])
        movie = self._made[row]
        if movie is None:
            movie = self._made[row] = self._make(row if row >= 0 else row + len(self))
        return movie

    def __iter__(self) -> Iterator[Movie]:
        for row, movie in enumerate(self._made):
            yield movie or self._make(row)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CompactMovies | tuple):
            return NotImplemented
        return len(self) == len(other) and all(
            own == another for own, another in zip(self, other, strict=True)
        )

    def __hash__(self) -> int:
        return hash(tuple(self._ids))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def _make(self, row: int) -> Movie:
        year, tmdb_id = self._years[row], self._tmdb_ids[row]
        return Movie(
            self._ids[row],
            self._titles[row],
            None if year == _NONE else year,
            self._kinds[self._genres[row]],
            self._imdb_ids[row] or None,
            None if tmdb_id == _NONE else tmdb_id,
        )


class _Texts:
    """Texts one after the other, in UTF-8."""

    def __init__(self) -> None:
        self._content, self._ends = bytearray(), array("L", [0])

    def append(self, text: str) -> None:
        self._content += text.encode()
        self._ends.append(len(self._content))

    def __getitem__(self, row: int) -> str:
        return self._content[self._ends[row] : self._ends[row + 1]].decode()
