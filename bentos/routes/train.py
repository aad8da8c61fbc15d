"""`/train`: fine-tuning by the trainer, a process of its own."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bentos.app_state import context_of, state_of
from bentos.auth import TRAIN
from bentos.error_response import Problem
from bentos.model_headers import MAX_IDS
from bentos.routes.responses import KEYS, require_scope
from bentos.schemas.predict import ModelName
from bentos.schemas.train import NewRatings, Patience, ValidationSplit
from moovier.data.ratings import check_parallel
from moovier.ids import USER
from moovier.registry.version import CHAMPION
from moovier.serving.text_ids import keep_texts

logger = logging.getLogger(__name__)
router = APIRouter(dependencies=[Depends(require_scope(TRAIN))])

_TRAINER_ERRORS = {
    429: "other trainings are already waiting; try again later",
    503: "the trainer does not answer; try again later",
    504: "the training takes too long; send fewer ratings or a smaller patience",
}


@router.post(
    "/train",
    summary="Fine-tune a model on new ratings; answers the new model's name",
    responses={
        **KEYS,
        429: {"model": Problem, "description": "Other trainings are waiting"},
        504: {"model": Problem, "description": "The training takes too long"},
    },
)
async def train(
    request: Request,
    response: Response,
    batch: NewRatings,
    model_name: ModelName = None,
    validation_split: ValidationSplit = 0.2,
    patience: Patience = 10,
) -> str:
    """Answer `/train`."""
    # The trainer checks this as well, but may be busy for a while.
    check_parallel(batch.users, batch.movies, batch.ratings)
    await keep_texts(context_of(request), USER, batch.users)
    result = await _fine_tune(
        state_of(request).trainer,
        model_name=model_name or CHAMPION,
        users=batch.users,
        movies=batch.movies,
        ratings=batch.ratings,
        validation_split=validation_split,
        patience=patience,
    )
    # Makes the new name known at once.
    await run_in_threadpool(context_of(request).model_store.refresh)
    response.headers["X-Moovier-Model-Version"] = str(result["version"])
    if result["skipped"]:
        skipped = ",".join(str(movie_id) for movie_id in result["skipped"][:MAX_IDS])
        response.headers["X-Moovier-Skipped-Movies"] = skipped
    return str(result["name"])


async def _fine_tune(trainer: Any, **arguments: Any) -> dict[str, Any]:
    """Return the trainer's result.

    Raises:
        HTTPException: the trainer's error; 429 if it is full, 504 if it takes too long, 503 if it
            does not answer.
    """
    from bentoml.exceptions import BentoMLException

    try:
        result: dict[str, Any] = await trainer.to_async.fine_tune(**arguments)
    except Exception as error:  # the client also raises errors of its HTTP library
        status = int(error.error_code) if isinstance(error, BentoMLException) else 503
        if status not in _TRAINER_ERRORS:
            status = 503
        logger.warning("the trainer does not answer: %r", error)
        raise HTTPException(status, _TRAINER_ERRORS[status]) from error
    if "status" in result:
        raise HTTPException(int(result["status"]), str(result["detail"]))
    return result
