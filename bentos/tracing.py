"""OpenTelemetry as its standard variables ask for it; BentoML reads none of them by itself.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: Asked every few seconds by what watches over the service: nobody wants to read that.
_UNTRACED = "/livez$,/readyz$,/metrics$"


def is_enabled(environment: Mapping[str, str]) -> bool:
    """Whether a collector is named and nothing forbids to tell it."""
    named = any(environment.get(name, "").strip() for name in _ENDPOINTS)
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return named and not off and environment.get("OTEL_TRACES_EXPORTER", "otlp") != "none"


def configuration(environment: Mapping[str, str]) -> dict[str, Any]:
    """BentoML's settings for it. Address, headers, certificates, time-outs, batches, the service's
    name and attributes need none: OpenTelemetry's own library reads their variables."""
    if not is_enabled(environment):
        # Its middleware then costs next to nothing.
        return {"excluded_urls": ".*"}
    protocol = next(filter(None, (environment.get(name) for name in _PROTOCOLS)), "http/protobuf")
    return {
        "exporter_type": "otlp",
        "otlp": {"protocol": "grpc" if protocol == "grpc" else "http"},
        "sample_rate": _sampled(environment),
        "excluded_urls": _UNTRACED,
    }


def _sampled(environment: Mapping[str, str]) -> float:
    """Share of requests without a parent that are traced; with one, the parent decides."""
    sampler = environment.get("OTEL_TRACES_SAMPLER", "")
    if sampler.endswith("always_off"):
        return 0.0
    if not sampler.endswith("traceidratio"):
        return 1.0
    try:
        return min(max(float(environment.get("OTEL_TRACES_SAMPLER_ARG", "1")), 0.0), 1.0)
    except ValueError:
        return 1.0


def note(request_id: str, method: str, route: str) -> None:
    """Give the request's span our id, and the route's template as its name: a raw path is anybody's
    free text."""
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attribute("http.response.header.x-request-id", (request_id,))
        span.set_attribute("http.route", route)
        span.update_name(f"{method} {route}")
