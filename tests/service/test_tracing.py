"""Traces reach a real collector from the real service, by OpenTelemetry's variables alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bentos import tracing
from tests.dvc_checkout import ROOT
from tests.fakes.collector import Collector, Span, collector
from tests.servers import Server
from tests.service.conftest import Service, own_settings, promote, published, running_service
from tests.service.test_swaps import wait_for

REQUEST_ID = "http.response.header.x-request-id"


@pytest.fixture(scope="module")
def traced(
    mlflow: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Collector]]:
    folder = tmp_path_factory.mktemp("traced")
    settings = own_settings(mlflow, folder / "home")
    promote(settings, published(settings, folder))
    with (
        collector() as kept,
        running_service(
            settings,
            OTEL_EXPORTER_OTLP_ENDPOINT=kept.address,
            OTEL_EXPORTER_OTLP_HEADERS="x-tenant=films",
            OTEL_SERVICE_NAME="films",
            # Not the five seconds that a batch waits for otherwise.
            OTEL_BSP_SCHEDULE_DELAY="100",
        ) as service,
    ):
        with service.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield service, kept


def served(kept: Collector, trace_id: str) -> list[Span]:
    """Spans of requests, without those of their parts."""
    return [
        span for span in kept.spans if span.trace_id == trace_id and "http.route" in span.attributes
    ]


def test_a_request_is_a_span_of_the_caller_s_trace(traced: tuple[Service, Collector]) -> None:
    service, kept = traced
    trace_id, parent = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    with service.client() as client:
        answers = {
            path: client.request(
                method, path, json=body, headers={"traceparent": f"00-{trace_id}-{parent}-01"}
            )
            for method, path, body in (
                ("POST", "/recommend", {"user_id": 7}),
                ("POST", "/predict", [7]),
                ("GET", "/movies/1", None),
            )
        }
    assert {answer.status_code for answer in answers.values()} == {200}
    wait_for(lambda: len(served(kept, trace_id)) == 3)
    spans = {span.name: span for span in served(kept, trace_id)}
    assert set(spans) == {"POST /recommend", "POST /predict", "GET /movies/{movie_id}"}
    for span, answer in zip(spans.values(), answers.values(), strict=True):
        assert span.parent_id == parent
        assert span.service == "films"
        assert span.attributes[REQUEST_ID] == [answer.headers["x-request-id"]]
        assert 200 in (
            span.attributes.get("http.status_code"),
            span.attributes.get("http.response.status_code"),
        )
    assert kept.headers[0]["x-tenant"] == "films"


def test_probes_answer_as_ever_and_are_no_spans(traced: tuple[Service, Collector]) -> None:
    service, kept = traced
    trace_id = uuid.uuid4().hex
    headers = {"traceparent": f"00-{trace_id}-{uuid.uuid4().hex[:16]}-01"}
    with service.client() as client:
        ready = client.get("/readyz", headers=headers)
        assert ready.json()["ready"] is True
        assert client.get("/livez", headers=headers).json() == {"alive": True}
        assert client.get("/models", headers=headers).status_code == 200
    # What came later is there, so the others would be, too.
    wait_for(lambda: len(served(kept, trace_id)) > 0)
    assert {span.name for span in served(kept, trace_id)} == {"GET /models"}


def test_without_a_collector_nothing_is_traced() -> None:
    bare = {"excluded_urls": ".*"}
    for environment in (
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"},
    ):
        assert not tracing.is_enabled(environment)
        assert tracing.configuration(environment) == bare


@pytest.mark.parametrize(
    ("endpoint", "in_front"),
    [("", ["FastLane", "Probes"]), ("http://127.0.0.1:1", ["Probes"])],
    ids=["none", "named"],
)
def test_the_lane_is_left_out_only_for_a_collector(
    endpoint: str, in_front: list[str], tmp_path: Path
) -> None:
    """What the service's own module gives to BentoML, and what that makes of it."""
    script = (
        "import json; from bentos.service import service; service.inject_config();"
        "from bentoml._internal.configuration.containers import BentoMLContainer as all;"
        "names = [type(kind(service, **more)).__name__ for kind, more in service.middlewares];"
        "exporters = len(all.tracer_provider.get()._active_span_processor._span_processors);"
        "print(json.dumps([names, exporters, all.config.tracing.get()['excluded_urls']]))"
    )
    bare = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            **bare,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "BENTOML_HOME": str(tmp_path),
            "BENTOML_DO_NOT_TRACK": "true",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    names, exporters, urls = json.loads(done.stdout.splitlines()[-1])
    assert names == in_front
    assert exporters == (1 if endpoint else 0)
    assert (urls == ".*") is not bool(endpoint)


@pytest.mark.parametrize(
    ("more", "protocol", "rate"),
    [
        ({}, "http", 1.0),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc", 1.0),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http", 1.0),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "http", 0.0),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, "http", 1.0),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.2"},
            "http",
            0.2,
        ),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "7"}, "http", 1.0),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "x"}, "http", 1.0),
    ],
)
def test_the_standard_variables_are_heeded(
    more: dict[str, str], protocol: str, rate: float
) -> None:
    found = tracing.configuration({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318", **more})
    assert found["exporter_type"] == "otlp"
    assert found["otlp"] == {"protocol": protocol}
    assert found["sample_rate"] == rate
