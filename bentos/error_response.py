"""The one form of an error response: ``{"detail": "what is wrong and what to do"}``."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.responses import JSONResponse

RETRY_AFTER_S = 5


class Problem(BaseModel):
    """The body of every error response."""

    detail: str


def error_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error response; 429 and 503 have the header Retry-After."""
    headers = dict(headers or {})
    if status in (429, 503):
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)
