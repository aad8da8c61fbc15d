"""What requests look like, with examples that work when pasted."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Body, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from moovier.serving.recommender import LEAST_TOP_K, MOST_TOP_K


def _whole(value: Any) -> Any:
    """7.0 as 7: JSON knows numbers, and JSON Schema calls both an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _movie_key(value: Any) -> Any:
    """Keys of a JSON object are text; each id is written in one way, so that none comes twice."""
    if isinstance(value, str) and not re.fullmatch(MOVIE_KEY, value, re.ASCII):
        raise ValueError("a movie id is a positive whole number of at most 18 digits")
    return value


#: Ids fit 64 bits; the greatest is one that readers of JSON who have no such numbers read as it is.
MOST_ID = 9_200_000_000_000_000_000
#: MovieLens ids are positive.
Id = Annotated[StrictInt, Field(ge=1, le=MOST_ID), BeforeValidator(_whole)]
Stars = Annotated[float, Field(strict=True, ge=0.5, le=5, multiple_of=0.5, allow_inf_nan=False)]
MOST_USERS, MOST_RATINGS = 1000, 20_000

Users = Annotated[
    list[Id],
    Body(
        min_length=1,
        max_length=MOST_USERS,
        description="MovieLens user ids.",
        openapi_examples={"two people": {"value": [389, 456]}},
    ),
]
ModelName = Annotated[
    str | None,
    Query(
        max_length=200,
        description="A name from `/models`, an alias (`champion`, `challenger`, `previous`) or a "
        "version number. Left out: the champion.",
    ),
]
TopK = Annotated[
    int, Query(ge=LEAST_TOP_K, le=MOST_TOP_K, description="Movies for each user, best first.")
]
ValidationSplit = Annotated[
    float,
    Query(
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="Share of the batch, its last part, that decides when to stop.",
    ),
]
Patience = Annotated[
    int,
    Query(ge=1, le=1000, description="Epochs without a better `val_loss` before stopping."),
]


class NewRatings(BaseModel):
    """Three parallel lists: who rated what, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"users": [498, 389], "movies": [3699, 2702], "ratings": [4, 3]}]
        },
    )

    users: list[Id] = Field(min_length=1, max_length=MOST_RATINGS, description="MovieLens ids.")
    movies: list[Id] = Field(min_length=1, max_length=MOST_RATINGS, description="MovieLens ids.")
    ratings: list[Stars] = Field(
        min_length=1, max_length=MOST_RATINGS, description="Stars, 0.5 to 5 in half steps."
    )


MOST_GIVEN, MOST_EXCLUDED, MOST_GENRES = 5_000, 10_000, 50
MOST_PAGE, LONGEST_CURSOR, LONGEST_QUERY = 100, 900_000, 200
#: A whole URL may have 65,536 characters.
LONGEST_CURSOR_IN_URL = 60_000
#: How a cursor looks; one that does not is refused in words of its own.
CURSOR_LOOKS: dict[str, Any] = {"minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"}
#: Years that a filter may name.
FIRST_YEAR, LAST_YEAR = 1800, 2200
Year = Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR)]
Genre = Annotated[str, Field(min_length=1, max_length=100)]
PageSize = Annotated[int, Field(ge=1, le=MOST_PAGE)]
#: The same in a body, where text is no number.
GivenYear = Annotated[StrictInt, Field(ge=FIRST_YEAR, le=LAST_YEAR), BeforeValidator(_whole)]
GivenSize = Annotated[StrictInt, Field(ge=1, le=MOST_PAGE), BeforeValidator(_whole)]
Timestamp = Annotated[StrictInt, Field(ge=0, lt=2**32), BeforeValidator(_whole)]
MOVIE_KEY = r"[1-9][0-9]{0,17}"
StarsByMovie = Annotated[
    dict[Annotated[int, BeforeValidator(_movie_key)], Stars],
    Field(max_length=MOST_GIVEN),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{MOVIE_KEY}$"},
            "additionalProperties": {
                "type": "number",
                "minimum": 0.5,
                "maximum": 5,
                "multipleOf": 0.5,
            },
            "maxProperties": MOST_GIVEN,
        }
    ),
]
UserQuery = Annotated[
    int, Query(ge=1, le=MOST_ID, description="MovieLens user id.", examples=[1000001])
]
MovieQuery = Annotated[int, Query(ge=1, le=MOST_ID, description="MovieLens movie id.")]


class VisitorRating(BaseModel):
    """One rating that comes with a request."""

    model_config = ConfigDict(extra="forbid")

    movie_id: Id
    stars: Stars
    timestamp: Timestamp | None = Field(
        None, description="Seconds since 1970; left out: the present moment."
    )


def _each_movie_once(ratings: list[VisitorRating]) -> list[VisitorRating]:
    seen: set[int] = set()
    for one in ratings:
        if one.movie_id in seen:
            raise PydanticCustomError(
                "movie_twice",
                "movie {movie_id} is in the list more than once; give one rating for each movie",
                {"movie_id": one.movie_id},
            )
        seen.add(one.movie_id)
    return ratings


def _form_of(ratings: Any) -> str | None:
    """Return which of ``RATINGS_FORMS`` the ratings have; None: neither."""
    if isinstance(ratings, dict):
        return "object"
    return "list" if isinstance(ratings, list) else None


#: The forms that ratings may have in a request; pydantic names them where it finds an error.
RATINGS_FORMS = ("object", "list")
VisitorRatings = Annotated[
    Annotated[StarsByMovie, Tag("object")]
    | Annotated[
        Annotated[
            list[VisitorRating], Field(max_length=MOST_GIVEN), AfterValidator(_each_movie_once)
        ],
        Tag("list"),
    ],
    Discriminator(
        _form_of,
        custom_error_type="ratings_form",
        custom_error_message="give a list of objects with movie_id and stars, or an object of "
        "movie id to stars",
    ),
]


class RecommendRequest(BaseModel):
    """Who asks, and for what. With neither ``user_id`` nor ``ratings``: what is popular."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"ratings": {"1": 5, "260": 4.5, "1196": 5}, "top_k": 5, "genres": ["Sci-Fi"]},
                {
                    "ratings": [
                        {"movie_id": 1, "stars": 5},
                        {"movie_id": 260, "stars": 2, "timestamp": 1500000000},
                    ],
                    "top_k": 5,
                },
                {"user_id": 1, "top_k": 5, "year_from": 1990},
            ]
        },
    )

    user_id: Id | None = Field(None, description="MovieLens user id, known or not.")
    ratings: VisitorRatings | None = Field(
        None,
        description="Ratings of this person: a list of `{movie_id, stars, timestamp?}`, or an "
        "object of movie id to stars. Their order means nothing. A rating without a timestamp "
        "counts as given at the present moment. With `user_id` they count on top of what is "
        "known of the user; the newest rating of a movie counts.",
    )
    top_k: GivenSize = Field(10, description="Movies on a page.")
    genres: list[Genre] = Field([], max_length=MOST_GENRES, description="Any of them.")
    year_from: GivenYear | None = None
    year_to: GivenYear | None = None
    exclude: list[Id] = Field([], max_length=MOST_EXCLUDED, description="MovieLens movie ids.")
    cursor: (
        Annotated[str, Field(max_length=LONGEST_CURSOR, json_schema_extra=CURSOR_LOOKS)] | None
    ) = Field(None, description="`next` of the page before.")
    model_name: str | None = Field(
        None, max_length=200, description="As in `/predict`; left out: the champion."
    )

    @property
    def people(self) -> tuple[int, ...]:
        """User ids that the list is for: one, or none."""
        return () if self.user_id is None else (self.user_id,)

    @property
    def given(self) -> list[tuple[int, float, int | None]]:
        """Movie id, stars and timestamp of each rating, whichever form they came in."""
        if isinstance(self.ratings, dict):
            return [(movie_id, stars, None) for movie_id, stars in self.ratings.items()]
        return [(one.movie_id, one.stars, one.timestamp) for one in self.ratings or []]


class Reason(BaseModel):
    """A movie that this person rated and liked."""

    movie_id: int
    title: str


class Recommended(BaseModel):
    """``movie``: TMDB's details, or the catalogue's. ``score``: orders this person's movies.
    ``stars``: what the person would give it, 0.5 to 5."""

    movie_id: int = Field(description="MovieLens id.")
    movie: dict[str, Any]
    score: float
    stars: float | None
    source: Literal["model", "similar", "popular"]
    because: list[Reason] = Field(
        description="Up to three movies that this person liked, the most important first. A "
        "movie's importance is how much the score falls without that rating."
    )


class Recommendations(BaseModel):
    """A page of movies, best first."""

    request_id: str
    model: str = Field(description="Name of the model that answered.")
    model_version: int
    items: list[Recommended]
    next: str | None = Field(description="Cursor of the page after this one; null on the last.")
    days: int | None = Field(
        description="Window of popular movies: they are ranked by the ratings of so many days "
        "before the newest rating. Null: by the ratings of all time, or the movies are not "
        "ranked by popularity."
    )


class MovieShown(BaseModel):
    """A movie with what people did with it."""

    movie_id: int
    movie: dict[str, Any]
    title: str
    year: int | None
    genres: list[str]
    ratings: int = Field(description="How many people rated it.")
    mean_stars: float | None


class MoviePage(BaseModel):
    """A page of movies that were searched for."""

    items: list[MovieShown]
    next: str | None


class GivenRating(BaseModel):
    """One rating."""

    model_config = ConfigDict(extra="forbid")

    movie_id: Id
    stars: Stars
    timestamp: Timestamp | None = Field(None, description="Seconds since 1970; left out: now.")


class GivenRatings(BaseModel):
    """One person's ratings; the newest of a movie wins."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"user_id": 1000001, "ratings": [{"movie_id": 1, "stars": 4.5}]}]
        },
    )

    user_id: Id
    ratings: list[GivenRating] = Field(min_length=1, max_length=MOST_GIVEN)
    request_id: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        pattern=r"^[\x21-\x7e]+$",
        description="Of the list that they answer to.",
    )


class RatingsAck(BaseModel):
    """``ignored``: older than what is there. ``replayed``: the key was used before."""

    stored: int
    ignored: int
    replayed: bool


class OwnRating(BaseModel):
    movie_id: int
    stars: float
    timestamp: int
    request_id: str | None


class OwnRatings(BaseModel):
    """What was given here, oldest first; ratings of the data set are not among them."""

    user_id: int
    ratings: list[OwnRating]


class Deleted(BaseModel):
    deleted: int = Field(description="How many ratings given here went.")


class ModelShown(BaseModel):
    """One version of the registered model."""

    name: str
    version: int
    family: str
    aliases: list[str]
    metrics: dict[str, float]
    parent: str | None
    data_name: str | None
    data_hash: str | None
    created_at: datetime
    run_id: str
    run_url: str
    loaded: bool


class Liveness(BaseModel):
    """The process answers."""

    alive: bool


class ChampionShown(BaseModel):
    name: str
    version: int


class Health(BaseModel):
    """``ready``: there is a model to answer with. ``degraded``: a sentence for each trouble, also
    while the service answers."""

    ready: bool
    champion: ChampionShown | None = Field(description="The one that answers; null without one.")
    degraded: list[str]
