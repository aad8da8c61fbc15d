"""Read and write the lines of a ratings.csv one by one, with ids as numbers or texts."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from moovier.data.csv_values import decimal_number, split_line, whole_number
from moovier.data.text_columns import TextColumn, TextColumns
from moovier.feedback.ratings import StoredRating
from moovier.ids import MOVIE, USER, Kind
from moovier.timestamps import timestamp_problem

COLUMNS = ("userId", "movieId", "rating", "timestamp")


@dataclass(frozen=True)
class FolderTexts:
    """The texts of the ids of a folder and its feedback.

    ``columns``: which ids of the folder are texts. ``known``: the texts of the feedback's users and
    movies and of the folder's movies, by kind and number; empty for whole numbers.
    """

    columns: TextColumns = field(default_factory=TextColumns)
    known: Mapping[Kind, Mapping[int, str]] = field(default_factory=lambda: {USER: {}, MOVIE: {}})

    @classmethod
    def of(cls, columns: TextColumns, stored: Mapping[Kind, Mapping[int, str]]) -> FolderTexts:
        """Return the texts of a folder whose movies were read, with those of the feedback."""
        movies = {} if columns.movies is None else columns.movies.by_number()
        return cls(
            columns,
            {
                USER: {} if columns.users is None else stored[USER],
                MOVIE: {} if columns.movies is None else {**stored[MOVIE], **movies},
            },
        )

    def has(self, user_id: int, movie_id: int) -> bool:
        """Return whether both ids can be written: as numbers, or as texts that are known."""
        return self.has_movie(movie_id) and (
            self.columns.users is None or user_id in self.known[USER]
        )

    def has_movie(self, movie_id: int) -> bool:
        """Return whether a movie's id can be written."""
        return self.columns.movies is None or movie_id in self.known[MOVIE]

    def written(self, kind: Kind, number: int) -> str:
        """Return an id as a field of a CSV file."""
        text = self.known[kind].get(number)
        if text is None:
            return str(number)
        return '"' + text.replace('"', '""') + '"' if {",", '"'} & set(text) else text


@dataclass(frozen=True)
class Layout:
    """The column positions of a ratings.csv, which may have extra columns."""

    positions: Mapping[str, int]
    width: int
    texts: FolderTexts

    @classmethod
    def of(cls, header: list[str], texts: FolderTexts) -> Layout:
        """Return the layout of a header row."""
        names = [name.removeprefix("\ufeff") for name in header]
        return cls({name: names.index(name) for name in COLUMNS}, len(names), texts)

    def rating(self, line: str, users: Container[int]) -> StoredRating | None:
        """Return the rating of a line; None for an empty line and for users not in ``users``.

        Most rows of a large file are of other users, and only their user id is read.

        Raises:
            ValueError: the line cannot be read; the message is the reason.
        """
        fields = split_line(line, self.width)
        if not fields:
            return None
        user, movie, stars, timestamp = (fields[self.positions[name]] for name in COLUMNS)
        columns = self.texts.columns
        user_id = _number(columns.users, user, "userId")
        if user_id not in users:
            return None
        moment = whole_number(timestamp, "timestamp")
        if problem := timestamp_problem(moment):
            raise ValueError(f"timestamp {moment} {problem}")
        movie_id = _number(columns.movies, movie, "movieId")
        return StoredRating(user_id, movie_id, decimal_number(stars, "rating"), moment, None)

    def line(self, rating: StoredRating) -> str:
        """Return a rating as a line, without the line end."""
        fields = [""] * self.width
        user, movie = (
            self.texts.written(USER, rating.user_id),
            self.texts.written(MOVIE, rating.movie_id),
        )
        values = (user, movie, f"{rating.stars:.1f}", str(rating.timestamp))
        for name, value in zip(COLUMNS, values, strict=True):
            fields[self.positions[name]] = value
        return ",".join(fields)


def _number(column: TextColumn | None, text: str, name: str) -> int:
    return whole_number(text, name) if column is None else column.number(text, name)
