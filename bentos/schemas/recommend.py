"""Schema of a request to `/recommend`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bentos.schemas.fields import Model, MovieId, Region, UserId, whole_number
from bentos.schemas.movies import (
    CURSOR_SCHEMA,
    MAX_GENRES,
    MAX_PAGE_SIZE,
    MAX_YEAR,
    MIN_YEAR,
    Genre,
)
from bentos.schemas.person_ratings import PersonRatings, to_request_ratings
from moovier.ids import MAX_ID
from moovier.serving import requests
from moovier.serving.filters import Filter
from moovier.serving.group import MAX_PEOPLE, MIN_PEOPLE, GroupRequest, Strategy
from moovier.serving.tmdb_filter import TmdbFilter
from moovier.serving.variety import Variety

MAX_EXCLUDED, MAX_CURSOR_LENGTH = 10_000, 900_000
MAX_PROVIDERS, MAX_MINUTES = 50, 10_000
_Minutes = Annotated[StrictInt, Field(ge=1, le=MAX_MINUTES), BeforeValidator(whole_number)]
ProviderId = Annotated[StrictInt, Field(ge=1, le=MAX_ID), BeforeValidator(whole_number)]
Language = Annotated[str, Field(pattern="^[a-z]{2}$", min_length=2, max_length=2)]
# In a body, a string is not a number.
_BodyYear = Annotated[StrictInt, Field(ge=MIN_YEAR, le=MAX_YEAR), BeforeValidator(whole_number)]
_Weight = Annotated[StrictFloat, Field(ge=0, le=1)]
_BodyPageSize = Annotated[StrictInt, Field(ge=1, le=MAX_PAGE_SIZE), BeforeValidator(whole_number)]


class Person(BaseModel):
    """One person of a group: a user, a visitor with ratings, or both."""

    model_config = ConfigDict(extra="forbid")

    user_id: UserId | None = Field(None, description="MovieLens user id, known or not.")
    ratings: PersonRatings | None = Field(None, description="As in `ratings` of the request.")

    @model_validator(mode="after")
    def _is_somebody(self) -> Self:
        if self.user_id is None and not self.ratings:
            raise PydanticCustomError(
                "nobody", "a person needs a user_id, ratings, or both; this one has neither"
            )
        return self

    def to_request(self) -> requests.RecommendRequest:
        """Return the person without HTTP's types."""
        return requests.RecommendRequest(
            user_id=self.user_id, ratings=to_request_ratings(self.ratings)
        )


class RecommendRequest(BaseModel):
    """A user or visitor, and which movies they want.

    Without ``user_id`` and ``ratings`` the answer is a list of popular movies.
    """

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
                {"people": [{"user_id": 1}, {"ratings": {"1": 5, "260": 2}}], "top_k": 5},
            ]
        },
    )

    user_id: UserId | None = Field(None, description="MovieLens user id, known or not.")
    ratings: PersonRatings | None = Field(
        None,
        description="Ratings of this user or visitor: a list of `{movie_id, stars, timestamp?}`, "
        "or an object of movie id to stars. Their order does not matter. A rating without a "
        "timestamp counts as given at the present moment. With `user_id` they count on top of "
        "the user's known ratings; the newest rating of a movie counts.",
    )
    people: Annotated[list[Person], Field(min_length=MIN_PEOPLE, max_length=MAX_PEOPLE)] | None = (
        Field(
            None,
            description="Several people who watch together, instead of `user_id` and `ratings`: "
            "one list of movies that none of them has rated.",
        )
    )
    strategy: Strategy = Field(
        "fair",
        description="How a list for `people` is made. `mean`: the highest mean first. "
        "`least_misery`: the movie that the least satisfied person likes best. `fair`: each "
        "movie balances the mean and the person who is least satisfied so far.",
    )
    top_k: _BodyPageSize = Field(10, description="Movies on a page.")
    genres: list[Genre] = Field([], max_length=MAX_GENRES, description="Movies with any of these.")
    year_from: _BodyYear | None = None
    year_to: _BodyYear | None = None
    exclude: list[MovieId] = Field(
        [], max_length=MAX_EXCLUDED, description="MovieLens ids to leave out."
    )
    cursor: (
        Annotated[str, Field(max_length=MAX_CURSOR_LENGTH, json_schema_extra=CURSOR_SCHEMA)] | None
    ) = Field(None, description="`next` of the previous page.")
    diversity: _Weight = Field(
        0,
        description="0 to 1: how much each movie should differ from those before it in genre and "
        "year. 0 ranks by the score alone.",
    )
    novelty: _Weight = Field(
        0, description="0 to 1: how much less known movies are preferred. 0 ranks by the score."
    )
    max_per_series: (
        Annotated[StrictInt, Field(ge=1, le=MAX_PAGE_SIZE), BeforeValidator(whole_number)] | None
    ) = Field(
        None,
        description="Most movies of one series on a page. Titles identify a series.",
    )
    providers: list[ProviderId] = Field(
        [],
        max_length=MAX_PROVIDERS,
        description="Ids of TMDB's watch providers, any of which shows the movie in `region` "
        "without an extra payment. This and the next four need a TMDB key. They narrow the best "
        "300 movies of the list; movies that TMDB did not answer about are left out.",
    )
    region: Region = Field("US", description="Country of `providers`, ISO 3166-1.")
    runtime_from: _Minutes | None = Field(None, description="Shortest runtime in minutes.")
    runtime_to: _Minutes | None = Field(None, description="Longest runtime in minutes.")
    language: Language | None = Field(None, description="Original language, ISO 639-1.")
    model_name: Model = Field(None, description="As in `/predict`; left out: the champion.")

    def to_request(self) -> requests.RecommendRequest:
        """Return the request without HTTP's types."""
        return requests.RecommendRequest(
            user_id=self.user_id,
            ratings=to_request_ratings(self.ratings),
            top_k=self.top_k,
            filter=Filter(tuple(self.genres), self.year_from, self.year_to),
            exclude=tuple(self.exclude),
            cursor=self.cursor,
            model_name=self.model_name,
            variety=Variety(self.diversity, self.novelty, self.max_per_series),
            tmdb_filter=self._tmdb_filter(),
        )

    def _tmdb_filter(self) -> TmdbFilter | None:
        chosen = TmdbFilter(
            tuple(self.providers), self.region, self.runtime_from, self.runtime_to, self.language
        )
        return chosen if chosen.providers or chosen.needs_details else None

    @model_validator(mode="after")
    def _is_one_person_or_a_group(self) -> Self:
        alone = self.user_id is not None or self.ratings is not None
        varied = self.diversity or self.novelty or self.max_per_series is not None
        narrowed = self._tmdb_filter() is not None
        if self.people is not None and (alone or varied or narrowed):
            other = "user_id and ratings" if alone else "diversity, novelty and max_per_series"
            if narrowed:
                other = "providers, runtimes and language"
            raise PydanticCustomError(
                "people_and_one", "people cannot be combined with {other}", {"other": other}
            )
        return self

    def to_group_request(self) -> GroupRequest | None:
        """Return the request of a group without HTTP's types; None for one person."""
        if self.people is None:
            return None
        return GroupRequest(
            people=tuple(person.to_request() for person in self.people),
            strategy=self.strategy,
            top_k=self.top_k,
            filter=Filter(tuple(self.genres), self.year_from, self.year_to),
            exclude=tuple(self.exclude),
            cursor=self.cursor,
            model_name=self.model_name,
        )
