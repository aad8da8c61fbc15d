"""Fine-tuning in a process of its own, so that answering never waits for it.

Keras and MLflow are imported in the background after the start; a request that comes earlier
waits for them. One training runs at a time, a few wait, and more are turned away.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import bentoml

from bentos import logs
from bentos.processes import exit_with_parent, lower_priority
from moovier.errors import BadRequest, MoovierError, RegistryUnavailable, UnknownModel
from moovier.settings import load_settings

logger = logging.getLogger(__name__)

#: Seconds that one fine-tuning may take, its wait in the queue included.
TIMEOUT_S = 300
#: Trainings under way or waiting; the next is told to come back later.
QUEUE = 4


@bentoml.service(
    name="Trainer",
    workers=1,
    threads=QUEUE,
    traffic={"timeout": TIMEOUT_S, "max_concurrency": QUEUE},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Trainer:
    """Answers a dictionary: what went wrong travels as data, without a stack trace."""

    def __init__(self) -> None:
        # Answering people comes first where both want the processor.
        lower_priority()
        exit_with_parent()
        self._settings = load_settings()
        logs.configure(every_request=False)
        self._one_at_a_time = threading.Lock()
        self._warm = threading.Thread(target=self._warm_up, daemon=True)
        self._warm.start()

    @bentoml.api(route="/fine_tune")  # type: ignore[untyped-decorator]
    def fine_tune(
        self,
        model_name: str,
        users: list[int],
        movies: list[int],
        ratings: list[float],
        validation_split: float,
        patience: int,
    ) -> dict[str, Any]:
        """``{"name", "version", "skipped"}``, or ``{"status", "detail"}`` of an HTTP error."""
        self._warm.join()
        try:
            from moovier.jobs.finetune import fine_tune

            with self._one_at_a_time:
                child = fine_tune(
                    self._settings,
                    model_name,
                    users,
                    movies,
                    ratings,
                    validation_split=validation_split,
                    patience=patience,
                )
        except ImportError:
            return {"status": 501, "detail": "fine-tuning is not installed here"}
        except UnknownModel as error:
            return {"status": 404, "detail": str(error)}
        except BadRequest as error:
            return {"status": 422, "detail": str(error)}
        except RegistryUnavailable as error:
            return {"status": 503, "detail": str(error)}
        except MoovierError as error:
            logger.exception("fine-tuning failed")
            return {"status": 500, "detail": str(error)}
        return {"name": child.name, "version": child.version, "skipped": child.skipped}

    def _warm_up(self) -> None:
        from moovier.jobs.finetune import warm_up

        try:
            warm_up()
        except ImportError:
            logger.exception("Keras or MLflow cannot be imported: fine-tuning will fail")
