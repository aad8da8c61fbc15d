"""How an error is answered."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

RETRY_AFTER_S = 5


def answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """One error; 429 and 503 say when to come back."""
    headers = dict(headers or {})
    if status in (429, 503):
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    return JSONResponse({"detail": detail}, status_code=status, headers=headers)
