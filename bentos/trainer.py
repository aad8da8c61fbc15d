"""The fine-tuning service: a process of its own, so that no answer waits for a training.

Keras and MLflow are imported in the background after the start, and an earlier request waits for
them; ``MOOVIER_PRELOAD_TRAINER=false`` leaves them to the first training. One training runs at a
time, a few wait, and further ones are refused.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import bentoml

from bentos import logs
from bentos.process_control import exit_with_parent, lower_priority
from moovier.errors import BadRequest, MoovierError, RegistryUnavailable, UnknownModel
from moovier.settings import load_settings

logger = logging.getLogger(__name__)

#: Seconds that one fine-tuning may take, including its wait in the queue.
TIMEOUT_S = 300
#: Trainings that run or wait; BentoML answers 429 to further ones.
MAX_TRAININGS = 4


@bentoml.service(
    name="Trainer",
    workers=1,
    threads=MAX_TRAININGS,
    traffic={"timeout": TIMEOUT_S, "max_concurrency": MAX_TRAININGS},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Trainer:
    """Fine-tunes models; returns errors as data, since BentoML would send a stack trace."""

    def __init__(self) -> None:
        # Answers come first if both processes want the processor.
        lower_priority()
        exit_with_parent()
        self._settings = load_settings()
        logs.configure(every_request=False)
        self._training = threading.Lock()
        self._imports = threading.Thread(target=self._import_libraries, daemon=True)
        if self._settings.preload_trainer:
            self._imports.start()

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
        """Fine-tune a model on ratings, given as parallel lists of user ids, movie ids and stars.

        Returns ``{"name", "version", "skipped"}``, or ``{"status", "detail"}`` of an HTTP error.
        """
        if self._imports.is_alive():
            self._imports.join()
        try:
            from moovier.jobs.finetune import fine_tune

            with self._training:
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
            return {"status": 501, "detail": "fine-tuning is not installed; install moovier[train]"}
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

    def _import_libraries(self) -> None:
        from moovier.jobs.finetune import warm_up

        try:
            warm_up()
        except ImportError:
            logger.exception("Keras or MLflow cannot be imported: fine-tuning will fail")
