"""Schemas of movies that are added beside the data set."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from bentos.schemas.fields import ShownId, whole_number
from moovier.feedback.new_movies import (
    MAX_GENRE,
    MAX_GENRES,
    MAX_PEOPLE,
    MAX_PERSON,
    MAX_TEXT,
    MAX_TITLE,
    MAX_YEAR,
    MIN_YEAR,
    NewMovie,
)
from moovier.ids import MAX_SITE_ID

#: No control characters and no ``|``, which separates names in the data set's files.
_NAME = r"^[^|\x00-\x1f\x7f]*[^|\x00-\x20\x7f][^|\x00-\x1f\x7f]*$"
_GENRE_NAME = r"^[^|,;\[\]\x00-\x1f\x7f]*[^|,;\[\]\x00-\x20\x7f][^|,;\[\]\x00-\x1f\x7f]*$"
_TITLE = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
_Year = Annotated[StrictInt, Field(ge=MIN_YEAR, le=MAX_YEAR), BeforeValidator(whole_number)]
_TmdbId = Annotated[StrictInt, Field(ge=1, le=MAX_SITE_ID), BeforeValidator(whole_number)]
_Genre = Annotated[str, Field(min_length=1, max_length=MAX_GENRE, pattern=_GENRE_NAME)]
_Person = Annotated[str, Field(min_length=1, max_length=MAX_PERSON, pattern=_NAME)]


class MovieToAdd(BaseModel):
    """A movie beside the data set, described by its content."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "title": "The Odyssey",
                    "year": 2026,
                    "genres": ["Action", "Adventure"],
                    "tmdb_id": 1368337,
                    "people": ["Christopher Nolan", "Matt Damon"],
                    "text": "Odysseus travels home after the Trojan War.",
                }
            ]
        },
    )

    title: str = Field(
        min_length=1, max_length=MAX_TITLE, pattern=_TITLE, description="Without the year."
    )
    year: _Year | None = None
    genres: list[_Genre] = Field([], max_length=MAX_GENRES, description="The data set's names.")
    tmdb_id: _TmdbId | None = None
    people: list[_Person] = Field([], max_length=MAX_PEOPLE, description="Directors and actors.")
    text: str = Field(
        "", max_length=MAX_TEXT, pattern=r"^[^\x00]*$", description="What it is about."
    )

    def to_movie(self, movie_id: int) -> NewMovie:
        """Return the movie without HTTP's types."""
        return NewMovie(
            id=movie_id,
            title=self.title.strip(),
            year=self.year,
            genres=tuple(dict.fromkeys(map(str.strip, self.genres))),
            tmdb_id=self.tmdb_id,
            people=tuple(dict.fromkeys(map(str.strip, self.people))),
            text=self.text,
        )


class MovieDeleted(BaseModel):
    """The id of the movie that was deleted."""

    deleted: ShownId
