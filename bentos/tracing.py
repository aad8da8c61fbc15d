"""Configures OpenTelemetry from its standard environment variables, which BentoML does not read.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: Requested every few seconds by monitoring, so not worth a span.
_UNTRACED = "/livez$,/readyz$,/metrics$"


def is_enabled(environment: Mapping[str, str]) -> bool:
    """Return whether the environment names a collector and does not disable tracing."""
    named = any(environment.get(name, "").strip() for name in _ENDPOINTS)
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return named and not off and environment.get("OTEL_TRACES_EXPORTER", "otlp") != "none"


def configuration(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return BentoML's tracing settings.

    OpenTelemetry's library reads the variables of the address, headers, certificates, time-outs,
    batches, and the service's name and attributes itself.
    """
    if not is_enabled(environment):
        # BentoML's middleware then costs next to nothing.
        return {"excluded_urls": ".*"}
    protocol = next(filter(None, (environment.get(name) for name in _PROTOCOLS)), "http/protobuf")
    return {
        "exporter_type": "otlp",
        "otlp": {"protocol": "grpc" if protocol == "grpc" else "http"},
        "sample_rate": _sample_rate(environment),
        "excluded_urls": _UNTRACED,
    }


def _sample_rate(environment: Mapping[str, str]) -> float:
    """Return the share of traced requests without a parent span; else the parent decides."""
    sampler = environment.get("OTEL_TRACES_SAMPLER", "")
    if sampler.endswith("always_off"):
        return 0.0
    if not sampler.endswith("traceidratio"):
        return 1.0
    try:
        return min(max(float(environment.get("OTEL_TRACES_SAMPLER_ARG", "1")), 0.0), 1.0)
    except ValueError:
        return 1.0


def name_span(request_id: str, method: str, route: str) -> None:
    """Give the current span the request's id, and the route's template as its name."""
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attribute("http.response.header.x-request-id", (request_id,))
        span.set_attribute("http.route", route)
        span.update_name(f"{method} {route}")
