"""Schemathesis checks the service against its OpenAPI document over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.dvc_checkout import ROOT
from tests.servers import Server
from tests.service.conftest import Service
from tests.service.samples import sample_service

_BINARY = {"Content-Type": "application/octet-stream"}
#: Random requests for each operation, in addition to those derived from the schema.
EXAMPLES = 12


@pytest.fixture(scope="module")
def service(
    mlflow: Server, tmp_path_factory: pytest.TempPathFactory, sample_data: Path
) -> Iterator[Service]:
    with sample_service(mlflow, tmp_path_factory.mktemp("schema"), sample_data) as running:
        yield running


def test_schemathesis_finds_no_violation(
    service: Service, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    command = [
        *(str(Path(sys.executable).with_name("st")), "run", f"{service.address}/openapi.json"),
        # The hooks replace the excluded check.
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        # A valid request trains a model for seconds; test_process.py sends the examples.
        *("--exclude-path", "/train"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--generation-database", "none"),
        *("--request-timeout", "20", "--no-color"),
    ]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.service.schema_hooks",
        "PYTHONPATH": str(ROOT),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=550
    )
    # The output repeats requests with 60,000 characters in their URLs.
    shown = "\n".join(line[:500] for line in (done.stdout + done.stderr).splitlines())
    assert done.returncode == 0, shown[-10_000:]
    generated = re.search(r"(\d+) generated, \1 passed", done.stdout)
    assert generated is not None, shown[-3000:]
    record_property("requests", int(generated[1]))
    assert int(generated[1]) > 500
    assert re.search(r"Tested: (\d+)", done.stdout)[1] == str(operations(service) - 1)  # type: ignore[index]


def operations(service: Service) -> int:
    paths = httpx.get(f"{service.address}/openapi.json", trust_env=False).json()["paths"]
    return sum(len(methods) for methods in paths.values())


def test_each_excused_error_still_occurs(service: Service) -> None:
    """Check that the service still answers with each of the hooks' errors."""
    from tests.service.schema_hooks import REASONS

    with service.client() as client:
        refusals = [
            client.get("/movies/heat-1995"),
            client.post("/predict", json=["anna"]),
            client.post("/recommend", json={"ratings": {"heat-1995": 5}}),
            client.get("/popular?cursor=x"),
            client.post(
                "/ratings", json={"user_id": 1, "ratings": [{"movie_id": 10**9, "stars": 1}]}
            ),
            client.get("/popular?genres=none"),
            client.get("/popular?year_from=2000&year_to=1999"),
            client.post("/predict?top_k=1000", json=list(range(1, 200))),
            client.post("/recommend", json={"ratings": [{"movie_id": 1, "stars": 5}] * 2}),
            client.post("/recommend", json={"user_id": 1, "people": [{"user_id": 1}] * 2}),
            client.post("/recommend", json={"people": [{"user_id": 1}, {}]}),
            client.post("/recommend", json={"language": "fr"}),
            client.put("/movies/9000001", json={"title": "\u00a0"}),
            *(
                client.post("/ratings/match", content=content, headers=_BINARY)
                for content in (b"a,b\n", b"PK\x03\x04", b"[]", b"title,year,rating\nHeat,1995,x\n")
            ),
        ]
    details = []
    for refusal in refusals:
        assert refusal.status_code == 422
        details.append(refusal.json()["detail"])
    for reason in REASONS:
        assert any(re.match(reason, detail) for detail in details), (reason, details)
