"""Keeps the movies beside the data set in all loaded models, with what TMDB knows of them.

With a TMDB key, overviews and people are fetched in the background: first of the new movies, then
of the rated movies that they are compared with, the most rated ones first. No request waits for
that. Until an answer arrives, and where none does, a movie is compared by the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import numpy as np
from anyio.to_thread import run_sync

from moovier.feedback.new_movies import NewMovie
from moovier.serving.model_store import ModelStore
from moovier.serving.new_movies import NewMovies
from moovier.settings import Settings
from moovier.tmdb.client import TmdbClient
from moovier.tmdb.texts import cached_texts

logger = logging.getLogger(__name__)

#: Movies that are asked about at once, the longest wait for them, and the pause after them: about
#: 16 requests a second, where TMDB allows about 40.
BATCH, BUDGET_S, PAUSE_S = 16, 15.0, 1.0
#: Seconds until TMDB is asked again after it did not answer.
RETRY_S = 60.0
#: Rated movies of which the content is fetched.
MOST_RATED = 10_000


class NewMovieContent:
    """The movies beside the data set, in all models of a store."""

    def __init__(self, settings: Settings, model_store: ModelStore, tmdb: TmdbClient | None):
        self._share, self._texts_of = settings.new_movies_share, cached_texts(settings)
        self._model_store, self._tmdb = model_store, tmdb
        self._movies: tuple[NewMovie, ...] = ()
        self._revision = 0
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def set_movies(self, movies: tuple[NewMovie, ...]) -> None:
        """Add these movies, and no others, to the models; any thread may call it."""
        self._movies = movies
        self._apply()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    def start(self) -> None:
        """Begin to fetch from TMDB, in the running event loop."""
        if self._tmdb is None:
            return
        self._loop = asyncio.get_running_loop()
        self._changed.set()
        self._task = self._loop.create_task(self._follow(self._tmdb))

    async def close(self) -> None:
        """Stop fetching."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _apply(self) -> None:
        try:
            self._model_store.set_new_movies(
                NewMovies(self._movies, self._share, self._texts_of, self._revision)
            )
        except Exception:
            # The models answer without them, and feedback must not stop being read.
            logger.exception("the movies beside the data set could not be added to the models")

    async def _follow(self, tmdb: TmdbClient) -> None:
        """Fetch what is missing after each change of the movies, until it is cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                complete = await self._fetch_all(tmdb)
            except Exception:
                logger.exception("the content of new movies could not be fetched")
                complete = False
            if not complete:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), RETRY_S)
                self._changed.set()

    async def _fetch_all(self, tmdb: TmdbClient) -> bool:
        """Fetch what is missing; return whether TMDB answered about everything."""
        own = [movie.tmdb_id for movie in self._movies if movie.tmdb_id is not None]
        if not own:
            return True
        # An unreleased movie gets its text and people later, so old answers are asked for again.
        missing = tmdb.lacking_content(own)
        complete = await self._fetch(tmdb, missing)
        if missing:
            await run_sync(self._apply)
        missing = tmdb.lacking_content(self._rated_ids(), any_age=True)
        if missing and complete:
            complete = await self._fetch(tmdb, missing)
            # The index of the rated movies' words is made anew, once for all.
            self._revision += 1
            await run_sync(self._apply)
        return complete

    async def _fetch(self, tmdb: TmdbClient, ids: Sequence[int]) -> bool:
        """Fetch the content of movies; return False as soon as TMDB does not answer."""
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            await tmdb.content(part, budget_s=BUDGET_S)
            if len(tmdb.lacking_content(part)) == len(part):
                return False
            await asyncio.sleep(PAUSE_S)
        return True

    def _rated_ids(self) -> list[int]:
        """Return the TMDB ids of the champion's rated movies, the most rated ones first."""
        model = self._model_store.loaded(None)
        if model is None:
            return []
        base = model.recommender.base
        counts, catalogue = base.user_recommender.counts, base.bundle.catalogue
        rows = [row for row in np.argsort(-counts, kind="stable").tolist() if counts[row]]
        ids = [catalogue[row].tmdb_id for row in rows[:MOST_RATED]]
        return [id_ for id_ in ids if id_ is not None]
