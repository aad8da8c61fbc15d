"""The API in this process, on a real MLflow."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bentos.app import create_app
from bentos.errors import MOST_BYTES
from moovier.data.catalogue import Catalogue
from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.fakes.tmdb import BRAVEHEART, V3_KEY, fake_tmdb
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server
from tests.service.conftest import environment, own_settings, promote, published

NAME, OTHER = "moovier_popular_1_trained_0", "moovier_popular_2_trained_0"
BATCH = {"users": [7, 11], "movies": [1, 2], "ratings": [4, 0.5]}


@dataclass
class FakeTrainer:
    """Stands where BentoML puts the trainer's client."""

    told: Any = field(default_factory=lambda: {"name": NAME, "version": 1, "skipped": []})
    asked: list[dict[str, Any]] = field(default_factory=list)

    @property
    def to_async(self) -> SimpleNamespace:
        return SimpleNamespace(fine_tune=self._fine_tune)

    async def _fine_tune(self, **asked: Any) -> Any:
        self.asked.append(asked)
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


@contextlib.contextmanager
def started(settings: Settings, **more: str) -> Iterator[TestClient]:
    """The application as its own process would start it, with more settings if need be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TMDB_API_KEY", raising=False)
        for name, value in environment(settings, **more).items():
            patch.setenv(name, value)
        app = create_app()
        client = TestClient(
            app, raise_server_exceptions=False, follow_redirects=False, client=("127.0.0.1", 1)
        )
        client.__enter__()
    app.state.trainer = FakeTrainer()
    try:
        yield client
    finally:
        client.__exit__(None, None, None)


@pytest.fixture(scope="module")
def two_models(
    mlflow: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Settings]]:
    """With a champion and one more model, for tests that change neither."""
    folder = tmp_path_factory.mktemp("two-models")
    settings = own_settings(mlflow, folder / "home")
    promote(settings, published(settings, folder))
    published(settings, folder, OTHER)
    with started(settings) as client:
        yield client, settings


@pytest.fixture
def client(two_models: tuple[TestClient, Settings]) -> TestClient:
    client, _ = two_models
    client.app.state.trainer = FakeTrainer()  # type: ignore[attr-defined]
    return client


@pytest.fixture
def trainer(client: TestClient) -> FakeTrainer:
    there: FakeTrainer = client.app.state.trainer  # type: ignore[attr-defined]
    return there


def titles(answer: Any) -> dict[str, list[str]]:
    return {user: [movie["title"] for movie in movies] for user, movies in answer.json().items()}


def test_the_champion_answers_unless_another_is_named(client: TestClient) -> None:
    answer = client.post("/predict?top_k=2", json=[7, 11])
    assert titles(answer) == {"7": ["Movie 47", "Movie 6"], "11": ["Movie 1", "Movie 47"]}
    assert answer.headers["x-moovier-model"] == NAME
    assert answer.headers["x-moovier-model-version"] == "1"
    assert "x-moovier-unknown-users" not in answer.headers
    for name in (OTHER, f"{OTHER}.h5", "2"):
        other = client.post(f"/predict?top_k=2&model_name={name}", json=[7, 11])
        assert other.content == answer.content
        assert other.headers["x-moovier-model"] == OTHER


def test_models_are_listed_newest_first(client: TestClient) -> None:
    assert client.get("/models").json() == [OTHER, NAME]


def test_an_unknown_user_gets_what_is_popular_and_is_named(client: TestClient) -> None:
    answer = client.post("/predict?top_k=1", json=[999, 7, 999])
    assert titles(answer) == {"999": ["Movie 2"], "7": ["Movie 47"]}
    assert answer.headers["x-moovier-unknown-users"] == "999"


def test_a_long_list_ends_where_the_movies_end(client: TestClient) -> None:
    assert len(client.post("/predict?top_k=1000", json=[7]).json()["7"]) == 3


@pytest.mark.parametrize(
    ("query", "body", "says"),
    [
        ("top_k=0", "[7]", "query.top_k"),
        ("top_k=1000000", "[7]", "less than or equal to 1000"),
        ("top_k=three", "[7]", "query.top_k"),
        ("top_k=nan", "[7]", "query.top_k"),
        ("", "[]", "at least 1"),
        ("", '["7"]', "body.0"),
        ("", "[7.5]", "body.0"),
        ("", "[true]", "body.0"),
        ("", "[null]", "body.0"),
        ("", "[0]", "body.0"),
        ("", "[99999999999999999999]", "body.0"),
        ("", "[NaN]", "body.0"),
        ("", "{}", "list"),
        ("", "7", "list"),
        ("", "", "body"),
        ("", "not json", "not JSON"),
        ("", "[7", "not JSON"),
        ("top_k=1000", json.dumps(list(range(1, 200))), "100000"),
        ("", json.dumps([7] * 1001), "at most 1000"),
        ("model_name=" + "x" * 201, "[7]", "query.model_name"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(
    client: TestClient, query: str, body: str, says: str
) -> None:
    answer = client.post(
        f"/predict?{query}", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.json().keys() == {"detail"}
    assert says in answer.json()["detail"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "name", ["nope", "../../etc/passwd", "%2Fetc%2Fpasswd", "..%5C..", "99", "1/../1", "%00", "'"]
)
def test_an_unknown_model_is_told_the_names_there_are(
    two_models: tuple[TestClient, Settings], name: str
) -> None:
    client, settings = two_models
    before = sorted(settings.home.rglob("*"))
    answer = client.post(f"/predict?model_name={name}", json=[7])
    assert answer.status_code == 404
    assert NAME in answer.json()["detail"]
    assert sorted(settings.home.rglob("*")) == before


@pytest.mark.parametrize(
    "change",
    [
        {"ratings": [float("nan"), 3]},
        {"ratings": [float("inf"), 3]},
        {"ratings": [0, 3]},
        {"ratings": [5.5, 3]},
        {"ratings": [3.3, 3]},
        {"ratings": ["three", 3]},
        {"users": []},
        {"users": [7]},
        {"users": ["seven", 7]},
        {"movies": [-1, 2]},
        {"movies": None},
        {"extra": 1},
    ],
)
def test_ratings_that_make_no_sense_never_reach_the_trainer(
    client: TestClient, trainer: FakeTrainer, change: dict[str, Any]
) -> None:
    # By hand: the client's own writer of JSON refuses NaN.
    answer = client.post(
        "/train",
        content=json.dumps({**BATCH, **change}),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text
    [wrong] = change
    assert wrong in answer.json()["detail"]
    assert trainer.asked == []


def test_lists_of_different_lengths_are_counted(client: TestClient) -> None:
    answer = client.post("/train", json={**BATCH, "movies": [1, 2, 3]})
    assert answer.json()["detail"] == (
        "users, movies and ratings must be of one length, not 2, 3 and 2"
    )


@pytest.mark.parametrize("query", ["validation_split=1", "validation_split=nan", "patience=0"])
def test_options_out_of_range_never_reach_the_trainer(
    client: TestClient, trainer: FakeTrainer, query: str
) -> None:
    assert client.post(f"/train?{query}", json=BATCH).status_code == 422
    assert trainer.asked == []


def test_train_hands_on_what_was_asked_and_names_what_was_skipped(
    client: TestClient, trainer: FakeTrainer
) -> None:
    trainer.told = {"name": "moovier_emb_3_trained_1", "version": 9, "skipped": [2437, 8265]}
    answer = client.post(
        "/train?model_name=moovier_emb_3_trained_0.h5&validation_split=0.25&patience=3", json=BATCH
    )
    assert answer.json() == "moovier_emb_3_trained_1"
    assert answer.headers["x-moovier-skipped-movies"] == "2437,8265"
    assert answer.headers["x-moovier-model-version"] == "9"
    assert trainer.asked == [
        {
            "model_name": "moovier_emb_3_trained_0",
            **BATCH,
            "validation_split": 0.25,
            "patience": 3,
        }
    ]
    client.post("/train", json=BATCH)
    assert trainer.asked[1]["model_name"] == "champion"


def test_a_name_from_train_is_known_at_once(settings: Settings, tmp_path: Path) -> None:
    child = "moovier_popular_1_trained_1"
    promote(settings, published(settings, tmp_path))
    # Only what answers after a training may look at the registry.
    with started(settings, MOOVIER_REGISTRY_POLL_S="600") as client:
        assert client.post(f"/predict?model_name={child}", json=[7]).status_code == 404
        published(settings, tmp_path, child)
        told = {"name": child, "version": 2, "skipped": []}
        client.app.state.trainer = FakeTrainer(told)  # type: ignore[attr-defined]
        assert client.post("/train", json=BATCH).json() == child
        assert client.get("/models").json() == [child, NAME]
        assert client.post(f"/predict?model_name={child}", json=[7]).status_code == 200


def test_what_the_trainer_says_becomes_the_answer(client: TestClient, trainer: FakeTrainer) -> None:
    from bentoml.exceptions import BentoMLException, ServiceUnavailable

    # BentoML's types are skipped: importing them all takes mypy minutes.
    class TooManyRequests(BentoMLException):  # type: ignore[misc]
        error_code: Any = 429

    class TimedOut(BentoMLException):  # type: ignore[misc]
        error_code: Any = 504

    for told, status in (
        ({"status": 404, "detail": "unknown model"}, 404),
        ({"status": 422, "detail": "none of the movies"}, 422),
        (TooManyRequests("Too many requests"), 429),
        (TimedOut("late"), 504),
        (ServiceUnavailable("gone"), 503),
        (BentoMLException("secret trace"), 503),
        (ConnectionRefusedError("/tmp/uds/secret.sock"), 503),
    ):
        trainer.told = told
        answer = client.post("/train", json=BATCH)
        assert answer.status_code == status
        assert answer.json().keys() == {"detail"}
        assert ("retry-after" in answer.headers) == (status in (429, 503))
        assert "secret" not in answer.text


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_turned_away(client: TestClient, chunked: bool) -> None:
    body = b"[" + b"1," * MOST_BYTES + b"1]"
    content = iter([body[:1000], body[1000:]]) if chunked else body
    answer = client.post("/predict", content=content)
    assert answer.status_code == 413
    assert str(MOST_BYTES) in answer.json()["detail"]


def test_other_paths_and_methods_answer_in_the_same_shape(client: TestClient) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/predict", 405)):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json().keys()) == (status, {"detail"})


def test_an_unforeseen_error_shows_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bentos.predicting._body", lambda *_: 1 / 0)
    answer = client.post("/predict", json=[7])
    assert answer.status_code == 500
    assert answer.json() == {"detail": "the request failed; the log has the reason"}


def test_before_the_first_training_it_says_so(settings: Settings, tmp_path: Path) -> None:
    with started(settings) as client:
        answer = client.post("/predict", json=[7])
        assert answer.status_code == 503
        assert "no model has been trained yet" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/models").json() == []
        # A model that nobody promoted lends its figures to a list of what is popular.
        published(settings, tmp_path)
        answer = client.post("/predict?top_k=1", json=[7])
        assert titles(answer) == {"7": ["Movie 47"]}
        assert answer.headers["x-moovier-model"] == "popular"


def test_a_promotion_and_a_rollback_are_followed(settings: Settings, tmp_path: Path) -> None:
    promote(settings, published(settings, tmp_path))
    second = published(settings, tmp_path, OTHER)
    with started(settings) as client:
        assert answered_by(client, NAME)
        promote(settings, second)
        assert answered_by(client, OTHER)
        open_registry(settings).rollback("worse")
        assert answered_by(client, NAME)


def answered_by(client: TestClient, name: str, patience_s: float = 20.0) -> bool:
    """Whether ``name`` comes to be the champion; each answer until then must be a good one."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        answer = client.post("/predict", json=[7])
        assert answer.status_code == 200
        if answer.headers["x-moovier-model"] == name:
            return True
        time.sleep(0.05)
    return False


def test_tmdb_fills_the_movies(settings: Settings, tmp_path: Path) -> None:
    model = toy_bundle(NAME)
    catalogue = Catalogue.of(
        replace(movie, tmdb_id=197) if movie.id == 2 else movie for movie in model.catalogue
    )
    promote(settings, register(settings, tmp_path, replace(model, catalogue=catalogue)))
    with (
        fake_tmdb() as tmdb,
        started(settings, TMDB_API_KEY=V3_KEY, MOOVIER_TMDB_URL=tmdb.address) as client,
    ):
        first, second = client.post("/predict?top_k=2", json=[13]).json()["13"]
        assert first == BRAVEHEART
        assert second["title"] == "Movie 1"
        assert list(second) == list(BRAVEHEART)
        # What is cached goes on being shown, whatever TMDB does.
        tmdb.status = 500
        assert client.post("/predict?top_k=1", json=[13]).json()["13"] == [BRAVEHEART]


def test_the_page_of_the_api_needs_no_other_host(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "/openapi.json" in page
    assert "https://" not in page.split("</head>")[0]
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        *("/models", "/models/{name}", "/predict", "/recommend", "/train", "/ratings"),
        *("/movies", "/movies/{movie_id}", "/movies/{movie_id}/similar", "/popular"),
        *("/livez", "/readyz", "/overview", "/filters"),
    }
    problem = paths["/predict"]["post"]["responses"]["422"]["content"]["application/json"]
    assert problem["schema"]["$ref"].endswith("/Problem")
