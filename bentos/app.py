"""The HTTP API: routes, each a few lines around one call."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bentos import errors, metrics, overview, page, predicting, schemas
from bentos.access import TRAIN, Authenticator, RateLimit, TokenBuckets, require_scope
from bentos.busy import ConcurrencyLimit
from bentos.computing import PageScheduler, run_in_batch_thread
from bentos.health import health
from bentos.lane import PageCache
from bentos.models import assign_model, strip_h5
from bentos.routes import KEYS, router
from bentos.schemas import ModelName, NewRatings, Patience, TopK, Users, ValidationSplit
from bentos.served import ServedListRecorder
from moovier import __version__
from moovier.data.ratings import check_parallel
from moovier.errors import BadRequest
from moovier.feedback.cache import FeedbackCache
from moovier.registry.client import Registry
from moovier.registry.monitoring_summary import MonitoringSummary
from moovier.registry.version import CHAMPION, MONITORING
from moovier.serving.model_store import ModelStore
from moovier.settings import Settings, load_settings
from moovier.tmdb.movie_details import Details

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
            400: {
                "description": "Not HTTP: a URL of more than 65,536 characters, for one",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            404: {"model": errors.Problem, "description": "No such model"},
            413: {"model": errors.Problem, "description": "The body is too large"},
            422: {"model": errors.Problem, "description": "The request makes no sense"},
            429: {"model": errors.Problem, "description": "Too many requests; see Retry-After"},
            503: {"model": errors.Problem, "description": "Not now; see the header Retry-After"},
        },
    )
    app.state.trainer = None
    app.state.limit = TokenBuckets()
    app.add_middleware(errors.BodyLimit)
    app.add_middleware(ConcurrencyLimit)
    app.add_middleware(RateLimit, limit=app.state.limit)
    app.add_middleware(metrics.Requests)
    errors.install(app)
    _add_routes(app)
    app.include_router(router)
    app.include_router(overview.router)
    app.include_router(page.router)
    app.router.routes.append(errors.Nowhere())
    return app


def _add_routes(app: FastAPI) -> None:
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

    @app.head("/livez", include_in_schema=False)
    @app.get("/livez", summary="Whether the process answers")
    async def livez() -> schemas.Liveness:
        return schemas.Liveness(alive=True)

    @app.head("/readyz", include_in_schema=False)
    @app.get(
        "/readyz",
        summary="Whether there is a model to answer with, and what does not go as it should",
        responses={503: {"model": schemas.Health, "description": "No model to answer with"}},
    )
    async def readyz(request: Request, response: Response) -> schemas.Health:
        found = health(request.app.state)
        response.status_code = 200 if found.ready else 503
        return found

    @app.get("/models", summary="Names of the registered models, newest first")
    async def models(request: Request) -> list[str]:
        return await run_in_threadpool(_model_store(request).names)

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
        started = time.perf_counter()
        assignment = await assign_model(_model_store(request), model_name, users)
        # Scoring takes milliseconds, which others need not wait for.
        answers = await run_in_batch_thread(
            predicting.predicted, assignment.model, users, top_k, request.app.state.feedback
        )
        body, headers = await predicting.answer(
            assignment.model, answers, request.app.state.details
        )
        if assignment.experiment is not None:
            metrics.answered_in_experiment(assignment.arm, time.perf_counter() - started)
        return Response(body, media_type="application/json", headers=headers)

    @app.post(
        "/train",
        summary="Fine-tune a model on new ratings; answers the new model's name",
        dependencies=[Depends(require_scope(TRAIN))],
        responses={
            **KEYS,
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
        # Said at once: the trainer would find it as well, but may be at work for a while.
        check_parallel(batch.users, batch.movies, batch.ratings)
        told = await _fine_tuned(
            request.app.state.trainer,
            model_name=strip_h5(model_name) or CHAMPION,
            users=batch.users,
            movies=batch.movies,
            ratings=batch.ratings,
            validation_split=validation_split,
            patience=patience,
        )
        # So that the new name is listed and known at once.
        await run_in_threadpool(_model_store(request).refresh)
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
    model_store = ModelStore(registry, settings.path("bundles"), capacity=settings.loaded_models)
    app.state.settings = settings
    app.state.limit.per_s = settings.rate_per_s
    app.state.details = Details.of(settings)
    app.state.access = Authenticator(settings)
    app.state.line, app.state.pages = PageScheduler(), PageCache()
    app.state.feedback = feedback = FeedbackCache(settings.database)
    await asyncio.gather(run_in_threadpool(model_store.restore), run_in_threadpool(feedback.reload))
    feedback.follow()
    app.state.model_store = model_store
    app.state.served = served = ServedListRecorder(settings, model_store, feedback)
    stopping = asyncio.Event()
    poll = asyncio.create_task(_poll(model_store, feedback, app.state.details, settings, stopping))
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
        await run_in_threadpool(served.close)
        await app.state.details.close()
        app.state.access.close()
        feedback.close()
        registry.close()


async def _poll(
    model_store: ModelStore,
    feedback: FeedbackCache,
    details: Details,
    settings: Settings,
    stopping: asyncio.Event,
) -> None:
    """Follow the registry, and a database that was away, for as long as the service runs."""
    before, refused = model_store.champion, model_store.refused
    while not stopping.is_set():
        try:
            if feedback.trouble is not None:
                await run_in_threadpool(feedback.reload)
            await run_in_threadpool(model_store.refresh)
            champion = model_store.champion
            if champion is not before:
                metrics.count_swap("taken")
            if model_store.refused is not None and model_store.refused != refused:
                metrics.count_swap("refused")
            before, refused = champion, model_store.refused
            metrics.registry_state(
                reachable=model_store.trouble is None,
                refused=refused is not None,
                champion=0 if champion is None else champion.number,
                loaded=model_store.count(),
            )
            metrics.experiment_state(
                challenger=0 if model_store.trial is None else model_store.trial.challenger.number,
                refused=model_store.trial_refused is not None,
            )
            metrics.monitoring_state(MonitoringSummary.of(model_store.model_tags.get(MONITORING)))
            metrics.feedback_state(reachable=feedback.trouble is None)
            metrics.tmdb_state(usable=details.usable)
        except Exception:
            # Whatever it was, the next look may go better; what is loaded keeps answering.
            logger.exception("looking at the registry failed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), settings.registry_poll_s)


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


def _model_store(request: Request) -> ModelStore:
    model_store: ModelStore = request.app.state.model_store
    return model_store
