"""The service: FastAPI's routes inside BentoML, and the trainer beside it.

bentoml serve bentos.service:Moovier
"""

from __future__ import annotations

import os
import sys
from typing import Any

import bentoml
from threadpoolctl import threadpool_limits

from bentos import logs, tracing
from bentos.late import LazyApp
from bentos.processes import exit_with_parent, use_deadlines
from bentos.trainer import TIMEOUT_S, Trainer
from moovier.settings import load_settings

use_deadlines()
app = LazyApp()
#: Whoever names a collector wants every request traced: then none takes the fast lane.
TRACED = tracing.is_enabled(os.environ)


@bentoml.service(
    name="Moovier",
    workers=1,
    traffic={"timeout": TIMEOUT_S + 10},
    # Answering does not need the trainer: it must not hold up readiness.
    runner_probe={"enabled": False},
    # BentoML labels its metrics with raw paths, which anybody can invent; `bentos.metrics` has the
    # figures by route. Its tracing and access log cost more than the scoring.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing=tracing.configuration(os.environ),  # type: ignore[arg-type]
)
@bentoml.asgi_app(app, path="/")
class Moovier:
    """Answers `/models`, `/predict` and `/train`; see `/docs`."""

    # BentoML asks for the address while the class is made.
    trainer = bentoml.depends(Trainer, url=load_settings().trainer_url)

    def __init__(self) -> None:
        # Scoring one person is too little work to share: with two threads it takes three times
        # the processor time, and several requests at once keep all cores busy anyway.
        threadpool_limits(1, user_api="blas")
        # Threads that compute hand over after half a millisecond, not after five: what is answered
        # from memory would wait for them.
        sys.setswitchinterval(0.0005)
        exit_with_parent()
        app.api.state.trainer = self.trainer
        logs.configure(every_request=load_settings().access_log)


service: Any = Moovier  # the decorator makes a service of the class
if not TRACED:
    service.add_asgi_middleware(app.fast_lane)
service.add_asgi_middleware(app.probes)
