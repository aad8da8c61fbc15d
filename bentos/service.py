"""The BentoML service: the FastAPI application, and the trainer beside it.

Start it with ``bentoml serve bentos.service:Moovier``, or with `moovier serve`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
from threadpoolctl import threadpool_limits

from bentos import bento, logs, tracing
from bentos.lazy_app import LazyApp
from bentos.middleware.time_out import replace_bentoml_time_out
from bentos.process_control import exit_with_parent
from bentos.trainer import TIMEOUT_S, Trainer
from moovier.serving.free_memory import share_arena
from moovier.settings import load_settings

replace_bentoml_time_out()
bento.keep_home_outside_bento(os.environ, Path.cwd())
#: With a collector every request is traced, so that none takes the fast path.
TRACED = tracing.is_enabled(os.environ)
app = LazyApp(traced=TRACED)


@bentoml.service(
    name="Moovier",
    workers=load_settings().workers,
    traffic={"timeout": TIMEOUT_S + 10},
    # Answers do not need the trainer, so readiness does not depend on it.
    runner_probe={"enabled": False},
    # BentoML labels its metrics with raw paths, which clients can invent; `bentos.metrics` counts
    # by route. BentoML's tracing and access log cost more than the scoring.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing=tracing.configuration(os.environ),  # type: ignore[arg-type]
)
@bentoml.asgi_app(app, path="/")
class Moovier:
    """The recommendation service; its API is described at `/docs`."""

    # BentoML reads the address while it creates the class.
    trainer = bentoml.depends(Trainer, url=load_settings().trainer_url)

    def __init__(self) -> None:
        # Scoring one user is too little work for two threads: it would take three times the
        # processor time, and concurrent requests keep all cores busy anyway.
        threadpool_limits(1, user_api="blas")
        # Computing threads release the interpreter after 0.5 ms instead of 5 ms, so that answers
        # from memory do not wait for them.
        sys.setswitchinterval(0.0005)
        share_arena()
        exit_with_parent()
        bento.restore_packed(service.bento, load_settings())
        app.running.trainer = self.trainer
        logs.configure(every_request=load_settings().access_log)


service: Any = Moovier  # the decorator makes a service of the class
service.add_asgi_middleware(app.front)
service.models.extend(bento.models_to_pack())
