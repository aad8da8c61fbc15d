"""`bentoml serve` with its trainer, on a real MLflow and a fake TMDB."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bentoml
import httpx
import psutil
import pytest

from moovier.jobs.registration import open_registry
from moovier.registry.version import MONITORING
from moovier.settings import Settings
from tests.fakes.tmdb import BRAVEHEART, V3_KEY, FakeTmdb, fake_tmdb
from tests.registry_fixtures import register_trained
from tests.servers import Server, end_group, kill, mlflow_server, worker_of
from tests.service.batches import compare_with_predict, written_lists
from tests.service.conftest import Service, own_settings, promote, running_service, wait_for
from tests.service.hammer import Hammer
from tests.service.raw import Answer, Connection, request

EASE, EMB = "moovier_ease_3_trained_0", "moovier_emb_10_trained_0"
#: A batch of ratings for `/train`.
EXAMPLE: dict[str, Any] = json.loads("""{
  "users": [
    498, 389, 456, 203, 446, 252, 214, 268, 115, 333,
    594, 395, 218, 436, 520, 301, 130, 387, 174, 596
  ],
  "movies": [
    5268, 3699, 4617, 2702, 2437, 1298, 241, 569, 3787, 7103,
    2521, 6478, 1988, 2651, 421, 6597, 6732, 1984, 1583, 8265
  ],
  "ratings": [1, 4, 5, 3, 2, 2, 3, 4, 3, 5, 1, 3, 5, 5, 4, 4, 1, 2, 4, 5]
}""")
JSON = {"Content-Type": "application/json"}
TRAIN = f"/train?model_name={EMB}&validation_split=0.2&patience=10"

# One service for all tests: its start takes seconds, and minutes on a busy machine.


@dataclass(frozen=True)
class Running:
    """A service with a champion and an ``emb`` model, both trained on the sample data."""

    service: Service
    mlflow: Server
    tmdb: FakeTmdb
    settings: Settings


BINARY = {
    "content": b"title,year,rating\nToy Story,1995,4\n",
    "headers": {"Content-Type": "application/octet-stream"},
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, sample_data: Path) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    with mlflow_server(folder) as mlflow, fake_tmdb() as tmdb:
        settings = own_settings(mlflow, folder / "home")
        register_trained(settings, folder, sample_data, "emb", 10)
        promote(settings, register_trained(settings, folder, sample_data, "ease", 3))
        # A long time-out: some tests need the details of all movies at once.
        with running_service(
            settings,
            TMDB_API_KEY=V3_KEY,
            MOOVIER_TMDB_URL=tmdb.address,
            MOOVIER_TMDB_TIMEOUT_S="30",
            MOOVIER_PRELOAD_TRAINER="true",
        ) as service:
            yield Running(service, mlflow, tmdb, settings)


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    with running.service.client(timeout_s=240) as client:
        yield client


def test_service_is_ready(
    running: Running, client: httpx.Client, record_property: Callable[[str, object], None]
) -> None:
    record_property("ready_s", round(running.service.ready_s, 1))
    wait_for(lambda: client.get("/readyz").is_success)
    ready = client.get("/readyz").json()
    assert (ready["ready"], ready["champion"]["name"]) == (True, EASE)
    # The application answers, not BentoML.
    assert client.get("/livez").json() == {"alive": True}
    assert [client.head(path).status_code for path in ("/livez", "/readyz")] == [200, 200]
    assert client.post("/readyz").status_code == 405


def test_models_and_predict_answer(client: httpx.Client) -> None:
    assert client.get("/models").json() == [EASE, EMB]
    answer = client.post(f"/predict?model_name={EMB}&top_k=3", json=[389, 456])
    assert answer.status_code == 200
    assert {user: len(movies) for user, movies in answer.json().items()} == {"389": 3, "456": 3}
    assert list(answer.json()["389"][0]) == list(BRAVEHEART)
    assert answer.headers["x-moovier-model"] == EMB


def test_details_come_from_tmdb(client: httpx.Client, running: Running) -> None:
    # An unknown user has rated nothing, so that the list has every movie.
    movies = client.post("/predict?top_k=1000", json=[10**6]).json()[str(10**6)]
    shown = {movie["id"]: movie for movie in movies}
    assert set(running.tmdb.requested) == set(shown)
    assert shown[197] == BRAVEHEART
    assert {movie["title"] for movie in movies} == {"Braveheart"} | {
        f"TMDB's {id_}" for id_ in shown if id_ != 197
    }
    assert V3_KEY not in running.service.log.read_text()


def test_docs_page_and_its_files_are_served(client: httpx.Client) -> None:
    page = client.get("/docs").text
    for part in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/static_content/{part}" in page
        assert client.get(f"/static_content/{part}").is_success
    paths = set(client.get("/openapi.json").json()["paths"])
    assert {"/models", "/predict", "/recommend", "/ratings", "/train"} <= paths


def test_metrics_are_labelled_by_route_template(client: httpx.Client) -> None:
    client.get("/somebody/made/this/up")
    client.post("/predict", json=[1])
    text = client.get("/metrics").text
    assert 'moovier_request_seconds_count{method="POST",route="/predict",status="200"}' in text
    assert f'moovier_answers_total{{model="{EASE}",source="model"}}' in text
    assert "moovier_registry_reachable 1.0" in text
    assert "made" not in text


def test_metrics_show_the_last_monitoring_run(client: httpx.Client, running: Running) -> None:
    registry = open_registry(running.settings)
    assert "moovier_monitoring_alarm 0.0" in client.get("/metrics").text
    summary = {"at": time.time() - 50, "alarm": True, "figures": {"drift_stars": 0.5, "came": 200}}
    registry.set_model_tag(MONITORING, json.dumps(summary))

    def expect(line: str) -> None:
        wait_for(lambda: line in client.get("/metrics").text)

    expect("moovier_monitoring_alarm 1.0")
    expect('moovier_monitoring{figure="drift_stars"} 0.5')
    expect('moovier_monitoring{figure="came"} 200.0')
    text = client.get("/metrics").text
    (age,) = re.findall(r"^moovier_monitoring_age_seconds (\S+)", text, re.MULTILINE)
    assert 50 <= float(age) < 10_000
    # A metric that the next run does not have becomes NaN.
    registry.set_model_tag(
        MONITORING, json.dumps({**summary, "alarm": False, "figures": {"came": 1}})
    )
    expect("moovier_monitoring_alarm 0.0")
    expect('moovier_monitoring{figure="drift_stars"} NaN')
    expect('moovier_monitoring{figure="came"} 1.0')


def test_only_the_trainer_imports_training_libraries(running: Running) -> None:
    maps = Path(f"/proc/{worker(running, 'Moovier').pid}/maps").read_text()
    assert "numpy" in maps
    for library in ("tensorflow", "pandas", "scipy", "matplotlib"):
        assert f"/{library}/" not in maps
    trainer = Path(f"/proc/{worker(running, 'Trainer').pid}/maps")
    wait_for(lambda: "/tensorflow/" in trainer.read_text())


def test_errors_keep_their_form_behind_bentoml(client: httpx.Client) -> None:
    for answer, status in (
        (client.post("/predict?top_k=0", json=[1]), 422),
        (client.post("/predict", content=b"not json", headers=JSON), 422),
        (client.post("/predict?model_name=../../etc/passwd", json=[1]), 404),
        (client.post("/predict", content=b" " * 2_000_000), 413),
        (client.get("/../../etc/passwd"), 404),
        (client.get("/%2e%2e/%2e%2e/etc/passwd"), 404),
        (client.get("/predict"), 405),
        (client.post("/train?model_name=nope", json=EXAMPLE), 404),
        (client.post(TRAIN, json={**EXAMPLE, "movies": [2437] * 20}), 422),
        (client.post(TRAIN, json={**EXAMPLE, "users": [498]}), 422),
    ):
        assert answer.status_code == status, answer.text
        assert answer.json().keys() == {"detail"}
        assert isinstance(answer.json()["detail"], str)
        assert "Traceback" not in answer.text


def test_fine_tuning_registers_a_child_and_keeps_the_parent(
    client: httpx.Client, running: Running
) -> None:
    answer = client.post(TRAIN, json=EXAMPLE)
    assert (answer.status_code, answer.json()) == (200, "moovier_emb_10_trained_1"), answer.text
    assert answer.headers["x-moovier-skipped-movies"] == "2437,6478,1988,8265"
    assert client.get("/models").json() == ["moovier_emb_10_trained_1", EASE, EMB]
    # With and without the ending `.h5`.
    for name in ("moovier_emb_10_trained_1", "moovier_emb_10_trained_1.h5"):
        child = client.post(f"/predict?model_name={name}&top_k=1000", json=[596])
        assert child.headers["x-moovier-model-version"] == answer.headers["x-moovier-model-version"]
    # User 596 is new to the sample data.
    assert "x-moovier-unknown-users" not in child.headers
    assert client.post(f"/predict?model_name={EMB}", json=[1]).headers["x-moovier-model"] == EMB
    assert open_registry(running.settings).resolve("moovier_emb_10_trained_1").parent == EMB


def test_two_concurrent_trainings_succeed(client: httpx.Client, running: Running) -> None:
    before = len(open_registry(running.settings).versions())
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(client.post, TRAIN, json=EXAMPLE) for _ in range(2)]
        while not all(one.done() for one in both):
            assert client.post("/predict", json=[1]).status_code == 200
            time.sleep(0.1)
    answers = [one.result() for one in both]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.headers["x-moovier-model-version"] for answer in answers}) == 2
    assert len(open_registry(running.settings).versions()) == before + 2


def test_every_openapi_example_works(client: httpx.Client) -> None:
    page = client.get("/openapi.json").json()
    paths = page["paths"]
    examples = [
        example for path, methods in paths.items() for example in _examples(page, path, methods)
    ]
    # Every operation has an example.
    assert {(method, path) for method, path, *_ in examples} == {
        (method, path) for path, methods in paths.items() for method in methods
    }
    for method, path, parameters, body in examples:
        query = {name: value for name, value in parameters.items() if f"{{{name}}}" not in path}
        sent: dict[str, Any] = BINARY if isinstance(body, bytes) else {"json": body}
        answer = client.request(method, path.format(**parameters), params=query, **sent)
        assert answer.is_success, f"{method} {path} {parameters} {body}: {answer.text}"
    bodies = [body for *_, body in examples if body is not None]
    assert len(bodies) >= 5
    assert [389, 456] in bodies


def _examples(
    page: dict[str, Any], path: str, methods: dict[str, Any]
) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Yield method, path, parameters and body of each example."""
    for method, operation in methods.items():
        given = {
            one["name"]: one["schema"]["examples"][0]
            for one in operation.get("parameters", ())
            if one["required"] or "examples" in one["schema"]
        }
        if "requestBody" not in operation:
            yield method, path, given, None
            continue
        if "application/octet-stream" in operation["requestBody"]["content"]:
            yield method, path, given, BINARY["content"]
            continue
        content = operation["requestBody"]["content"]["application/json"]
        if "examples" in content:
            bodies = [one["value"] for one in content["examples"].values()]
        else:
            name = content["schema"]["$ref"].rpartition("/")[2]
            bodies = page["components"]["schemas"][name]["examples"]
        assert bodies, f"{method} {path} has no example"
        for body in bodies:
            yield method, path, given, body


def test_bentoml_client_predicts_and_trains(running: Running, client: httpx.Client) -> None:
    with bentoml.SyncHTTPClient(running.service.address, timeout=240) as methods:
        lists = methods.predict(users=[389, 456], model_name=EMB, top_k=3)
        assert lists == client.post(f"/predict?model_name={EMB}&top_k=3", json=[389, 456]).json()
        name = methods.train(**EXAMPLE, model_name=EMB, validation_split=0.2, patience=1)
        assert name in client.get("/models").json()
    assert client.get("/docs.json").json() == client.get("/openapi.json").json()


def test_batch_lists_equal_predict(client: httpx.Client, running: Running) -> None:
    """Compare after ratings, deletions, and ratings of users whom no model knows."""
    given = [(3, 1, 5.0), (3, 260, 1.0), (10**6, 1196, 5.0), (10**6 + 1, 1, 4.5)]
    for user, movie, stars in given:
        body = {"user_id": user, "ratings": [{"movie_id": movie, "stars": stars}]}
        assert client.post("/ratings", json=body).status_code == 200
    assert client.delete("/ratings?user_id=4").status_code == 200
    lists, catalogue = written_lists(running.settings, top_k=20, shards=1)
    assert {10**6, 10**6 + 1, 3, 4} <= set(lists)
    compared = compare_with_predict(client, lists, catalogue, top_k=20)
    assert compared == len(lists) > 100


def test_promotion_and_rollback_lose_no_request(client: httpx.Client, running: Running) -> None:
    registry = open_registry(running.settings)
    with Hammer(running.service) as hammer:
        registry.promote(registry.resolve(EMB), "for a test")
        wait_for(lambda: hammer.last_model == EMB)
        registry.rollback("for a test")
        wait_for(lambda: hammer.last_model == EASE)
    assert hammer.statuses == {200}


def test_killed_worker_and_trainer_are_restarted(client: httpx.Client, running: Running) -> None:
    for name in ("Moovier", "Trainer"):
        kill(worker(running, name))
    wait_for(lambda: succeeds(client, "/predict", [1]))
    wait_for(lambda: succeeds(client, TRAIN, EXAMPLE), timeout_s=120)


def test_answers_continue_without_mlflow(client: httpx.Client, running: Running) -> None:
    """Run late in this file: MLflow stops."""
    names = client.get("/models").json()
    end_group(running.mlflow.process)

    def notices_while_answering() -> bool:
        answer = client.post("/predict", json=[1])
        assert (answer.status_code, answer.headers["x-moovier-model"]) == (200, EASE)
        assert client.get("/models").json() == names
        return "moovier_registry_reachable 0.0" in client.get("/metrics").text

    wait_for(notices_while_answering)
    training = client.post(TRAIN, json=EXAMPLE)
    assert (training.status_code, training.json().keys()) == (503, {"detail"})
    assert "retry-after" in training.headers
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert any("MLflow does not answer" in problem for problem in ready.json()["degraded"])
    assert running.mlflow.address not in ready.text
    # A new worker loads the champion from the disk.
    kill(worker(running, "Moovier"))
    wait_for(lambda: succeeds(client, "/predict", [1]))
    assert client.get("/models").json() == names


def test_stop_answers_accepted_requests(running: Running) -> None:
    """Run last in this file: the service stops."""
    answers = asyncio.run(_asked_while_it_stops(running.service))
    for answer in answers:
        assert answer is not None, "a request that was accepted got no answer"
        assert answer.status == 200
        assert len(answer.json()) == len(MANY)
    running.service.process.wait(60)


#: A request for the details of ten thousand movies, which takes a while.
MANY = list(range(1, 101))


async def _asked_while_it_stops(service: Service) -> list[Answer | None]:
    connections = [Connection(service.address) for _ in range(4)]
    for connection in connections:
        # The service has accepted the connection.
        assert await connection.ask(request("POST", "/predict", [1])) is not None
    metrics = Connection(service.address)
    idle = await _in_flight(metrics)
    # On a busy machine all answers may be complete before the metrics are.
    for _ in range(20):
        asking = [
            asyncio.create_task(connection.ask(request("POST", "/predict?top_k=100", MANY)))
            for connection in connections
        ]
        # Each request is now being answered or done; one that the service has not read may be lost.
        while await _in_flight(metrics) - idle + sum(task.done() for task in asking) < len(asking):
            await asyncio.sleep(0.01)
        if not all(task.done() for task in asking):
            break
    assert not all(task.done() for task in asking), "nothing is left to be finished"
    service.process.terminate()
    answers = await asyncio.gather(*asking)
    for connection in (*connections, metrics):
        await connection.close()
    return answers


async def _in_flight(connection: Connection) -> int:
    """Return the number of requests that the service is answering."""
    answer = await connection.ask(request("GET", "/metrics"))
    assert answer is not None
    (line,) = re.findall(r"^moovier_requests_in_flight (.*)$", answer.body.decode(), re.MULTILINE)
    return int(float(line))


def worker(running: Running, name: str) -> psutil.Process:
    """Return the process that runs the BentoML service ``name``; wait until it has started."""
    wait_for(lambda: worker_of(running.service.process, name) is not None)
    process = worker_of(running.service.process, name)
    assert process is not None
    return process


def succeeds(client: httpx.Client, path: str, body: Any) -> bool:
    try:
        return client.post(path, json=body).is_success
    except httpx.HTTPError:
        return False
