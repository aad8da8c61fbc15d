"""Adds movies beside the data set, changes them and deletes them."""

from __future__ import annotations

from typing import Any

from anyio.to_thread import run_sync

from moovier.errors import UnknownMovie
from moovier.feedback.errors import MovieConflict
from moovier.feedback.new_movies import NewMovie
from moovier.ids import MOVIE
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.model_resolution import resolve_model
from moovier.serving.movies import one_movie
from moovier.serving.text_ids import keep_texts


async def put_movie(
    context: ServingContext, movie: NewMovie
) -> tuple[bool, dict[str, Any], LoadedModel]:
    """Store a new movie; return whether it was added, the movie, and the model that has it now.

    Raises:
        MovieConflict: the data set has a movie with ratings by this id.
        BadRequest: a field is out of range.
        FeedbackUnavailable: the database does not answer.
        RegistryError: there is no model yet.
    """
    context.feedback.check()
    if all(known.id != movie.id for known in context.feedback.new_movies):
        _check_free(await resolve_model(context.model_store), movie.id)
    await keep_texts(context, MOVIE, [movie.id])
    is_new = await run_sync(context.feedback.put_movie, movie)
    payload, model = await one_movie(context, movie.id)
    return is_new, payload, model


async def delete_movie(context: ServingContext, movie_id: int) -> None:
    """Delete a new movie. Ratings of it stay, but no longer count.

    Raises:
        UnknownMovie: no new movie has this id.
        FeedbackUnavailable: the database does not answer.
    """
    if not await run_sync(context.feedback.delete_movie, movie_id):
        raise UnknownMovie(
            movie_id,
            f"no movie that was added has the id {movie_id}; movies of the data set are deleted "
            "from its movies.csv",
        )


def _check_free(model: LoadedModel, movie_id: int) -> None:
    title = model.recommender.rated_titles([movie_id]).get(movie_id)
    if title is not None:
        raise MovieConflict(
            f"the data set has the id {movie_id} for {title!r}, which has ratings; choose a free "
            "id, or change the data set's movies.csv"
        )
