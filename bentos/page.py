"""The web page: one document for all its views, and the files that Vite made for it.

They lie in ``web/dist`` of the project, where ``make web`` puts them. Without them the service
works as it does with them, and says here how to get them.
"""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

#: What a browser may ask for by address; the page itself finds out which view that is.
VIEWS = ("/", "/movie/{movie_id:int}", "/you", "/behind")
_BUILT = Path("web", "dist")
#: Vite's names: a word, a hash of the content, an ending.
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.(?P<ending>[a-z0-9]+)", re.ASCII)
_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
#: Written beside each file by the build, best first: encoding and ending.
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
#: Nothing inline and nothing from elsewhere, but for TMDB's images.
_CONTENT_SECURITY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: https://image.tmdb.org",
        "connect-src 'self'",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
_SAFE = {
    "Content-Security-Policy": _CONTENT_SECURITY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Moovier</title>
<h1>Moovier</h1>
<p>The service runs. Its web page has not been built: install Node.js 20 with npm, then run
<code>make web</code> in the checkout and load this page again.</p>
<p>The API works without it: <a href="/docs">/docs</a> shows what there is.</p>
"""


async def view(request: Request) -> Response:
    """The document; never kept by a browser without asking, since it names the other files."""
    document = _built(request) / "index.html"
    headers = {**_SAFE, "Cache-Control": "no-cache"}
    if not document.is_file():
        return HTMLResponse(_NOT_BUILT, headers=headers)
    return _file(request, document, "text/html; charset=utf-8", headers)


for _path in VIEWS:
    router.add_api_route(_path, view, methods=["GET", "HEAD"])


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def part(request: Request, name: str) -> Response:
    """A file that the document names; its own name changes with its content.

    Raises:
        HTTPException: 404, there is none.
    """
    match = _NAME.fullmatch(name)
    kind = _TYPES.get(match["ending"]) if match else None
    file = _built(request) / "page" / name
    if kind is None or not file.is_file():
        raise HTTPException(404, "there is no such file; a newer page has others: load it again")
    # So strictly also here: an SVG can be opened by itself.
    headers = {**_SAFE, "Cache-Control": "public, max-age=31536000, immutable"}
    return _file(request, file, kind, headers)


def _built(request: Request) -> Path:
    project: Path = request.app.state.settings.project
    return project / _BUILT


def _file(request: Request, file: Path, kind: str, headers: dict[str, str]) -> Response:
    headers["Vary"] = "Accept-Encoding"
    taken = {
        word.split(";")[0].strip() for word in request.headers.get("accept-encoding", "").split(",")
    }
    for encoding, ending in _ENCODINGS:
        packed = file.with_name(file.name + ending)
        if encoding in taken and packed.is_file():
            return FileResponse(
                packed, media_type=kind, headers={**headers, "Content-Encoding": encoding}
            )
    return FileResponse(file, media_type=kind, headers=headers)
