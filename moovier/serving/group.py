"""One list for several people who watch together.

Each person's scores are scaled to utilities from 0 to 1 over the candidates of all of them. A
strategy makes one list of them:

- ``mean``: the highest mean utility first.
- ``least_misery``: the highest utility of the least satisfied person first (O'Connor et al.,
  "PolyLens", ECSCW 2001).
- ``fair``: each place goes to the movie that adds most to the mean of two numbers: its mean utility
  and the smallest total utility that any person has of the list so far, per place (Xiao et al.,
  "Fairness-aware group recommendation with Pareto-efficiency", RecSys 2017, the greedy method with
  least misery).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from moovier.data.catalogue import Movie
from moovier.data.ratings import Floats, Ints
from moovier.feedback.cache import FeedbackCache
from moovier.models.top_k import top_rows
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.events import ServingEvents
from moovier.serving.filters import Filter
from moovier.serving.model_resolution import resolve_model
from moovier.serving.page_builder import (
    ModelPage,
    decode_cursor,
    next_cursor,
    predict_stars,
    resolve_user,
)
from moovier.serving.reasons import MAX_REASONS
from moovier.serving.recommend import PageAnswer
from moovier.serving.rendering import render_page
from moovier.serving.requests import NO_FILTER, RecommendRequest
from moovier.serving.user_profile import UserProfile
from moovier.serving.user_recommender import (
    Item,
    Page,
    UserRecommender,
)

Strategy = Literal["fair", "mean", "least_misery"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
MIN_PEOPLE, MAX_PEOPLE = 2, 10
#: Fewest candidates of each person: the best movies, in total and per place of the page.
MIN_CANDIDATES, CANDIDATES_PER_PLACE = 200, 4


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """A request for a list for several people.

    ``people``: one request each, of which only ``user_id`` and ``ratings`` count. The other fields
    are those of :class:`RecommendRequest`.
    """

    people: tuple[RecommendRequest, ...]
    strategy: Strategy = "fair"
    top_k: int = 10
    filter: Filter = NO_FILTER
    exclude: tuple[int, ...] = ()
    cursor: str | None = None
    model_name: str | None = None


async def recommend_for_group(
    context: ServingContext, request: GroupRequest, *, request_id: str
) -> PageAnswer:
    """Return a page of movies that nobody of the group has rated; load the model if necessary.

    Raises:
        BadRequest: the filter or the cursor is invalid.
        UnknownModel: no model has this name.
        RegistryError: the model is not in memory and the registry cannot deliver it now.
        BundleError: the model's bundle cannot be used.
    """
    model = await resolve_model(context.model_store, request.model_name)
    page = await context.page_scheduler.run(
        build_group_page,
        model,
        context.model_store.stars,
        request,
        context.feedback,
        context.events,
    )
    return PageAnswer(await render_page(page, context.details, request_id), model)


def build_group_page(
    model: LoadedModel,
    rating_model: LoadedModel | None,
    request: GroupRequest,
    feedback: FeedbackCache,
    events: ServingEvents,
) -> ModelPage:
    """Compute a page for a group.

    Raises:
        BadRequest: the filter or the cursor is invalid.
    """
    user_recommender = model.recommender.user_recommender
    shown = decode_cursor(request.cursor)
    profiles = [resolve_user(user_recommender, person, feedback) for person in request.people]
    exclude = np.concatenate([np.array(request.exclude, dtype=np.int64), shown])
    scores = _allowed_scores(user_recommender, profiles, request.filter, exclude)
    n_candidates = max(MIN_CANDIDATES, CANDIDATES_PER_PLACE * request.top_k)
    candidates = np.unique(np.concatenate([top_rows(row, n_candidates) for row in scores]))
    utilities = scale_utilities(scores[:, candidates])
    places, values = rank_for_group(utilities, request.strategy, request.top_k)
    rows = candidates[places]
    if not user_recommender.new_places.is_empty and any(len(p.history) for p in profiles):
        rows, values = _with_new_movies(user_recommender, scores, request.strategy, rows, values)
    is_personal = any(len(profile.history) for profile in profiles)
    events.lists_answered(model.name, int(is_personal), int(not is_personal))
    page = Page(
        items=_items(user_recommender, model, profiles, rows, values),
        more=int(np.isfinite(scores[0]).sum()) > rows.size,
        ids=model.recommender.bundle.index.movies[rows],
    )
    stars = [
        predict_stars(rating_model, model, profile, person, feedback, page)
        or (None,) * len(page.items)
        for profile, person in zip(profiles, request.people, strict=True)
    ]
    by_movie = tuple(zip(*stars, strict=True)) if page.items else ()
    return ModelPage(
        model,
        page,
        tuple(_mean(movie_stars) for movie_stars in by_movie),
        next_cursor(page, shown),
        by_movie,
    )


def _with_new_movies(
    user_recommender: UserRecommender,
    scores: Floats,
    strategy: Strategy,
    rows: Ints,
    values: Floats,
) -> tuple[Ints, Floats]:
    """Return a list and its values with new movies at the places that are theirs.

    As in a list for one person, a new movie takes a place only if the group's value of it is among
    the best tenth: the mean utility, or the smallest one for ``least_misery``.
    """
    allowed = np.flatnonzero(np.isfinite(scores[0]))
    utilities = scale_utilities(scores[:, allowed])
    whole = np.full(scores.shape[1], -np.inf, dtype=np.float32)
    whole[allowed] = utilities.min(axis=0) if strategy == "least_misery" else utilities.mean(axis=0)
    placed = user_recommender.new_places.placed(whole, rows)
    value_of = dict(zip(rows.tolist(), values.tolist(), strict=True))
    return placed, np.array([value_of.get(row, float(whole[row])) for row in placed.tolist()])


def scale_utilities(scores: Floats) -> Floats:
    """Return each person's scores scaled to 0..1, (n_people, n_candidates).

    A person whose candidates all have one score has the utility 1 of each.
    """
    low = scores.min(axis=1, keepdims=True, initial=np.inf)
    span = scores.max(axis=1, keepdims=True, initial=-np.inf) - low
    scaled = np.divide(scores - low, span, out=np.ones_like(scores), where=span > 0)
    return np.asarray(scaled)


def rank_for_group(utilities: Floats, strategy: Strategy, top_k: int) -> tuple[Ints, Floats]:
    """Return the columns of the ``top_k`` best candidates, best first, and their values.

    ``utilities``: (n_people, n_candidates), 0 to 1. The values are those of the strategy and never
    rise along the list. Ties go to the higher mean, then to the lower column.
    """
    mean = utilities.mean(axis=0)
    if strategy == "fair":
        return _rank_fairly(utilities, mean, top_k)
    value = mean if strategy == "mean" else utilities.min(axis=0)
    order = np.lexsort((np.arange(mean.size), -mean, -value))[:top_k]
    return order, value[order]


def _rank_fairly(utilities: Floats, mean: Floats, top_k: int) -> tuple[Ints, Floats]:
    chosen: list[int] = []
    values: list[float] = []
    totals = np.zeros((utilities.shape[0], 1))
    free = np.ones(mean.size, dtype=bool)
    for place in range(1, min(top_k, mean.size) + 1):
        least = (totals + utilities).min(axis=0) / place
        value = np.where(free, (mean + least) / 2, -np.inf)
        best = int(np.argmax(value))
        chosen.append(best)
        values.append(float(value[best]))
        free[best] = False
        totals += utilities[:, [best]]
    return np.array(chosen, dtype=np.int64), np.minimum.accumulate(np.array(values))


def _allowed_scores(
    user_recommender: UserRecommender,
    profiles: Sequence[UserProfile],
    movie_filter: Filter,
    exclude: Ints,
) -> Floats:
    """Return everybody's scores, (n_people, n_movies), -inf for movies that must not be shown."""
    scores = np.stack([user_recommender.scores(profile) for profile in profiles])
    if not movie_filter.is_empty:
        scores += user_recommender.filter_index.penalty(movie_filter)
    for profile in profiles:
        scores[:, profile.left_out] = -np.inf
    scores[:, user_recommender.known_rows(exclude)] = -np.inf
    return scores


def _items(
    user_recommender: UserRecommender,
    model: LoadedModel,
    profiles: Sequence[UserProfile],
    rows: Ints,
    values: Floats,
) -> tuple[Item, ...]:
    """Return the movies with reasons that start with the first reason of each person."""
    catalogue = model.recommender.bundle.catalogue
    reasons = [
        user_recommender.reasons(profile.history, rows)
        for profile in profiles
        if len(profile.history) and rows.size
    ]
    return tuple(
        Item(
            catalogue[row],
            value,
            "model" if reasons else "popular",
            _interleave([of_person[place] for of_person in reasons]),
        )
        for place, (row, value) in enumerate(zip(rows.tolist(), values.tolist(), strict=True))
    )


def _interleave(reasons: Sequence[tuple[Movie, ...]]) -> tuple[Movie, ...]:
    """Return the first movie of each, then the second of each, and so on, without repetition."""
    turns = range(max((len(movies) for movies in reasons), default=0))
    movies = [movies[turn] for turn in turns for movies in reasons if turn < len(movies)]
    return tuple(dict.fromkeys(movies))[:MAX_REASONS]


def _mean(stars: Sequence[float | None]) -> float | None:
    known = [value for value in stars if value is not None]
    return round(sum(known) / len(known), 2) if known else None
