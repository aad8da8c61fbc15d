"""The web page: one document for all its views, and the files that Vite built for it.

``make web`` writes them to ``web/dist`` of the project. Without them the API works as usual, and
the page's addresses say how to build it.
"""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException

from bentos.app_state import context_of
from moovier.ids import MOVIE

router = APIRouter(include_in_schema=False)

#: Addresses of the page's views; the page itself shows the right one.
VIEWS = ("/", "/movie/{movie_id:int}", "/you", "/together", "/behind")
_BUILT = Path("web", "dist")
#: File names that Vite makes: a word, a hash of the content, an ending.
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.(?P<ending>[a-z0-9]+)", re.ASCII)
_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
#: Encodings of the compressed files beside each file, best first, and their endings.
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
#: Forbids inline code and other hosts, except for TMDB's images.
_CONTENT_SECURITY_POLICY = "; ".join(
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
_SECURITY_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
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
<p>The API works without it: <a href="/docs">/docs</a> lists the routes.</p>
"""


async def view(request: Request) -> Response:
    """Answer the addresses of ``VIEWS`` with the document.

    Browsers must revalidate it, since it names the current files.
    """
    document = _built(request) / "index.html"
    headers = {**_SECURITY_HEADERS, "Cache-Control": "no-cache"}
    if not document.is_file():
        return HTMLResponse(_NOT_BUILT, headers=headers)
    return _file(request, document, "text/html; charset=utf-8", headers)


for _path in VIEWS:
    router.add_api_route(_path, view, methods=["GET", "HEAD"])


@router.api_route("/movie/{movie_id:path}", methods=["GET", "HEAD"])
async def text_movie(request: Request, movie_id: str) -> Response:
    """Answer a movie's view, where the ids of movies are texts.

    Raises:
        HTTPException: 404 where they are whole numbers.
    """
    texts = context_of(request).id_texts
    if texts is None or not texts.is_text(MOVIE):
        raise HTTPException(404, "not found; see /docs for the available routes")
    return await view(request)


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def page_file(request: Request, name: str) -> Response:
    """Answer `/page/{name}` with a file whose name contains a hash of its content.

    Raises:
        HTTPException: 404 if the file does not exist.
    """
    match = _NAME.fullmatch(name)
    kind = _TYPES.get(match["ending"]) if match else None
    file = _built(request) / "page" / name
    if kind is None or not file.is_file():
        raise HTTPException(404, "no such file; reload the page, which may have a newer version")
    # An SVG can be opened as a document, so it gets the same headers.
    headers = {**_SECURITY_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return _file(request, file, kind, headers)


def _built(request: Request) -> Path:
    return context_of(request).settings.project / _BUILT


def _file(request: Request, file: Path, kind: str, headers: dict[str, str]) -> Response:
    headers["Vary"] = "Accept-Encoding"
    accepted = {
        word.split(";")[0].strip() for word in request.headers.get("accept-encoding", "").split(",")
    }
    for encoding, ending in _ENCODINGS:
        compressed = file.with_name(file.name + ending)
        if encoding in accepted and compressed.is_file():
            return FileResponse(
                compressed, media_type=kind, headers={**headers, "Content-Encoding": encoding}
            )
    return FileResponse(file, media_type=kind, headers=headers)
