"""Metrics of a monitoring check by name, NaN without a value."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import requests

from moovier.data.ratings import Ratings
from moovier.feedback.database import exists
from moovier.feedback.served_lists import SHADOW_ARM
from moovier.feedback.store import FeedbackStore
from moovier.json_files import read_json
from moovier.models.bundle import Bundle
from moovier.monitoring.dataset_diff import Change
from moovier.monitoring.distances import Values, kolmogorov_smirnov, psi, shares
from moovier.monitoring.drift import MIN_RATINGS, Drift
from moovier.monitoring.feedback_quality import LiveQuality, measure_live_quality
from moovier.monitoring.list_metrics import describe, overlap
from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.serving.recommender import Recommender
from moovier.settings import Settings
from moovier.timestamps import DAY_S

#: Number of users whose lists are compared, and the length of a list.
_USERS, _TOP_K = 200, 10
_SERVICE_TIMEOUT_S = 5.0
#: The service's counter of lists, and the label of lists for unknown users.
_ANSWERS, _POPULAR = "moovier_answers_total", "popular"

Metrics = dict[str, float]


def finite(metrics: Mapping[str, float]) -> Metrics:
    """Drop non-finite values, which JSON cannot hold, and round to five digits."""
    return {name: float(f"{value:.5g}") for name, value in metrics.items() if math.isfinite(value)}


def change_metrics(change: Change) -> Metrics:
    """Return numbers of changed ratings and distances between the data sets."""
    before, after = change.reference, change.current
    added = after.take(change.added)
    n_added = max(len(added), 1)
    before_counts = np.bincount(before.users, minlength=before.n_users)
    after_counts = np.bincount(after.users, minlength=after.n_users)
    new_user_counts = after_counts[change.new_users & (after_counts > 0)]
    return {
        "ratings": float(len(after)),
        "came": float(len(added)),
        "went": float(change.removed.sum()),
        "came_share": len(added) / max(len(after), 1),
        "came_by_new_users": float(change.new_users[added.users].sum() / n_added),
        "came_of_unknown_movies": float((~change.known_movies[added.movies]).sum() / n_added),
        "new_users": float(new_user_counts.size),
        "stars_psi": psi(_stars(before), _stars(after)),
        "stars_ks": kolmogorov_smirnov(before.stars, after.stars),
        "came_stars_psi": psi(_stars(before), _stars(added)) if len(added) else math.nan,
        "came_stars_ks": kolmogorov_smirnov(before.stars, added.stars),
        "came_genres_psi": psi(_genres(change, before), _genres(change, added))
        if len(added)
        else math.nan,
        "new_users_activity_ks": kolmogorov_smirnov(
            before_counts[before_counts > 0], new_user_counts
        ),
    }


def _stars(ratings: Ratings) -> Values:
    """Return the share of ratings by number of half stars, 0 to 10."""
    return shares(np.bincount(np.rint(ratings.stars * 2).astype(int), minlength=11).astype(float))


def _genres(change: Change, ratings: Ratings) -> Values:
    """Return the share of ratings by genre."""
    return shares(change.genres_of(ratings))


def drift_metrics(drift: Drift, prefix: str) -> Metrics:
    """Return each statistic and its p-value."""
    return {f"{prefix}_{statistic.name}": statistic.value for statistic in drift.statistics} | {
        f"{prefix}_{statistic.name}_p": statistic.p for statistic in drift.statistics
    }


def list_metrics(model: Bundle, previous: Bundle | None, *, seed: int) -> Metrics:
    """Return coverage and popularity of the champion's lists, and their overlap.

    The overlap is the share of movies that the previous champion's list of the same user has too.
    The lists are those of a sample of the users that both models know.
    """
    users = model.index.users[model.histories.counts() > 0]
    if previous is not None:
        shared = np.intersect1d(users, previous.index.users[previous.histories.counts() > 0])
        users = shared if shared.size else users
    if not users.size:
        return {}
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(users, min(_USERS, users.size), replace=False)).tolist()
    lists = _lists(model, sample)
    counts = model.histories.movie_counts()
    current = describe(lists, model.index.movies, counts)
    metrics = {"coverage_at_10": current.coverage, "popular_share_at_10": current.popular}
    if previous is not None:
        previous_lists = _lists(previous, sample)
        earlier = describe(previous_lists, model.index.movies, counts)
        metrics |= {
            "previous_coverage_at_10": earlier.coverage,
            "previous_popular_share_at_10": earlier.popular,
            "overlap_at_10": overlap(lists, previous_lists),
        }
    return metrics


def _lists(model: Bundle, users: list[int]) -> list[list[int]]:
    """Return the movie ids of each user's list."""
    answers = Recommender(model).recommend(users, _TOP_K)
    return [[item.movie.id for item in answer.items] for answer in answers]


def live_quality(settings: Settings) -> LiveQuality | None:
    """Return the quality of served lists, or None without a feedback database."""
    if not exists(settings.database):
        return None
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        # Users did not see the lists of the shadow.
        served = (
            served_list
            for served_list in store.lists(0, int(time.time()) + 1)
            if served_list.arm != SHADOW_ARM
        )
        first = next(served, None)
        lists = None if first is None else itertools.chain([first], served)
        return measure_live_quality(store.everything().ratings, lists, seed=settings.seed)


def live_metrics(live: LiveQuality | None) -> Metrics:
    """Return the metrics of the live quality, with lists if they are recorded."""
    if live is None:
        return {}
    metrics = {
        "feedback_of_lists": float(live.recommended.ratings),
        "feedback_others": float(live.others.ratings),
        "recommended_stars": live.recommended.stars,
        "other_stars": live.others.stars,
        "recommended_liked_share": live.recommended.liked,
        "recommended_liked_low": live.recommended.low,
        "recommended_liked_high": live.recommended.high,
        "other_liked_share": live.others.liked,
        "liked_gain": live.gain,
        "liked_gain_low": live.low,
        "liked_gain_high": live.high,
    }
    if live.lists is not None:
        metrics["lists_served"] = float(live.lists)
    if live.rated_share is not None:
        metrics["lists_rated_share"] = live.rated_share
    for number, quality in live.by_version.items():
        metrics[f"liked_share_version_{number}"] = quality.liked
    return metrics


def ages(registry: Registry, champion: Version, ratings: Ratings, settings: Settings) -> Metrics:
    """Return ages in days.

    They are those of the champion, of the newest version of a retraining, of the newest rating,
    and of the last ingest without problems on this machine.
    """
    now = time.time()
    versions = [version for version in registry.versions() if "retraining" in version.tags]
    newest = max(version.created_at.timestamp() for version in versions or [champion])
    metrics = {
        "champion_age_days": (now - champion.created_at.timestamp()) / DAY_S,
        "since_retraining_days": (now - newest) / DAY_S,
    }
    if len(ratings):
        metrics["newest_rating_age_days"] = (now - float(ratings.timestamps.max())) / DAY_S
    ingest_times = [_ingest_time(file) for file in settings.path("ingest").glob("*.json")]
    if any(ingest_times):
        metrics["since_ingest_days"] = (now - max(ingest_times)) / DAY_S
    return metrics


def _ingest_time(report_file: Path) -> float:
    """Return a report's time in seconds since 1970, or 0 if it has problems."""
    try:
        report = read_json(report_file)
    except ValueError:
        return 0.0
    is_good = isinstance(report, dict) and not report.get("problems")
    return report_file.stat().st_mtime if is_good else 0.0


def service_metrics(settings: Settings) -> tuple[Metrics, list[str]]:
    """Return the service's share of lists for unknown users since its start.

    The second value has a note if the share is unavailable.
    """
    if settings.service_url is None:
        return {}, ["fallback share: not measured, MOOVIER_SERVICE_URL is not set"]
    try:
        answer = requests.get(
            f"{settings.service_url.rstrip('/')}/metrics", timeout=_SERVICE_TIMEOUT_S
        )
        answer.raise_for_status()
        return parse_fallback(answer.text), []
    except (requests.RequestException, ValueError) as error:
        return {}, [f"fallback share: the service does not answer ({type(error).__name__})"]


def parse_fallback(text: str) -> Metrics:
    """Parse the number of lists and the fallback share from Prometheus's text.

    Raises:
        ValueError: the text has another format.
    """
    from prometheus_client.parser import text_string_to_metric_families

    model_lists = popular_lists = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name != _ANSWERS:
                continue
            if sample.labels.get("source") == _POPULAR:
                popular_lists += sample.value
            else:
                model_lists += sample.value
    total = model_lists + popular_lists
    metrics = {"service_lists": total}
    if total:
        metrics["fallback_share"] = popular_lists / total
    return metrics


def notes(
    change: Change, added_drift: Drift, live: LiveQuality | None, *, has_previous: bool
) -> list[str]:
    """Return what could not be measured, and why, one line each."""
    lines = []
    if not change.added.any():
        lines.append("drift: the champion was trained on all current ratings")
    elif not added_drift.statistics:
        lines.append(f"drift: not measured, fewer than {MIN_RATINGS} ratings were added")
    if not has_previous:
        lines.append("lists: not compared, there is no previous champion")
    if live is None:
        lines.append("quality: no user has sent ratings to this service yet")
    else:
        if live.lists is None:
            lines.append("quality by list and version: not measured, served lists are not recorded")
        if not live.enough:
            lines.append("quality: too few ratings refer to a list to draw a conclusion")
    return lines
