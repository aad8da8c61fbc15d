"""The two methods of BentoML's own client, and the schema that it reads.

``bentoml.SyncHTTPClient(address)`` makes a method of each route in ``/schema.json`` and sends the
arguments as one JSON object, never as query parameters. BentoML would list only its own endpoints
there, and this service's routes are FastAPI's.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from bentos.auth import TRAIN
from bentos.routes import predict, train
from bentos.routes.responses import require_scope
from bentos.schemas.bento_client import PredictArguments, TrainArguments

router = APIRouter(include_in_schema=False)
_PREDICT, _TRAIN = "/bentoml/predict", "/bentoml/train"
_ARGUMENTS: dict[str, tuple[str, type[BaseModel]]] = {
    "predict": (_PREDICT, PredictArguments),
    "train": (_TRAIN, TrainArguments),
}


@router.get("/schema.json")
async def schema() -> dict[str, Any]:
    """Answer `/schema.json`."""
    routes = [
        {
            "name": name,
            "route": route,
            "doc": arguments.__doc__,
            "batchable": False,
            "input": arguments.model_json_schema(),
            # Without a type: the client would not parse the JSON of a string.
            "output": {"title": "JSON"},
            "is_task": False,
        }
        for name, (route, arguments) in _ARGUMENTS.items()
    ]
    return {"name": "Moovier", "type": "service", "routes": routes}


@router.get("/docs.json")
async def docs(request: Request) -> dict[str, Any]:
    """Answer `/docs.json`, where BentoML's tools look for the OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return document


@router.post(_PREDICT)
async def predict_arguments(request: Request, arguments: PredictArguments) -> Response:
    """Answer as `/predict` does."""
    return await predict.predict(request, arguments.users, arguments.model_name, arguments.top_k)


@router.post(_TRAIN, dependencies=[Depends(require_scope(TRAIN))])
async def train_arguments(request: Request, response: Response, arguments: TrainArguments) -> str:
    """Answer as `/train` does."""
    return await train.train(
        request,
        response,
        arguments,
        arguments.model_name,
        arguments.validation_split,
        arguments.patience,
    )
