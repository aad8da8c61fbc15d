"""UUID users and slug movies: ingest, training, service, lists, and the next ingest."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from bentos.middleware.text_ids import WITH_IDS
from moovier.data import columns
from moovier.ids import number_of
from moovier.jobs import batch, ingest
from moovier.jobs.add_movies import add_movies, delete_movie, movie_texts
from moovier.jobs.import_ratings import import_ratings
from moovier.jobs.recommend import recommend
from moovier.jobs.retrain import retrain_all
from moovier.settings import Settings
from tests.dvc_checkout import ROOT, new_project
from tests.fixtures import toy_movielens
from tests.servers import Server
from tests.service.conftest import own_settings
from tests.service.in_process import FakeTrainer, InProcessClient, started
from tests.text_ids import movie_text, user_text, with_texts

USERS, MOVIES = range(1, 61), range(1, 41)
NEW_USER = "newcomer@example.org, jr."
ODD = movie_text(2)


@pytest.fixture(scope="module")
def settings(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of a service with a champion of text ids."""
    folder = tmp_path_factory.mktemp("text-ids")
    data = with_texts(toy_movielens(folder / "texts"))
    own = own_settings(mlflow, folder / "home").model_copy(
        update={
            "data": str(data),
            "project": new_project(folder / "project"),
            "dvc_remote": str(folder / "remote"),
        }
    )
    config = {"families": ["ease", "taste"], "trials": 1, "workers": 1}
    assert retrain_all(config, lambda _: None, settings=own)["promote"]
    return own


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[InProcessClient]:
    with started(settings) as running:
        yield running


def ids_of(answer: Any) -> list[str]:
    ids = [item["movie_id"] for item in answer.json()["items"]]
    assert set(ids) <= {*map(movie_text, MOVIES), "added-2026"}
    return ids


def test_every_route_with_ids_loads_the_texts_first() -> None:
    schema = json.loads((ROOT / "web" / "openapi.json").read_text())
    models = schema["components"]["schemas"]

    def has_ids(part: Any, seen: tuple[str, ...] = ()) -> bool:
        text = json.dumps(part)
        if '"movie_id"' in text or '"user_id"' in text:
            return True
        names = set(re.findall(r"schemas/([\w-]+)", text)) - {*seen}
        return any(has_ids(models[name], (*seen, name)) for name in names)

    paths = {path for path, methods in schema["paths"].items() if has_ids(methods)}
    assert {"/popular", "/recommend", "/ratings"} < paths
    assert {path for path in paths if not path.startswith(WITH_IDS)} == set()


def test_first_request_of_all_has_texts(settings: Settings) -> None:
    for path in ("/popular", "/trending"):
        with started(settings, MOOVIER_REGISTRY_POLL_S="600") as fresh:
            assert set(ids_of(fresh.get(path))) <= {*map(movie_text, MOVIES)}


def test_lists_have_texts(client: InProcessClient) -> None:
    user = user_text(1)
    answer = client.post("/recommend", json={"user_id": user, "top_k": 5})
    assert answer.is_success, answer.text
    assert {item["source"] for item in answer.json()["items"]} == {"model"}
    ids = ids_of(answer)
    assert {reason["movie_id"] for reason in answer.json()["items"][0]["because"]} <= {
        *map(movie_text, MOVIES)
    }
    assert ids_of(client.post("/recommend", json={"user_id": user, "top_k": 5})) == ids
    rest = client.post("/recommend", json={"user_id": user, "top_k": 4, "exclude": ids[:1]})
    assert ids_of(rest) == ids[1:]
    rated = {ids[0]: 5, movie_text(1): 4.5}
    by_object = client.post("/recommend", json={"ratings": rated})
    by_list = client.post(
        "/recommend",
        json={"ratings": [{"movie_id": movie, "stars": stars} for movie, stars in rated.items()]},
    )
    assert ids_of(by_object) == ids_of(by_list)
    assert not set(ids_of(by_object)) & set(rated)
    people = [{"user_id": user}, {"ratings": rated}]
    assert ids_of(client.post("/recommend", json={"people": people}))
    page = client.post("/recommend", json={"user_id": user, "top_k": 3}).json()
    following = client.post("/recommend", json={"user_id": user, "cursor": page["next"]})
    assert not set(ids_of(following)) & {item["movie_id"] for item in page["items"]}


def test_predict_has_the_texts_of_users(client: InProcessClient) -> None:
    users = [user_text(1), "nobody, here", user_text(2)]
    answer = client.post("/predict?top_k=2", json=users)
    assert list(answer.json()) == users
    assert answer.headers["X-Moovier-Unknown-Users"] == "nobody%2C%20here"
    assert client.post("/predict", json=[7]).headers["X-Moovier-Unknown-Users"] == "7"
    bento = client.post("/bentoml/predict", json={"users": users, "top_k": 2})
    assert bento.json() == answer.json()


def test_movies_are_found_by_their_texts(client: InProcessClient) -> None:
    for movie in (1, 2, 3):
        path = f"/movies/{quote(movie_text(movie), safe='')}"
        shown = client.get(path).json()
        assert (shown["movie_id"], shown["title"]) == (movie_text(movie), f"Movie {movie}")
        assert movie_text(movie) not in ids_of(client.get(f"{path}/similar"))
        assert client.get(f"{path}/providers").json()["movie_id"] == movie_text(movie)
    for view in ("/movie/heat-1995", "/movie/1917", "/movie/what%2C%20now%3F%2F2"):
        assert client.get(view).headers["content-type"].startswith("text/html")
    for path in ("/popular", "/trending", "/movies?query=movie"):
        assert ids_of(client.get(path))
    unknown = client.get("/movies/no-such-movie")
    assert unknown.status_code == 404
    assert "no movie has the id no-such-movie" in unknown.json()["detail"]


def test_feedback_of_a_new_user_counts(client: InProcessClient) -> None:
    body = {"user_id": NEW_USER, "ratings": [{"movie_id": ODD, "stars": 5, "timestamp": 2_000_000}]}
    headers = {"Idempotency-Key": "once"}
    stored = client.post("/ratings", json=body, headers=headers).json()
    assert stored == {"stored": 1, "ignored": 0, "replayed": False}
    assert client.post("/ratings", json=body, headers=headers).json()["replayed"]
    event = {"movie_id": movie_text(4), "event": "seen", "timestamp": 2_000_001}
    assert client.post("/events", json={"user_id": NEW_USER, "events": [event]}).is_success
    query = {"user_id": NEW_USER}
    shown = client.get("/ratings", params=query).json()
    assert (shown["user_id"], shown["ratings"][0]["movie_id"]) == (NEW_USER, ODD)
    shown = client.get("/events", params=query).json()
    assert (shown["user_id"], shown["events"][0]["movie_id"]) == (NEW_USER, movie_text(4))
    listed = client.post("/recommend", json={"user_id": NEW_USER, "top_k": 30})
    assert listed.json()["items"][0]["source"] == "model"
    assert not {ODD, movie_text(4)} & set(ids_of(listed))
    other = {"user_id": "leaver", "ratings": [{"movie_id": ODD, "stars": 1}]}
    assert client.post("/ratings", json=other).is_success
    deleted = client.delete("/ratings", params={"user_id": "leaver", "movie_id": ODD})
    assert deleted.json() == {"deleted": 1}
    assert client.delete("/ratings", params={"user_id": "leaver"}).json() == {"deleted": 0}


def test_wrong_ids_are_refused(client: InProcessClient) -> None:
    for wrong in ("", " anna", "a\nb", "x" * 201, 1.5, None, True, ["anna"]):
        body = {"user_id": wrong, "ratings": [{"movie_id": ODD, "stars": 5}]}
        assert client.post("/ratings", json=body).status_code == 422, wrong
    refused = client.post("/recommend", json={"exclude": ["a\tb"]})
    assert "control character" in refused.json()["detail"]
    assert client.get("/ratings", params={"user_id": "x" * 201}).status_code == 422
    body = {"user_id": "x", "ratings": [{"movie_id": "no-such", "stars": 5}]}
    refused = client.post("/ratings", json=body)
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("unknown movie no-such;")
    twice = [{"movie_id": ODD, "stars": 5}] * 2
    refused = client.post("/recommend", json={"ratings": twice})
    assert f"movie {ODD} is in the list more than once" in refused.json()["detail"]


#: Texts that break careless code: of JSON, URLs, headers, formats, CSV and SQL, and of Unicode.
HARD_TEXTS = (
    *('"', "\\", "%", "%2F", "/", "//", "?a=1", "#x", "{}", "{0}", "%s", "a;b", "a,b", "'; --"),
    *(
        "0",
        "-1",
        "1e5",
        "NaN",
        "null",
        "true",
        "99999999999999999999",
        "1_0",
        "\N{ARABIC-INDIC DIGIT ONE}",
    ),
    *(
        "\N{PILE OF POO}",
        "e\N{COMBINING ACUTE ACCENT}",
        "\N{RIGHT-TO-LEFT OVERRIDE}x",
        "\ud800",
        "\x00",
        "\x7f",
    ),
)


@pytest.mark.parametrize("place", range(len(HARD_TEXTS)))
def test_no_text_breaks_a_route(client: InProcessClient, place: int) -> None:
    text = HARD_TEXTS[place]
    is_json = {"Content-Type": "application/json"}

    def send(method: str, path: str, content: Any) -> None:
        # JSON escapes what UTF-8 cannot encode.
        body = json.dumps(content).encode()
        answer = client.request(method, path, content=body, headers=is_json)
        assert answer.status_code in (200, 201, 404, 422), (path, answer.text)
        answer.json()

    rating = {"movie_id": text, "stars": 4}
    send("POST", "/predict?top_k=2", [text, user_text(1)])
    send("POST", "/recommend", {"user_id": text, "ratings": {text: 4}, "exclude": [text]})
    send("POST", "/recommend", {"people": [{"user_id": text}, {"ratings": [rating]}]})
    send("POST", "/ratings", {"user_id": text, "ratings": [{"movie_id": ODD, "stars": 4}]})
    send("POST", "/ratings", {"user_id": user_text(1), "ratings": [rating]})
    send("POST", "/events", {"user_id": text, "events": [{"movie_id": ODD, "event": "seen"}]})
    send("POST", "/train", {"users": [text], "movies": [text], "ratings": [4]})
    if "\ud800" not in text:
        name = quote(text, safe="")
        for path in (f"/movies/{name}", f"/movies/{name}/similar", f"/ratings?user_id={name}"):
            send("GET", path, None)
        send("DELETE", f"/ratings?user_id={name}&movie_id={name}", None)
        send("DELETE", f"/ratings?user_id={name}", None)


def test_files_and_new_movies_have_texts(client: InProcessClient) -> None:
    content = b"title,year,rating\nMovie 7,1995,4\n"
    file = {"content": content, "headers": {"Content-Type": "application/octet-stream"}}
    matched = client.post("/ratings/match", **file).json()
    assert matched["entries"][0]["movie"]["movie_id"] == movie_text(7)
    imported = client.post("/ratings/import", params={"user_id": "importer"}, **file).json()
    assert imported["stored"] == 1
    shown = client.get("/ratings", params={"user_id": "importer"}).json()
    assert shown["ratings"][0]["movie_id"] == movie_text(7)
    movie = {"title": "Added", "year": 2026, "genres": ["Drama"]}
    added = client.put("/movies/added-2026", json=movie)
    assert (added.status_code, added.json()["movie_id"]) == (201, "added-2026")
    assert client.get("/movies/added-2026").json()["title"] == "Added"
    assert "added-2026" in ids_of(client.get("/movies?query=added"))
    taken = client.put(f"/movies/{movie_text(3)}", json=movie)
    assert taken.status_code == 409
    assert f"the id {movie_text(3)} for" in taken.json()["detail"]
    gone = client.put("/movies/gone-2026", json=movie)
    assert gone.status_code == 201
    assert client.delete("/movies/gone-2026").json() == {"deleted": "gone-2026"}


def test_training_gets_numbers_and_answers_texts(client: InProcessClient) -> None:
    skipped = number_of("no-such")
    trainer = FakeTrainer({"name": "m", "version": 1, "skipped": [skipped]})
    client.state.trainer = trainer
    body = {"users": ["trained"], "movies": ["no-such"], "ratings": [4]}
    answer = client.post("/train", json=body)
    assert answer.json() == "m"
    assert answer.headers["X-Moovier-Skipped-Movies"] == "no-such"
    [call] = trainer.calls
    assert (call["users"], call["movies"]) == ([number_of("trained")], [skipped])


def test_commands_take_and_print_texts(
    settings: Settings, client: InProcessClient, tmp_path: Path
) -> None:
    result = recommend([user_text(1), "nobody"], 3, settings=settings)
    known, unknown = result["answers"]
    assert (known["user"], known["source"]) == (user_text(1), "model")
    assert (unknown["user"], unknown["source"]) == ("nobody", "popular")
    assert {item["id"] for item in known["items"]} <= {*map(movie_text, MOVIES), "added-2026"}
    file = tmp_path / "mine.csv"
    file.write_text("title,year,rating\nMovie 9,1995,4\n")
    assert import_ratings(file, "by command", dry_run=False, settings=settings).stored == 1
    file.write_text("movieId,title,genres\nfrom-file,From a File (2026),Drama\n")
    assert add_movies(file, settings).added == 1
    assert movie_texts(settings)[number_of("from-file")] == "from-file"
    delete_movie("from-file", settings)


def test_lists_of_all_users_have_texts(
    settings: Settings, client: InProcessClient, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"lists": str(tmp_path / "lists")})
    result = batch.batch_all(batch.configured(top_k=3, shards=2), settings=own)
    assert result["columns"]["user_id"] == result["columns"]["movie_id"] == "string"
    table = pq.read_table(result["url"])
    assert {*map(user_text, USERS), NEW_USER} <= set(table["user_id"].to_pylist())
    assert set(table["movie_id"].to_pylist()) <= {*map(movie_text, MOVIES), "added-2026"}


def test_next_ingest_keeps_all_numbers(settings: Settings, client: InProcessClient) -> None:
    champion = client.context.model_store.champion
    assert champion is not None
    index = champion.recommender.bundle.index
    with (Path(settings.data) / "ratings.csv").open("a") as file:
        file.write(f"after-training,{movie_text(5)},4.0,1999999\n")
    pulled = ingest.pull(settings=settings)
    assert pulled["name"].endswith("+feedback")
    ingest.validate(pulled, settings=settings)
    with (Path(pulled["folder"]) / "ratings.csv").open(newline="") as lines:
        rows = [(row["userId"], row["movieId"]) for row in csv.DictReader(lines)]
    assert (NEW_USER, ODD) in rows
    assert "leaver" not in {user for user, _ in rows}
    data, _ = columns.parsed(
        Path(pulled["folder"]), pulled["hash"], settings, name=pulled["name"], synthetic=False
    )
    assert set(index.users.tolist()) < set(data.index.users.tolist())
    assert set(index.movies.tolist()) <= set(data.index.movies.tolist())
    assert data.ids is not None
    assert data.ids.text("user", number_of(NEW_USER)) == NEW_USER
    assert data.ids.text("movie", number_of("added-2026")) == "added-2026"
    assert ingest.pull(settings=settings)["hash"] == pulled["hash"]
