"""Read and validate a folder in MovieLens layout.

Layout: ``ratings.csv`` (userId, movieId, rating, timestamp), ``movies.csv`` (movieId, title,
genres) and ``links.csv`` (movieId, imdbId, tmdbId; may be missing). The files are UTF-8, with or
without a byte order mark, with Unix or Windows line ends. Other columns are ignored. Source:
https://files.grouplens.org/datasets/movielens/ml-latest-small-README.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moovier.data import schema
from moovier.data.catalogue import NO_GENRE, Catalogue, Movie, split_title
from moovier.data.csv_tables import Tables
from moovier.data.dvc_hash import directory_hash
from moovier.data.foreign_files import describe_file
from moovier.data.id_texts import IdTexts, TextTable
from moovier.data.ratings import Index, Ratings
from moovier.data.text_columns import TextColumn, TextColumns
from moovier.errors import InvalidData

RATINGS, MOVIES, LINKS = "ratings.csv", "movies.csv", "links.csv"
#: A file that marks a folder of synthetic ratings.
SYNTHETIC_MARK = "SYNTHETIC.txt"
#: A file that marks ratings that were made from events: they are no stars.
EVENTS_MARK = "EVENTS.txt"
#: The files that are read; no other file of a folder changes anything.
FILES_READ = (RATINGS, MOVIES, LINKS, SYNTHETIC_MARK, EVENTS_MARK)
NO_TEXTS = TextColumns()


@dataclass(frozen=True)
class MovieLens:
    """A valid data set.

    ``ratings``: columns userId, movieId, rating, timestamp, in file order. ``movies``: columns
    movieId, title, genres, year, imdbId, tmdbId, one row per movie. ``set_aside``: bad rows that
    were left out, each "file, row N: reason". ``ids``: the texts of ids that are text; None where
    all ids are whole numbers.
    """

    name: str
    ratings: pd.DataFrame
    movies: pd.DataFrame
    synthetic: bool
    set_aside: tuple[str, ...] = ()
    ids: IdTexts | None = None


def read_movielens(
    folder: Path,
    *,
    bad_rows_share: float = 0.0,
    name: str | None = None,
    synthetic: bool | None = None,
) -> MovieLens:
    """Read and validate a folder in MovieLens layout.

    ``bad_rows_share``: the share of each file's rows (0 to 1) that may be bad and is set aside.
    ``synthetic``: whether the ratings are synthetic; None reads it from the folder.

    Raises:
        InvalidData: the data is invalid; one problem per bad row, with file, row and reason. Row
            1 is the header.
    """
    tables = tables_of(folder, bad_rows_share)
    texts = TextColumns.of(folder / RATINGS, folder / MOVIES)
    movies = read_movies(tables, texts)
    ratings = tables.read_valid_rows(
        RATINGS,
        texts.within(schema.RATING_COLUMNS),
        schema.ratings_schema(movies["movieId"]),
        replaced=schema.older_ratings,
    )
    return MovieLens(
        name=name or folder.resolve().name,
        ratings=ratings,
        movies=movies,
        synthetic=(folder / SYNTHETIC_MARK).exists() if synthetic is None else synthetic,
        set_aside=tuple(tables.set_aside),
        ids=_id_texts(texts, ratings, movies),
    )


def tables_of(folder: Path, bad_rows_share: float) -> Tables:
    """Return the tables of a folder in MovieLens layout.

    Raises:
        InvalidData: it is no folder.
    """
    if folder.is_file():
        raise InvalidData(describe_file(folder))
    if not folder.is_dir():
        raise InvalidData(f"{folder} is not a folder: name a folder in MovieLens layout")
    return Tables(folder, bad_rows_share)


def read_movies(tables: Tables, texts: TextColumns = NO_TEXTS) -> pd.DataFrame:
    """Return :attr:`MovieLens.movies` of a folder.

    ``texts``: the columns that have text ids, which also gets the texts of the movies.

    Raises:
        InvalidData: movies.csv or links.csv cannot be used, or too many of its rows are bad.
    """
    movies = _movies(tables, texts)
    if not (tables.folder / LINKS).exists():
        return _with_details(movies, None)
    rules = schema.links_schema(movies["movieId"])
    columns = texts.within(schema.LINK_COLUMNS)
    return _with_details(movies, tables.read_valid_rows(LINKS, columns, rules))


def read_movie_ids(
    folder: Path, bad_rows_share: float, texts: TextColumns = NO_TEXTS
) -> frozenset[int]:
    """Return the ids of the valid movies of a folder.

    ``texts``: the columns that have text ids, which also gets the texts of the movies.

    Raises:
        InvalidData: movies.csv cannot be used, or too many of its rows are bad.
    """
    return frozenset(_movies(Tables(folder, bad_rows_share), texts)["movieId"].tolist())


def _id_texts(texts: TextColumns, ratings: pd.DataFrame, movies: pd.DataFrame) -> IdTexts | None:
    """Return the texts of the users with ratings and of the movies.

    Raises:
        InvalidData: two texts have the same number.
    """
    used = ((texts.users, ratings["userId"]), (texts.movies, movies["movieId"]))
    tables = {
        column.kind: TextTable.of(_used_texts(column, numbers))
        for column, numbers in used
        if column is not None
    }
    return IdTexts(tables) if tables else None


def _used_texts(column: TextColumn, numbers: pd.Series) -> dict[int, str]:
    by_number = column.by_number()
    return {number: by_number[number] for number in numbers.unique().tolist()}


def own_folder_hash(folder: Path) -> str:
    """Return the DVC directory hash of the files that are read from a person's own folder."""
    return directory_hash(folder, FILES_READ)


def _movies(tables: Tables, texts: TextColumns) -> pd.DataFrame:
    columns = texts.within(schema.MOVIE_COLUMNS)
    return tables.read_valid_rows(MOVIES, columns, schema.movies_schema())


def to_arrays(data: MovieLens) -> tuple[Index, Ratings, Catalogue]:
    """Convert to arrays: all users with ratings, the whole catalogue, ratings in file order."""
    index = Index(
        users=np.unique(data.ratings["userId"].to_numpy(np.int64)),
        movies=np.sort(data.movies["movieId"].to_numpy(np.int64)),
    )
    ratings = Ratings(
        users=index.user_rows(data.ratings["userId"].to_numpy(np.int64)),
        movies=index.movie_rows(data.ratings["movieId"].to_numpy(np.int64)),
        stars=data.ratings["rating"].to_numpy(np.float32),
        timestamps=data.ratings["timestamp"].to_numpy(np.int64),
        n_users=index.users.size,
        n_movies=index.movies.size,
    )
    return index, ratings, catalogue(data.movies)


def catalogue(movies: pd.DataFrame) -> Catalogue:
    """Convert :attr:`MovieLens.movies` to a catalogue."""
    columns = ("movieId", "title", "year", "genres", "imdbId", "tmdbId")
    return Catalogue.of(
        Movie(
            id=int(movie_id),
            title=title,
            year=None if pd.isna(year) else int(year),
            genres=() if genres in ("", NO_GENRE) else tuple(genres.split("|")),
            imdb_id=None if pd.isna(imdb_id) else imdb_id,
            tmdb_id=None if pd.isna(tmdb_id) else int(tmdb_id),
        )
        for movie_id, title, year, genres, imdb_id, tmdb_id in zip(
            *(movies[column] for column in columns), strict=True
        )
    )


def _with_details(movies: pd.DataFrame, links: pd.DataFrame | None) -> pd.DataFrame:
    """Split the titles from the years and add the ids of IMDb and TMDB."""
    titles = [split_title(title) for title in movies["title"]]
    detailed = movies.assign(
        title=[title for title, _ in titles],
        year=pd.array([year for _, year in titles], dtype="Int64"),
    )
    if links is None:
        links = pd.DataFrame({"movieId": [], "imdbId": [], "tmdbId": []}).astype(
            {"movieId": np.int64, "imdbId": "Int64", "tmdbId": "Int64"}
        )
    merged = detailed.merge(links, on="movieId", how="left")
    # MovieLens omits the leading zeros of IMDb's seven digits.
    imdb = [None if pd.isna(number) else f"tt{int(number):07d}" for number in merged["imdbId"]]
    return merged.assign(imdbId=pd.Series(imdb, dtype=object))
