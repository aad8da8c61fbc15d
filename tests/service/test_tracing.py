"""The real service sends traces to a collector that OpenTelemetry's variables name."""

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
from tests.service.conftest import (
    Service,
    own_settings,
    promote,
    published,
    running_service,
    wait_for,
)

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
            # Sends spans sooner than after the default of five seconds.
            OTEL_BSP_SCHEDULE_DELAY="100",
        ) as service,
    ):
        with service.client() as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
        yield service, kept


def served(kept: Collector, trace_id: str) -> list[Span]:
    """Return the spans of whole requests."""
    return [
        span for span in kept.spans if span.trace_id == trace_id and "http.route" in span.attributes
    ]


def test_request_is_a_span_of_the_callers_trace(traced: tuple[Service, Collector]) -> None:
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


def test_probes_are_not_traced(traced: tuple[Service, Collector]) -> None:
    service, kept = traced
    trace_id = uuid.uuid4().hex
    headers = {"traceparent": f"00-{trace_id}-{uuid.uuid4().hex[:16]}-01"}
    with service.client() as client:
        ready = client.get("/readyz", headers=headers)
        assert ready.json()["ready"] is True
        assert client.get("/livez", headers=headers).json() == {"alive": True}
        assert client.get("/models", headers=headers).status_code == 200
    # The later request's span is there, so spans of the probes would be, too.
    wait_for(lambda: len(served(kept, trace_id)) > 0)
    assert {span.name for span in served(kept, trace_id)} == {"GET /models"}


def test_nothing_is_traced_without_a_collector() -> None:
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
    [
        (
            "",
            [
                "RequestId",
                "RequestMetrics",
                "RateLimit",
                "ConcurrencyLimit",
                "Compression",
                "FastPath",
                "TrailingSlash",
                "Head",
                "Probes",
                "TextIds",
            ],
        ),
        (
            "http://127.0.0.1:1",
            [
                "RequestId",
                "Span",
                "RequestMetrics",
                "RateLimit",
                "ConcurrencyLimit",
                "Compression",
                "TrailingSlash",
                "Head",
                "Probes",
                "TextIds",
            ],
        ),
    ],
    ids=["without a collector", "with a collector"],
)
def test_fast_path_is_left_out_only_with_a_collector(
    endpoint: str, in_front: list[str], tmp_path: Path
) -> None:
    """Check the middleware that the service module gives to BentoML, and its exporters."""
    script = (
        "import json; from bentos.service import service; service.inject_config();"
        "from bentoml._internal.configuration.containers import BentoMLContainer as all;"
        "[(front, options)] = service.middlewares; app, names = front(None, **options), [];\n"
        "while app is not None: names.append(type(app).__name__); app = app.app\n"
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
def test_standard_variables_become_settings(
    more: dict[str, str], protocol: str, rate: float
) -> None:
    found = tracing.configuration({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318", **more})
    assert found["exporter_type"] == "otlp"
    assert found["otlp"] == {"protocol": protocol}
    assert found["sample_rate"] == rate
