"""Routes for operators: probes, metrics, the overview, and the API's documentation."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from bentos import metrics
from bentos.app_state import context_of, state_of
from bentos.schemas.ops import Health, Liveness
from moovier.serving.health import health_of
from moovier.serving.overview import Filters, Overview, build_overview, filters_of

router = APIRouter()


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """Answer `/docs`."""
    # BentoML serves Swagger's files; FastAPI's default loads them from another host.
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Moovier",
        swagger_js_url="/static_content/swagger-ui-bundle.js",
        swagger_css_url="/static_content/swagger-ui.css",
        swagger_favicon_url="/static_content/favicon-light-32x32.png",
    )


@router.get("/metrics", include_in_schema=False)
def prometheus_metrics() -> Response:
    """Answer `/metrics`."""
    # The service turns BentoML's own metrics off, and with them BentoML's route.
    return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Whether the process answers")
async def livez() -> Liveness:
    """Answer `/livez`."""
    return Liveness(alive=True)


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Whether there is a model to answer with, and all current problems",
    responses={503: {"model": Health, "description": "No model to answer with"}},
)
async def readyz(request: Request, response: Response) -> Health:
    """Answer `/readyz`."""
    health = Health.of(health_of(state_of(request).context))
    response.status_code = 200 if health.ready else 503
    return health


@router.get("/overview", summary="Models, data, the last retraining and monitoring, in one answer")
async def overview(request: Request) -> Overview:
    """Answer `/overview`."""
    context = context_of(request)
    return await run_in_threadpool(build_overview, context.model_store, context.settings)


@router.get("/filters", summary="Genres and years that lists can be filtered by")
async def filters(request: Request) -> Filters:
    """Answer `/filters`."""
    return await filters_of(context_of(request))
