"""The parts of a running service, opened together and closed together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from anyio.to_thread import run_sync

from moovier.data.id_texts import IdTexts
from moovier.event_weights import parse_event_weights
from moovier.feedback.cache import FeedbackCache
from moovier.registry.client import Registry
from moovier.serving.events import ServingEvents
from moovier.serving.list_recording import ListRecording
from moovier.serving.model_store import ModelStore
from moovier.serving.new_movie_content import NewMovieContent
from moovier.serving.page_cache import PageCache
from moovier.serving.page_scheduler import PageScheduler
from moovier.settings import Settings
from moovier.tmdb.movie_details import Details

#: Seconds that one call to MLflow may take while a request waits for it.
_REGISTRY_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class ServingContext:
    """Everything that answering a request needs. Belongs to one event loop."""

    settings: Settings
    model_store: ModelStore
    feedback: FeedbackCache
    details: Details
    new_movies: NewMovieContent
    page_scheduler: PageScheduler
    page_cache: PageCache
    list_recording: ListRecording
    events: ServingEvents

    @property
    def id_texts(self) -> IdTexts | None:
        """Return the texts of the champion's ids; None where all are whole numbers."""
        model = self.model_store.loaded(None)
        return None if model is None else model.recommender.bundle.ids


async def open_context(settings: Settings, events: ServingEvents) -> ServingContext:
    """Load the last champion and all feedback, and return the context.

    Neither MLflow nor the database has to answer.
    """
    registry = Registry(
        settings.mlflow_tracking_uri, settings.registered_model, timeout_s=_REGISTRY_TIMEOUT_S
    )
    model_store = ModelStore(registry, settings.path("bundles"), capacity=settings.loaded_models)
    feedback = FeedbackCache(settings.database, parse_event_weights(settings.event_weights))
    details = Details.of(settings)
    new_movies = NewMovieContent(settings, model_store, details.tmdb)
    feedback.on_new_movies = new_movies.set_movies
    await asyncio.gather(run_sync(model_store.restore), run_sync(feedback.reload))
    feedback.follow()
    new_movies.start()
    return ServingContext(
        settings=settings,
        model_store=model_store,
        feedback=feedback,
        details=details,
        new_movies=new_movies,
        page_scheduler=PageScheduler(),
        page_cache=PageCache(),
        list_recording=ListRecording(settings, model_store, feedback, events),
        events=events,
    )


async def close_context(context: ServingContext) -> None:
    """Write the lists that are waiting, and close all connections."""
    await run_sync(context.list_recording.close)
    await context.new_movies.close()
    await context.details.close()
    context.feedback.close()
    context.model_store.close()
