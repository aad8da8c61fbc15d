"""Movies that were added beside the data set, usually without any rating.

They are kept in the feedback database, which every process of the service follows, and each
ingest adds them to the data set.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from moovier.errors import BadRequest
from moovier.feedback import schema
from moovier.feedback.database import Database
from moovier.feedback.ratings import is_id
from moovier.ids import MAX_ID, MAX_SITE_ID

#: Announces a change of the new movies where a user id announces a change of feedback: user ids
#: begin at 1.
MOVIES_CHANGED = 0
#: Most new movies in the database.
MOST = 10_000
MAX_TITLE, MAX_GENRES, MAX_GENRE, MAX_PEOPLE, MAX_PERSON, MAX_TEXT = 300, 20, 50, 100, 100, 20_000
#: Years that a title can end with, see :func:`moovier.data.catalogue.split_title`.
MIN_YEAR, MAX_YEAR = 1800, 2199
#: MovieLens's entry for a movie without genres.
_NO_GENRE = "(no genres listed)"
#: The data set's schema refuses them, as signs of another separator.
_NOT_IN_GENRES = ",;[]"
_FORBIDDEN = ("\n", "\r", "\0")


@dataclass(frozen=True, slots=True)
class NewMovie:
    """A movie beside the data set.

    ``title``: without the year. ``people``: names of directors and actors. ``text``: what the
    movie is about.
    """

    id: int
    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
    tmdb_id: int | None = None
    people: tuple[str, ...] = ()
    text: str = ""

    @property
    def content(self) -> str:
        """Return the words that say what the movie is like."""
        return " ".join((self.title, *self.people, self.text))


def check(movie: NewMovie) -> None:
    """Refuse a movie that the data set's files or the database cannot hold.

    Raises:
        BadRequest: a field is out of range; the message says which.
    """
    if not 1 <= movie.id <= MAX_ID:
        raise BadRequest(f"movie id {movie.id} is not from 1 to {MAX_ID}")
    if not movie.title.strip() or len(movie.title) > MAX_TITLE:
        raise BadRequest(f"movie {movie.id}: a title has 1 to {MAX_TITLE} characters")
    if movie.year is not None and not MIN_YEAR <= movie.year <= MAX_YEAR:
        raise BadRequest(
            f"movie {movie.id}: year {movie.year} is not from {MIN_YEAR} to {MAX_YEAR}"
        )
    if movie.tmdb_id is not None and not 1 <= movie.tmdb_id <= MAX_SITE_ID:
        raise BadRequest(f"movie {movie.id}: TMDB id {movie.tmdb_id} is not 1 to {MAX_SITE_ID}")
    _check_names(movie.id, "genres", movie.genres, MAX_GENRES, MAX_GENRE)
    _check_names(movie.id, "people", movie.people, MAX_PEOPLE, MAX_PERSON)
    if len(movie.text) > MAX_TEXT:
        raise BadRequest(f"movie {movie.id}: the text has more than {MAX_TEXT:,} characters")
    lines = (movie.title, *movie.genres, *movie.people)
    if any(mark in line for line in lines for mark in _FORBIDDEN) or "\0" in movie.text:
        raise BadRequest(f"movie {movie.id}: a title or name has a line break or a null character")
    try:
        " ".join((*lines, movie.text)).encode()
    except UnicodeEncodeError as error:
        raise BadRequest(f"movie {movie.id}: a text is not valid Unicode") from error


def _check_names(movie_id: int, field: str, names: Sequence[str], most: int, longest: int) -> None:
    if len(set(names)) < len(names) or any(name != name.strip() for name in names):
        raise BadRequest(
            f"movie {movie_id}: {field} has a repeated name, or a name with spaces around it"
        )
    if len(names) > most:
        raise BadRequest(f"movie {movie_id}: {len(names)} {field}; at most {most} are allowed")
    for name in names:
        if not name.strip() or len(name) > longest or "|" in name:
            raise BadRequest(
                f"movie {movie_id}: {field} has {name[:longest]!r}; a name needs 1 to {longest} "
                'characters without "|"'
            )
        if field == "genres" and any(mark in name for mark in _NOT_IN_GENRES):
            raise BadRequest(
                f"movie {movie_id}: genre {name!r} has one of {_NOT_IN_GENRES}; write one genre "
                "in each place"
            )
        if field == "genres" and name == _NO_GENRE:
            raise BadRequest(f"movie {movie_id}: leave genres empty instead of {_NO_GENRE!r}")


class NewMovieStore:
    """The new movies of one database. Safe to share between threads.

    Every method raises :class:`FeedbackUnavailable` when the database does not answer in time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, movies: Iterable[NewMovie]) -> int:
        """Store movies, all or none, in place of those with the same id; return how many are new.

        Raises:
            BadRequest: a field is out of range, or there would be more than ``MOST`` movies.
        """
        by_id = {movie.id: movie for movie in movies}
        for movie in by_id.values():
            check(movie)
        table, now = schema.new_movies, int(time.time())
        with self._database.writing(MOVIES_CHANGED) as connection:
            before = set(connection.scalars(select(table.c.movie_id)))
            if len(before | by_id.keys()) > MOST:
                raise BadRequest(
                    f"{len(before | by_id.keys()):,} new movies; at most {MOST:,} are kept beside "
                    "the data set: add movies to its movies.csv instead"
                )
            ids = list(by_id)
            for start in range(0, len(ids), 500):
                part = ids[start : start + 500]
                connection.execute(delete(table).where(table.c.movie_id.in_(part)))
                rows = [_to_row(by_id[movie_id], now) for movie_id in part]
                connection.execute(insert(table), rows)
        return len(by_id.keys() - before)

    def delete(self, movie_id: int) -> bool:
        """Delete a movie; return whether it was stored."""
        if not is_id(movie_id):
            return False
        table = schema.new_movies
        with self._database.writing(MOVIES_CHANGED) as connection:
            deleted = connection.execute(delete(table).where(table.c.movie_id == movie_id))
            return deleted.rowcount > 0

    def all(self, known: Iterable[NewMovie] = ()) -> tuple[NewMovie, ...]:
        """Return all new movies by id; rows that somebody damaged are left out.

        ``known``: movies of an earlier read, which are not checked again.
        """
        checked = {movie.id: movie for movie in known}
        table = schema.new_movies
        with self._database.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.movie_id)).all()
        movies = []
        for row in rows:
            movie = _from_row(row)
            if checked.get(movie.id) == movie:
                movies.append(movie)
                continue
            try:
                check(movie)
            except (BadRequest, TypeError, AttributeError):
                continue
            movies.append(movie)
        return tuple(movies)


def _to_row(movie: NewMovie, now: int) -> dict[str, object]:
    return {
        "movie_id": movie.id,
        "title": movie.title,
        "year": movie.year,
        "genres": "|".join(movie.genres),
        "tmdb_id": movie.tmdb_id,
        "people": "|".join(movie.people),
        "text": movie.text,
        "added_at": now,
    }


def _from_row(row: Any) -> NewMovie:
    return NewMovie(
        id=row.movie_id,
        title=row.title,
        year=row.year,
        genres=tuple(filter(None, str(row.genres).split("|"))),
        tmdb_id=row.tmdb_id,
        people=tuple(filter(None, str(row.people).split("|"))),
        text=row.text,
    )
