"""Append the movies that were added beside the data set to its movies.csv and links.csv."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from moovier.data.catalogue import NO_GENRE
from moovier.data.csv_values import split_line
from moovier.data.movielens import LINKS, MOVIES
from moovier.feedback.new_movies import NewMovie

#: The texts of whole numbers.
NO_TEXTS: Mapping[int, str] = MappingProxyType({})


def append_movies(
    source: Path, target: Path, movies: Sequence[NewMovie], texts: Mapping[int, str] = NO_TEXTS
) -> None:
    """Write the movie files of ``source`` to the folder ``target`` with ``movies`` at the end.

    ``texts``: the texts of the movies' ids, empty where the ids are whole numbers.

    The movies must not be in the files yet. links.csv changes only where it exists and a movie
    has a TMDB id.
    """
    _append(source / MOVIES, target / MOVIES, [_movie_row(movie, texts) for movie in movies])
    links = [
        {"movieId": texts.get(movie.id, str(movie.id)), "tmdbId": str(movie.tmdb_id)}
        for movie in movies
        if movie.tmdb_id is not None
    ]
    if links and (source / LINKS).is_file():
        _append(source / LINKS, target / LINKS, links)


def _movie_row(movie: NewMovie, texts: Mapping[int, str]) -> dict[str, str]:
    title = movie.title if movie.year is None else f"{movie.title} ({movie.year})"
    genres = "|".join(movie.genres) or NO_GENRE
    return {"movieId": texts.get(movie.id, str(movie.id)), "title": title, "genres": genres}


def _append(source: Path, target: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Copy a CSV file and append rows; columns that a row lacks are empty.

    Nothing is appended to a file that is empty, that has no final line end or whose header cannot
    be read: validation then names what is wrong with the file.
    """
    shutil.copyfile(source, target)
    with source.open("rb") as file:
        first = file.readline()
        file.seek(max(source.stat().st_size - 1, 0))
        if file.read(1) != b"\n":
            return
    line_end = "\r\n" if first.endswith(b"\r\n") else "\n"
    try:
        columns = split_line(first.decode("utf-8-sig", "surrogateescape"))
    except ValueError:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=line_end)
    for row in rows:
        writer.writerow([row.get(column, "") for column in columns])
    with target.open("ab") as file:
        file.write(text.getvalue().encode())
