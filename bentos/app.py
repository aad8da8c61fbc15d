"""Builds the FastAPI application."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from bentos import error_handlers
from bentos.app_state import AppState
from bentos.error_response import Problem
from bentos.lifespan import lifespan
from bentos.middleware.body_size import BodySize
from bentos.middleware.decompression import Decompression
from bentos.query_parameters import QueryCheck
from bentos.routes import (
    bento_client,
    events,
    models,
    movies,
    new_movies,
    ops,
    predict,
    rating_import,
    ratings,
    recommend,
    train,
    watch_providers,
    web_page,
)
from moovier import __version__


def create_app() -> FastAPI:
    """Return the application, which opens nothing before it starts.

    It runs behind :func:`bentos.middleware.stack.front`. ``app.state.running`` is its
    :class:`AppState`.
    """
    app = FastAPI(
        title="Moovier",
        version=__version__,
        description="Movie recommendations by collaborative filtering.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(QueryCheck())],
        responses={
            400: {
                "description": "Malformed HTTP, such as a URL of more than 65,536 characters",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            404: {"model": Problem, "description": "No such model"},
            413: {"model": Problem, "description": "The body is too large"},
            415: {"model": Problem, "description": "The body's Content-Encoding is not gzip"},
            422: {"model": Problem, "description": "The request is invalid"},
            429: {"model": Problem, "description": "Too many requests; see Retry-After"},
            503: {
                "model": Problem,
                "description": "Temporarily unavailable; see the header Retry-After",
            },
        },
    )
    app.state.running = AppState()
    # The last one added gets a request first: it reads the whole body, for the other.
    app.add_middleware(Decompression)
    app.add_middleware(BodySize)
    error_handlers.install(app)
    subjects = (
        ops,
        models,
        predict,
        train,
        recommend,
        rating_import,
        movies,
        new_movies,
        watch_providers,
        ratings,
        events,
        bento_client,
        web_page,
    )
    for subject in subjects:
        app.include_router(subject.router)
    app.router.routes.append(error_handlers.NotFoundRoute())
    return app
