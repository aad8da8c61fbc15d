"""Append the movies that were added beside the data set to its movies.csv and links.csv."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from moovier.data.catalogue import NO_GENRE
from moovier.data.csv_values import split_line
from moovier.data.movielens import LINKS, MOVIES
from moovier.feedback.new_movies import NewMovie


def append_movies(source: Path, target: Path, movies: Sequence[NewMovie]) -> None:
    """Write the movie files of ``source`` to the folder ``target`` with ``movies`` at the end.

    The movies must not be in the files yet. links.csv changes only where it exists and a movie
    has a TMDB id.
    """
    _append(source / MOVIES, target / MOVIES, [_movie_row(movie) for movie in movies])
    links = [
        {"movieId": str(movie.id), "tmdbId": str(movie.tmdb_id)}
        for movie in movies
        if movie.tmdb_id is not None
    ]
    if links and (source / LINKS).is_file():
        _append(source / LINKS, target / LINKS, links)


def _movie_row(movie: NewMovie) -> dict[str, str]:
    title = movie.title if movie.year is None else f"{movie.title} ({movie.year})"
    genres = "|".join(movie.genres) or NO_GENRE
    return {"movieId": str(movie.id), "title": title, "genres": genres}


def _append(source: Path, target: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Copy a CSV file and append rows; columns that a row lacks are empty.

    To a file without a final line end nothing is appended, so that validation refuses it.
    """
    shutil.copyfile(source, target)
    with source.open("rb") as file:
        first = file.readline()
        file.seek(-1, io.SEEK_END)
        if file.read(1) != b"\n":
            return
    line_end = "\r\n" if first.endswith(b"\r\n") else "\n"
    columns = split_line(first.decode("utf-8-sig", "surrogateescape"))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=line_end)
    for row in rows:
        writer.writerow([row.get(column, "") for column in columns])
    with target.open("ab") as file:
        file.write(text.getvalue().encode())
