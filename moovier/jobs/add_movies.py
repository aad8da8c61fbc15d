"""Read new movies from a CSV file and store them, without the service."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moovier.data.catalogue import NO_GENRE, split_title
from moovier.data.csv_values import whole_number
from moovier.errors import BadRequest, MoovierError
from moovier.feedback.database import Database, exists
from moovier.feedback.id_texts import IdTextStore
from moovier.feedback.new_movies import NewMovie, NewMovieStore, check
from moovier.ids import MOVIE
from moovier.jobs.recommend import load_recommender
from moovier.jobs.text_ids import OutsideIds
from moovier.settings import Settings

_REQUIRED = ("movieId", "title", "genres")
_COLUMNS = (*_REQUIRED, "tmdbId", "people", "text")
#: Problems and ids that a message names.
_SHOWN = 10
WHOLE_NUMBERS = OutsideIds()


@dataclass(frozen=True)
class AddedMovies:
    """The numbers of movies that were added, and that replaced one added before."""

    added: int
    replaced: int


def add_movies(file: Path, settings: Settings) -> AddedMovies:
    """Store the movies of a CSV file, all or none.

    The columns are those of MovieLens's movies.csv, and optionally tmdbId, people (names separated
    by ``|``) and text. Ids that the champion has with ratings are refused.

    Raises:
        BadRequest: the file cannot be read, or rows of it are wrong; the message names them.
        FeedbackUnavailable: the database does not answer.
    """
    ids = _ids(settings)
    texts: dict[int, str] = {}
    movies = read_movies(file, ids, texts)
    taken = _rated_ids(movies, settings)
    if taken:
        names = ", ".join(str(texts.get(movie, movie)) for movie in taken[:_SHOWN]) + (
            ", ..." if len(taken) > _SHOWN else ""
        )
        raise BadRequest(
            f"{file.name}: the data set has these ids with ratings: {names}; choose free ids, or "
            "change the data set's movies.csv"
        )
    with _database(settings) as database:
        if texts:
            IdTextStore(database).keep(MOVIE, texts)
        added = NewMovieStore(database).put(movies)
    return AddedMovies(added, len(movies) - added)


def list_movies(settings: Settings) -> tuple[NewMovie, ...]:
    """Return the movies beside the data set by id.

    Raises:
        FeedbackUnavailable: the database does not answer.
    """
    with _database(settings) as database:
        return NewMovieStore(database).all()


def movie_texts(settings: Settings) -> dict[int, str]:
    """Return the text ids of movies beside the data set by number; whole numbers have none.

    Raises:
        FeedbackUnavailable: the database does not answer.
    """
    if not exists(settings.database):
        return {}
    with _database(settings) as database:
        return IdTextStore(database).movies()


def delete_movie(movie_id: int | str, settings: Settings) -> None:
    """Delete a movie beside the data set.

    Raises:
        BadRequest: no movie that was added has the id.
        FeedbackUnavailable: the database does not answer.
    """
    with _database(settings) as database:
        numbers = {text: number for number, text in IdTextStore(database).movies().items()}
        try:
            number = numbers.get(str(movie_id)) or whole_number(str(movie_id), "movieId")
        except ValueError:
            number = 0
        if not NewMovieStore(database).delete(number):
            raise BadRequest(
                f"no movie that was added has the id {movie_id}; `moovier movies list` shows them"
            )


def read_movies(
    file: Path, ids: OutsideIds = WHOLE_NUMBERS, texts: dict[int, str] | None = None
) -> list[NewMovie]:
    """Read and check the movies of a CSV file.

    ``texts``: gets the texts of the ids, where ``ids`` are texts.

    Raises:
        BadRequest: the file cannot be read, or rows of it are wrong; the message names them.
    """
    movies: dict[int, NewMovie] = {}
    problems: list[str] = []
    for line, row in _rows(file):
        try:
            movie = _movie(row, ids)
            if movie.id in movies:
                raise BadRequest(f"movie {row['movieId']} is in the file more than once")
            movies[movie.id] = movie
            if texts is not None and ids.is_text(MOVIE):
                texts[movie.id] = row["movieId"]
        except (BadRequest, ValueError) as error:
            problems.append(f"line {line}: {error}")
    if problems:
        hidden = [f"and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        raise BadRequest("\n  ".join([f"{file.name}:", *problems[:_SHOWN], *hidden]))
    if not movies:
        raise BadRequest(f"{file.name} has no movies below its header")
    return list(movies.values())


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, strict=True, restval="")
            missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
            if missing:
                raise BadRequest(
                    f"{file.name} lacks the column {', '.join(missing)}; the columns are "
                    f"{', '.join(_COLUMNS)}, the last three optional"
                )
            for row in reader:
                if None in row:
                    raise BadRequest(f"{file.name}, line {reader.line_num}: has too many fields")
                yield reader.line_num, row
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadRequest(f"{file.name} is not UTF-8 text: save it as UTF-8") from error
    except csv.Error as error:
        raise BadRequest(f"{file.name} is not a CSV file: {error}") from error


def _movie(row: dict[str, str], ids: OutsideIds) -> NewMovie:
    title, year = split_title(row["title"])
    genres = row["genres"].strip()
    tmdb_id = row.get("tmdbId", "").strip()
    movie = NewMovie(
        id=_number(row["movieId"], ids),
        title=title,
        year=year,
        genres=() if genres in ("", NO_GENRE) else tuple(genres.split("|")),
        tmdb_id=whole_number(tmdb_id, "tmdbId") if tmdb_id else None,
        people=tuple(filter(None, map(str.strip, row.get("people", "").split("|")))),
        text=row.get("text", "").strip(),
    )
    check(movie)
    return movie


def _number(text: str, ids: OutsideIds) -> int:
    return ids.number(MOVIE, text) if ids.is_text(MOVIE) else whole_number(text, "movieId")


def _ids(settings: Settings) -> OutsideIds:
    """Return the ids of the champion; whole numbers without one."""
    try:
        return OutsideIds.of(load_recommender(None, settings)[1].bundle.ids, settings)
    except MoovierError:
        return WHOLE_NUMBERS


def _rated_ids(movies: list[NewMovie], settings: Settings) -> list[int]:
    """Return the ids that the champion has with ratings.

    Without a champion there are none: the next ingest keeps the data set's own movies in any case.
    """
    try:
        recommender = load_recommender(None, settings)[1]
    except MoovierError:
        return []
    return list(recommender.rated_titles([movie.id for movie in movies]))


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    with contextlib.closing(Database.open(settings.database)) as database:
        yield database
