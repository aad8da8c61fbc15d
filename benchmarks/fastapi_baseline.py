"""A bare FastAPI endpoint that answers with fixed bytes, the baseline of ``make bench-serve``.

It reads nothing of the request and computes nothing, so no service with the same framework can be
faster.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response

#: Variable with the folder of the answers, one file per route.
ANSWERS = "BARE_ANSWERS"


def create_app() -> FastAPI:
    """Return the application; it reads the answers once."""
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
