"""A service on three trained models, and checks of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from bentos.app_state import AppState
from bentos.schemas.pages import Recommendations
from moovier.registry.version import Version
from moovier.serving.context import ServingContext
from moovier.settings import Settings
from tests.fixtures import TITLED_IDS as IDS
from tests.service.in_process import InProcessClient

Model = TypeVar("Model", bound=BaseModel)
#: User ids that no model knows, each used once.
new_user_ids = count(1_000_000)
UNKNOWN_MOVIE = 2
JSON = {"Content-Type": "application/json"}


@dataclass
class ApiClient:
    """A service with a champion, another model and a rating model."""

    client: InProcessClient
    settings: Settings
    champion: Version
    other: Version
    rating_model: Version
    #: Movie ids that each user rated.
    rated: dict[int, set[int]]
    #: Number of ratings of each movie.
    counts: dict[int, int]

    @property
    def state(self) -> AppState:
        return self.client.state

    @property
    def context(self) -> ServingContext:
        return self.client.context

    def recommend(self, **fields: Any) -> Recommendations:
        return parsed(self.client.post("/recommend", json=fields), Recommendations)

    def rate(self, user: int, *ratings: tuple[int, float], **fields: Any) -> httpx.Response:
        items = [{"movie_id": movie, "stars": stars} for movie, stars in ratings]
        answer: httpx.Response = self.client.post(
            "/ratings", json={"user_id": user, "ratings": items, **fields}
        )
        return answer

    def all_pages(self, **fields: Any) -> list[Recommendations]:
        pages = [self.recommend(**fields)]
        while pages[-1].next is not None:
            assert len(pages) <= len(IDS)
            pages.append(self.recommend(**fields, cursor=pages[-1].next))
        return pages


def parsed(answer: httpx.Response, model: type[Model]) -> Model:
    """Return a good answer as its declared type, which must declare every field."""
    assert answer.status_code == 200, answer.text
    body = model.model_validate_json(answer.content, extra="forbid")
    assert len(answer.headers["x-request-id"]) == 32
    if isinstance(body, Recommendations):
        assert body.request_id == answer.headers["x-request-id"]
        assert body.model == answer.headers["x-moovier-model"]
        assert str(body.model_version) == answer.headers["x-moovier-model-version"]
    return body


def error_of(answer: httpx.Response, status: int) -> str:
    """Return the detail of an error response, whose form is checked."""
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"detail"}
    assert "Traceback" not in answer.text
    return str(answer.json()["detail"])


def ids_of(page: Recommendations) -> list[int]:
    """Return the MovieLens ids of a page."""
    return [int(item.movie_id) for item in page.items]
