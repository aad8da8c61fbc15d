"""The HTTP API: routes, each a few lines around one call."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bentos import errors, metrics
from bentos.schemas import ModelName, NewRatings, Patience, TopK, Users, ValidationSplit
from moovier import __version__
from moovier.errors import BadRequest
from moovier.recommending.recommender import Answer
from moovier.recommending.shelf import Loaded, Shelf
from moovier.registry.client import Registry
from moovier.registry.version import CHAMPION
from moovier.settings import Settings, load_settings
from moovier.tmdb.provider import Details

logger = logging.getLogger(__name__)

#: Movies in one answer at most: some 40 MB of JSON.
MOST_MOVIES = 100_000
#: Seconds that one look at MLflow may take on behalf of a request.
_REGISTRY_TIMEOUT_S = 5.0
#: Seconds that stopping waits for a look at MLflow that is under way.
_STOP_S = 2.0


def create_app() -> FastAPI:
    """The application. Nothing is opened before it starts; ``app.state.trainer`` is set by the
    service that it is mounted on."""
    app = FastAPI(
        title="Moovier",
        version=__version__,
        description="Movie recommendations by collaborative filtering.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        responses={
            404: {"model": errors.Problem, "description": "No such model"},
            413: {"model": errors.Problem, "description": "The body is too large"},
            422: {"model": errors.Problem, "description": "The request makes no sense"},
            503: {"model": errors.Problem, "description": "Not now; see the header Retry-After"},
        },
    )
    app.state.trainer = None
    app.add_middleware(errors.BodyLimit)
    app.add_middleware(metrics.Requests)
    errors.install(app)
    _add_routes(app)
    app.router.routes.append(errors.Nowhere())
    return app


def _add_routes(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        # BentoML has Swagger's files with it; the usual place is another host's.
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Moovier",
            swagger_js_url="/static_content/swagger-ui-bundle.js",
            swagger_css_url="/static_content/swagger-ui.css",
            swagger_favicon_url="/static_content/favicon-light-32x32.png",
        )

    @app.get("/metrics", include_in_schema=False)
    def figures() -> Response:
        # BentoML's own are off (see the service), and this page with them.
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/models", summary="Names of the registered models, newest first")
    async def models(request: Request) -> list[str]:
        return await run_in_threadpool(_shelf(request).names)

    @app.post(
        "/predict",
        summary="Movies for each user, best first, without those they have rated",
        response_model=dict[str, list[dict[str, Any]]],
    )
    async def predict(
        request: Request, users: Users, model_name: ModelName = None, top_k: TopK = 10
    ) -> Response:
        if len(users) * top_k > MOST_MOVIES:
            raise BadRequest(f"users times top_k must be at most {MOST_MOVIES}; ask for less")
        model = await _model(_shelf(request), model_name)
        answers = model.recommender.at_hand(users, top_k)
        if answers is None:  # scoring takes milliseconds, which others need not wait for
            answers = await run_in_threadpool(model.recommender.recommend, users, top_k)
        body = await _body(request.app.state.details, answers)
        unknown = list(dict.fromkeys(str(a.user_id) for a in answers if a.source == "popular"))
        metrics.count_answers(model.name, len(answers) - len(unknown), len(unknown))
        headers = {"X-Moovier-Model": model.name, "X-Moovier-Model-Version": str(model.number)}
        if unknown:
            headers["X-Moovier-Unknown-Users"] = ",".join(unknown[:100])
        return Response(body, media_type="application/json", headers=headers)

    @app.post(
        "/train",
        summary="Fine-tune a model on new ratings; answers the new model's name",
        responses={
            429: {"model": errors.Problem, "description": "Other trainings are waiting"},
            504: {"model": errors.Problem, "description": "The training takes too long"},
        },
    )
    async def train(
        request: Request,
        response: Response,
        batch: NewRatings,
        model_name: ModelName = None,
        validation_split: ValidationSplit = 0.2,
        patience: Patience = 10,
    ) -> str:
        told = await _fine_tuned(
            request.app.state.trainer,
            model_name=_plain(model_name) or CHAMPION,
            users=batch.users,
            movies=batch.movies,
            ratings=batch.ratings,
            validation_split=validation_split,
            patience=patience,
        )
        # So that the new name is listed and known at once.
        await run_in_threadpool(_shelf(request).refresh)
        response.headers["X-Moovier-Model-Version"] = str(told["version"])
        if told["skipped"]:
            skipped = ",".join(str(movie) for movie in told["skipped"][:100])
            response.headers["X-Moovier-Skipped-Movies"] = skipped
        return str(told["name"])


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings = load_settings()
    registry = Registry(
        settings.mlflow_tracking_uri, settings.registered_model, timeout_s=_REGISTRY_TIMEOUT_S
    )
    shelf = Shelf(registry, settings.path("bundles"), capacity=settings.loaded_models)
    app.state.shelf = shelf
    app.state.details = Details.of(settings)
    await run_in_threadpool(shelf.restore)
    stopping = asyncio.Event()
    poll = asyncio.create_task(_poll(shelf, settings, stopping))
    # What is in memory now stays: without this every full collection walks all of it, and the
    # slowest answers take a hundred times the usual.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        stopping.set()
        # A look that MLflow does not answer is not waited for.
        await asyncio.wait({poll}, timeout=_STOP_S)
        poll.cancel()
        await app.state.details.close()
        registry.close()


async def _poll(shelf: Shelf, settings: Settings, stopping: asyncio.Event) -> None:
    """Follow the registry for as long as the service runs."""
    while not stopping.is_set():
        try:
            await run_in_threadpool(shelf.refresh)
            champion = shelf.champion
            metrics.registry_state(
                reachable=shelf.trouble is None,
                champion=0 if champion is None else champion.number,
                loaded=shelf.count(),
            )
        except Exception:
            # Whatever it was, the next look may go better; what is loaded keeps answering.
            logger.exception("looking at the registry failed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), settings.registry_poll_s)


async def _model(shelf: Shelf, name: str | None) -> Loaded:
    """The model that answers one request, bound once."""
    wanted = _plain(name)
    loaded = shelf.loaded(wanted)
    if loaded is not None:
        return loaded
    if wanted is None:
        return await run_in_threadpool(shelf.default)
    return await run_in_threadpool(shelf.get, wanted)


def _plain(name: str | None) -> str | None:
    """The name without the ending of the files that the original wrote its models to."""
    return name.removesuffix(".h5") if name else None


async def _body(details: Details, answers: list[Answer]) -> bytes:
    """``{"<user id>": [movie, ...], ...}`` out of ready-made JSON objects."""
    objects = await details.objects([item.movie for a in answers for item in a.items])
    lists: dict[str, bytes] = {}
    start = 0
    for one in answers:
        end = start + len(one.items)
        lists[str(one.user_id)] = b"[" + b",".join(objects[start:end]) + b"]"
        start = end
    pairs = (orjson.dumps(user) + b":" + movies for user, movies in lists.items())
    return b"{" + b",".join(pairs) + b"}"


async def _fine_tuned(trainer: Any, **asked: Any) -> dict[str, Any]:
    """What the training process says.

    Raises:
        HTTPException: as it says; 429 when it is full, 504 when it takes too long, 503 when it
            cannot be reached.
    """
    from bentoml.exceptions import BentoMLException

    try:
        told: dict[str, Any] = await trainer.to_async.fine_tune(**asked)
    except Exception as error:  # the client raises those of its HTTP library, too
        status = int(error.error_code) if isinstance(error, BentoMLException) else 503
        if status not in _TRAINER_TROUBLE:
            status = 503
        logger.warning("no answer from the trainer: %r", error)
        raise HTTPException(status, _TRAINER_TROUBLE[status]) from error
    if "status" in told:
        raise HTTPException(int(told["status"]), str(told["detail"]))
    return told


_TRAINER_TROUBLE = {
    429: "other trainings are waiting already; try again later",
    503: "the trainer cannot be reached; try again later",
    504: "the training takes too long; send fewer ratings or less patience",
}


def _shelf(request: Request) -> Shelf:
    shelf: Shelf = request.app.state.shelf
    return shelf
