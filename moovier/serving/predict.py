"""Answers ``/predict``: the best movies of each of several users."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from moovier.errors import BadRequest
from moovier.serving import live_users
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.experiment_routing import Assignment
from moovier.serving.model_resolution import assign_model
from moovier.serving.page_scheduler import run_in_batch_thread
from moovier.serving.recommender import Answer
from moovier.serving.rendering import render_answers
from moovier.serving.requests import PredictRequest

#: Most movies in one answer, some 40 MB of JSON.
MAX_MOVIES = 100_000


@dataclass(frozen=True, slots=True)
class PredictAnswer:
    """The lists as JSON, the model that made them, and the users that it does not know."""

    body: bytes
    model: LoadedModel
    unknown_users: Sequence[int]


async def predict(context: ServingContext, request: PredictRequest) -> PredictAnswer:
    """Return the best movies of each user; load the model if necessary.

    Raises:
        BadRequest: the request is for too many movies, for no user, or ``top_k`` is out of range.
        UnknownModel: no model has this name.
        RegistryError: the model is not in memory and the registry cannot deliver it now.
        BundleError: the model's bundle cannot be used.
    """
    if len(request.users) * request.top_k > MAX_MOVIES:
        raise BadRequest(
            f"users times top_k must be at most {MAX_MOVIES}; send fewer users or a smaller top_k"
        )
    started = time.perf_counter()
    assignment = await assign_model(context.model_store, request.model_name, request.users)
    # Scoring takes milliseconds, and must not hold up other requests.
    answers = await run_in_batch_thread(_compute, context, assignment.model, request)
    return await _finish(context, assignment, answers, started)


async def predict_from_cache(
    context: ServingContext, request: PredictRequest
) -> PredictAnswer | None:
    """Return the best movies of each user if all lists are in memory; else None.

    Users with feedback since the training are never in memory.

    Raises:
        BadRequest: ``top_k`` is out of range.
    """
    started = time.perf_counter()
    assignment = context.model_store.assignment(request.model_name, request.users)
    feedback = context.feedback
    if assignment is None or any(feedback.for_user(user) is not None for user in request.users):
        return None
    answers = assignment.model.recommender.recommend_from_cache(request.users, request.top_k)
    if answers is None:
        return None
    return await _finish(context, assignment, answers, started)


def _compute(context: ServingContext, model: LoadedModel, request: PredictRequest) -> list[Answer]:
    for_user = context.feedback.for_user
    answers = live_users.recommend(model.recommender, request.users, request.top_k, for_user)
    for user in dict.fromkeys(request.users):
        if for_user(user) is not None:
            context.events.fold_in(model.name)
    return answers


async def _finish(
    context: ServingContext, assignment: Assignment, answers: Sequence[Answer], started: float
) -> PredictAnswer:
    """Render the lists and report them."""
    model = assignment.model
    body = await render_answers(answers, context.details)
    unknown = list(
        dict.fromkeys(answer.user_id for answer in answers if answer.source == "popular")
    )
    context.events.lists_answered(model.name, len(answers) - len(unknown), len(unknown))
    if assignment.experiment is not None:
        context.events.experiment_answered(assignment.arm, time.perf_counter() - started)
    return PredictAnswer(body, model, unknown)
