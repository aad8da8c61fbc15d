"""What monitoring looks at as flat figures: name to number, NaN for what cannot be told."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import numpy as np

from moovier.data.ratings import Ratings
from moovier.feedback.database import exists
from moovier.feedback.served_lists import SHADOW_ARM
from moovier.feedback.store import FeedbackStore
from moovier.jobs.retrain_plan import read_json
from moovier.models.bundle import Bundle
from moovier.monitoring import list_metrics as monitored
from moovier.monitoring.dataset_diff import Change
from moovier.monitoring.distances import Values, kolmogorov_smirnov, psi, shares
from moovier.monitoring.drift import MIN_RATINGS, Drift
from moovier.monitoring.feedback_quality import LiveQuality, measure_live_quality
from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.serving.recommender import Recommender
from moovier.settings import Settings

#: People whose lists are compared, and how long a list is.
_PEOPLE, _TOP_K = 200, 10
_DAY_S = 24 * 3600
_SERVICE_TIMEOUT_S = 5.0
#: What the service counts its lists in, and the source of those for people it does not know.
_ANSWERS, _POPULAR = "moovier_answers_total", "popular"

Figures = dict[str, float]


def finite(figures: Mapping[str, float]) -> Figures:
    """Those that are numbers, to five digits: JSON knows no NaN, and a tag has little room."""
    return {name: float(f"{value:.5g}") for name, value in figures.items() if math.isfinite(value)}


def of_change(change: Change) -> Figures:
    """How much came and went, and plain distances between the data sets as they stand."""
    then, now = change.reference, change.current
    came = now.take(change.added)
    n_came = max(len(came), 1)
    then_lengths = np.bincount(then.users, minlength=then.n_users)
    now_lengths = np.bincount(now.users, minlength=now.n_users)
    new_lengths = now_lengths[change.new_users & (now_lengths > 0)]
    return {
        "ratings": float(len(now)),
        "came": float(len(came)),
        "went": float(change.removed.sum()),
        "came_share": len(came) / max(len(now), 1),
        "came_by_new_users": float(change.new_users[came.users].sum() / n_came),
        "came_of_unknown_movies": float((~change.known_movies[came.movies]).sum() / n_came),
        "new_users": float(new_lengths.size),
        "stars_psi": psi(_stars(then), _stars(now)),
        "stars_ks": kolmogorov_smirnov(then.stars, now.stars),
        "came_stars_psi": psi(_stars(then), _stars(came)) if len(came) else math.nan,
        "came_stars_ks": kolmogorov_smirnov(then.stars, came.stars),
        "came_genres_psi": psi(_genres(change, then), _genres(change, came))
        if len(came)
        else math.nan,
        "new_users_activity_ks": kolmogorov_smirnov(then_lengths[then_lengths > 0], new_lengths),
    }


def _stars(ratings: Ratings) -> Values:
    return shares(np.bincount(np.rint(ratings.stars * 2).astype(int), minlength=11).astype(float))


def _genres(change: Change, ratings: Ratings) -> Values:
    return shares(change.genres[ratings.movies].sum(axis=0))


def of_drift(drift: Drift, prefix: str) -> Figures:
    """Each distance and its p-value."""
    return {f"{prefix}_{one.name}": one.value for one in drift.statistics} | {
        f"{prefix}_{one.name}_p": one.p for one in drift.statistics
    }


def of_lists(model: Bundle, before: Bundle | None, *, seed: int) -> Figures:
    """Coverage and popularity of the champion's lists, and how many movies of a list the champion
    before it gave too, over people that both know."""
    known = model.index.users[model.histories.counts() > 0]
    if before is not None:
        shared = np.intersect1d(known, before.index.users[before.histories.counts() > 0])
        known = shared if shared.size else known
    if not known.size:
        return {}
    rng = np.random.default_rng(seed)
    people = np.sort(rng.choice(known, min(_PEOPLE, known.size), replace=False)).tolist()
    now = _lists(model, people)
    counts = model.histories.movie_counts()
    figures = monitored.describe(now, model.index.movies, counts)
    found = {"coverage_at_10": figures.coverage, "popular_share_at_10": figures.popular}
    if before is not None:
        then = _lists(before, people)
        earlier = monitored.describe(then, model.index.movies, counts)
        found |= {
            "previous_coverage_at_10": earlier.coverage,
            "previous_popular_share_at_10": earlier.popular,
            "overlap_at_10": monitored.overlap(now, then),
        }
    return found


def _lists(model: Bundle, people: list[int]) -> list[list[int]]:
    answers = Recommender(model).recommend(people, _TOP_K)
    return [[item.movie.id for item in answer.items] for answer in answers]


def live_quality(settings: Settings) -> LiveQuality | None:
    """Feedback on what was recommended; None where there is no database of feedback yet."""
    if not exists(settings.database):
        return None
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        # What the shadow made, nobody saw.
        seen = (one for one in store.lists(0, int(time.time()) + 1) if one.arm != SHADOW_ARM)
        first = next(seen, None)
        lists = None if first is None else itertools.chain([first], seen)
        return measure_live_quality(store.everything().ratings, lists, seed=settings.seed)


def of_live(found: LiveQuality | None) -> Figures:
    """Figures of the live quality; those of the lists only where lists are recorded."""
    if found is None:
        return {}
    told = {
        "feedback_of_lists": float(found.recommended.ratings),
        "feedback_others": float(found.others.ratings),
        "recommended_stars": found.recommended.stars,
        "other_stars": found.others.stars,
        "recommended_liked_share": found.recommended.liked,
        "recommended_liked_low": found.recommended.low,
        "recommended_liked_high": found.recommended.high,
        "other_liked_share": found.others.liked,
        "liked_gain": found.gain,
        "liked_gain_low": found.low,
        "liked_gain_high": found.high,
    }
    if found.lists is not None:
        told["lists_served"] = float(found.lists)
    if found.rated_share is not None:
        told["lists_rated_share"] = found.rated_share
    for number, quality in found.by_version.items():
        told[f"liked_share_version_{number}"] = quality.liked
    return told


def ages(registry: Registry, champion: Version, ratings: Ratings, settings: Settings) -> Figures:
    """Days since the champion was made, since a retraining last made anything, since the newest
    rating was given, and since data were last brought in and found good on this machine."""
    now = time.time()
    made = [one for one in registry.versions() if "retraining" in one.tags] or [champion]
    newest = max(version.created_at.timestamp() for version in made)
    told = {
        "champion_age_days": (now - champion.created_at.timestamp()) / _DAY_S,
        "since_retraining_days": (now - newest) / _DAY_S,
    }
    if len(ratings):
        told["newest_rating_age_days"] = (now - float(ratings.timestamps.max())) / _DAY_S
    good = [_moment(file) for file in settings.path("ingest").glob("*.json")]
    if any(good):
        told["since_ingest_days"] = (now - max(good)) / _DAY_S
    return told


def _moment(report: Path) -> float:
    """When a report was written; 0 for one with problems."""
    found = read_json(report)
    good = isinstance(found, dict) and not found.get("problems")
    return report.stat().st_mtime if good else 0.0


def of_service(settings: Settings) -> tuple[Figures, list[str]]:
    """Share of the service's lists since its start that were for people whom the model does not
    know; and what to say where that is not to be had."""
    if settings.service_url is None:
        return {}, ["fallback share: not looked at, MOOVIER_SERVICE_URL is not set"]
    try:
        answer = httpx.get(
            f"{settings.service_url.rstrip('/')}/metrics", timeout=_SERVICE_TIMEOUT_S
        ).raise_for_status()
        return fallback(answer.text), []
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return {}, [f"fallback share: the service cannot be asked ({type(error).__name__})"]


def fallback(metrics: str) -> Figures:
    """From Prometheus's text format.

    Raises:
        ValueError: it is not that.
    """
    from prometheus_client.parser import text_string_to_metric_families

    lists = {True: 0.0, False: 0.0}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == _ANSWERS:
                lists[sample.labels.get("source") == _POPULAR] += sample.value
    total = lists[True] + lists[False]
    told = {"service_lists": total}
    if total:
        told["fallback_share"] = lists[True] / total
    return told


def notes(change: Change, came: Drift, lived: LiveQuality | None, compared: bool) -> list[str]:
    """What could not be told, and why."""
    said = []
    if not change.added.any():
        said.append("drift: the champion was trained on all ratings there are")
    elif not came.statistics:
        said.append(f"drift: fewer than {MIN_RATINGS} ratings came, too few to judge")
    if not compared:
        said.append("lists: there is no previous champion to compare with")
    if lived is None:
        said.append("quality: nobody has sent ratings to this service yet")
    else:
        if lived.lists is None:
            said.append("quality by list and version: not recorded, served lists are not kept")
        if not lived.enough:
            said.append("quality: too few ratings quote a list to conclude anything")
    return said
