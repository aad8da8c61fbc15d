"""The endpoint that ours is measured beside: FastAPI alone, answering bytes that it has at hand.

It reads nothing of the request, looks nothing up and counts nothing, so no service can be faster
with the same framework.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response

#: Names the file with the bytes to answer.
ANSWER_FILE = "BARE_ANSWER_FILE"


def create_app() -> FastAPI:
    """The application, with the bytes read once."""
    app = FastAPI()
    answer = Path(os.environ[ANSWER_FILE]).read_bytes()

    @app.post("/predict")
    async def predict() -> Response:
        return Response(answer, media_type="application/json")

    return app
