"""The endpoint that ours is measured beside: FastAPI alone, answering bytes that it has at hand.

It reads nothing of the request, looks nothing up and counts nothing, so no service can be faster
with the same framework.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response

#: Names the folder with the bytes to answer, a file a route.
ANSWERS = "BARE_ANSWERS"


def create_app() -> FastAPI:
    """The application, with the bytes read once."""
    app = FastAPI()
    folder = Path(os.environ[ANSWERS])
    predicted, recommended = (folder / name for name in ("predict", "recommend"))
    lists, page = predicted.read_bytes(), recommended.read_bytes()

    @app.post("/predict")
    async def predict() -> Response:
        return Response(lists, media_type="application/json")

    @app.post("/recommend")
    async def recommend() -> Response:
        return Response(page, media_type="application/json")

    return app
