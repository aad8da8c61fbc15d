"""`/predict`: lists for users by id, as the original answers them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from bentos import lists, metrics
from moovier.feedback.cache import FeedbackCache
from moovier.serving import live_users
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.recommender import Answer
from moovier.tmdb.movie_details import Details


def predicted(
    model: LoadedModel, users: Sequence[int], top_k: int, feedback: FeedbackCache
) -> list[Answer]:
    """Lists of all users, those who rated since the model was trained by what they are now."""
    answers = live_users.recommend(model.recommender, users, top_k, feedback.for_user)
    for user in dict.fromkeys(users):
        if feedback.for_user(user) is not None:
            metrics.count_fold_in(model.name)
    return answers


async def answer(
    model: LoadedModel, answers: Sequence[Answer], details: Details
) -> tuple[bytes, dict[str, str]]:
    """Body and headers."""
    body = await _body(details, answers)
    unknown = list(dict.fromkeys(str(a.user_id) for a in answers if a.source == "popular"))
    metrics.count_answers(model.name, len(answers) - len(unknown), len(unknown))
    headers = lists.model_headers(model)
    if unknown:
        headers["X-Moovier-Unknown-Users"] = ",".join(unknown[:100])
    return body, headers


async def _body(details: Details, answers: Sequence[Answer]) -> bytes:
    """``{"<user id>": [movie, ...], ...}`` out of ready-made JSON objects."""
    objects = await details.objects([item.movie for a in answers for item in a.items])
    listed: dict[str, bytes] = {}
    start = 0
    for one in answers:
        end = start + len(one.items)
        listed[str(one.user_id)] = b"[" + b",".join(objects[start:end]) + b"]"
        start = end
    pairs = (orjson.dumps(user) + b":" + movies for user, movies in listed.items())
    return b"{" + b",".join(pairs) + b"}"
