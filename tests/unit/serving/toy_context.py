"""A service without MLflow, TMDB and a server: its models are in memory, its feedback in SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.errors import UnknownModel
from moovier.feedback.cache import FeedbackCache
from moovier.models import ease
from moovier.models.ease import EaseParams
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.events import ServingEvents
from moovier.serving.experiment_routing import ActiveExperiment, Assignment
from moovier.serving.new_movie_content import NewMovieContent
from moovier.serving.page_cache import PageCache
from moovier.serving.page_scheduler import PageScheduler
from moovier.serving.recommender import Recommender
from moovier.settings import Settings
from moovier.tmdb.movie_details import Details
from tests.contracts import toy
from tests.unit.serving.toy_users import catalogue

T = TypeVar("T")
CHAMPION, RATING_MODEL, OTHER = "moovier_ease_1_trained_0", "moovier_taste_3_trained_0", "other"


class StarScorer:
    """A rating model that predicts the same stars for everybody: 0.2 per row, up to 6."""

    n_movies = toy.N_MOVIES

    def score(self, users: Ints, _histories: Histories) -> Floats:
        return np.tile(self._stars(), (users.size, 1))

    def fold_in(self, _history: History) -> Floats:
        return self._stars()

    def explain(self, history: History, movies: Ints) -> Floats:
        return np.zeros((movies.size, len(history)), dtype=np.float32)

    def _stars(self) -> Floats:
        return np.linspace(0.2, 6.0, toy.N_MOVIES).astype(np.float32)


@cache
def champion() -> LoadedModel:
    """Return EASE on the toy ratings: users 100, 103, … and movies 10, 12, …"""
    known, params = toy.ratings(), EaseParams(size=1, lambda_=1.0)
    bundle = toy.bundle_of("ease", params, ease.build_arrays(known, params), known)
    recommender = Recommender(replace(bundle, catalogue=catalogue()))
    return LoadedModel(1, CHAMPION, "1-run", recommender)


@cache
def rating_model() -> LoadedModel:
    """Return a model of the same users and movies that predicts stars."""
    recommender = Recommender(champion().recommender.bundle, scorer=StarScorer())
    return LoadedModel(2, RATING_MODEL, "2-run", recommender)


class Models:
    """A model store with a champion and one other model that has to be loaded first."""

    def __init__(self) -> None:
        self.champion: LoadedModel | None = champion()
        self.stars: LoadedModel | None = rating_model()
        self.experiment: ActiveExperiment | None = None
        self.loads: list[str | None] = []

    def loaded(self, name: str | None) -> LoadedModel | None:
        return self.champion if name in (None, CHAMPION, "champion") else None

    def assignment(self, name: str | None, users: Sequence[int]) -> Assignment | None:
        model = self.loaded(name)
        if name is None and model is not None and self.experiment is not None:
            return self.experiment.assignment(users)
        return None if model is None else Assignment(model, "champion", None)

    def get(self, name: str) -> LoadedModel:
        self.loads.append(name)
        if name != OTHER:
            raise UnknownModel(name, [CHAMPION])
        return rating_model()

    def default(self) -> LoadedModel:
        self.loads.append(None)
        self.champion = champion()
        return self.champion


@dataclass
class Reports:
    """What was reported of the answers."""

    answered: list[tuple[str, int, int]] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)
    arms: list[str] = field(default_factory=list)
    recorded: list[tuple[str, int]] = field(default_factory=list)
    shadows: list[tuple[str, float | None]] = field(default_factory=list)

    @property
    def events(self) -> ServingEvents:
        return ServingEvents(
            lists_answered=lambda *answer: self.answered.append(answer),
            fold_in=self.folded.append,
            experiment_answered=lambda arm, _seconds: self.arms.append(arm),
            lists_recorded=lambda *result: self.recorded.append(result),
            shadow_list=lambda *result: self.shadows.append(result),
        )


class Recorded:
    """The pages that were recorded, as request id, arm and movie ids."""

    def __init__(self) -> None:
        self.lists: list[tuple[str, str, list[int]]] = []

    def record(self, request_id: str, assignment: Assignment, _request: Any, page: Any,
               _started: float) -> None:  # fmt: skip
        self.lists.append((request_id, assignment.arm, page.ids.tolist()))


@dataclass
class Toy:
    """A context, and the parts of it that tests look into."""

    context: ServingContext
    models: Models
    feedback: FeedbackCache
    reports: Reports
    recorded: Recorded

    def run(self, answer: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine of the service returns."""
        return asyncio.run(answer)


def feedback_in(folder: Path) -> FeedbackCache:
    """Return the feedback of a new database."""
    feedback = FeedbackCache(f"sqlite:///{folder / 'moovier.db'}")
    feedback.reload()
    return feedback


def toy_of(feedback: FeedbackCache, tmdb: Any = None) -> Toy:
    """Return a new context on ``feedback``; ``tmdb``: a client, None without a key."""
    models, reports, recorded, settings = Models(), Reports(), Recorded(), Settings()
    context = ServingContext(
        settings=settings,
        model_store=cast(Any, models),
        feedback=feedback,
        details=Details(tmdb),
        new_movies=NewMovieContent(settings, cast(Any, models), None),
        page_scheduler=PageScheduler(),
        page_cache=PageCache(),
        list_recording=cast(Any, recorded),
        events=reports.events,
    )
    return Toy(context, models, feedback, reports, recorded)
