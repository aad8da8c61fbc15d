"""`/predict`: movies for users by id."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bentos.app_state import context_of
from bentos.model_headers import predict_headers
from bentos.schemas.predict import ModelName, TopK, Users
from moovier.serving import predict as serving
from moovier.serving.requests import PredictRequest

router = APIRouter()


@router.post(
    "/predict",
    summary="Movies for each user, best first, without those they have rated",
    response_model=dict[str, list[dict[str, Any]]],
)
async def predict(
    request: Request, users: Users, model_name: ModelName = None, top_k: TopK = 10
) -> Response:
    """Answer `/predict`."""
    predict_request = PredictRequest(tuple(users), top_k, model_name)
    answer = await serving.predict(context_of(request), predict_request)
    headers = predict_headers(answer)
    return Response(answer.body, media_type="application/json", headers=headers)
