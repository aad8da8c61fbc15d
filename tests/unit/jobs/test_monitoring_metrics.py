"""Monitoring metrics of recorded lists and of the running service."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from moovier.feedback.ratings import NewRating
from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import FeedbackStore
from moovier.jobs.monitoring_metrics import (
    finite,
    live_quality,
    parse_fallback,
    service_metrics,
)
from moovier.settings import Settings
from tests.servers import free_port

NOW = int(time.time()) - 60


def served(request_id: str, version: int, *movie_ids: int, arm: str = "champion") -> ServedList:
    return ServedList(request_id, arm, NOW, version, 7, "model", movie_ids)


def test_recorded_lists_give_recommended_movies_and_versions(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert live_quality(settings) is None
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        for list_, movie, stars in (("a", 1, 5.0), ("a", 9, 1.0), ("b", 2, 1.0), ("c", 3, 5.0)):
            store.add(7, [NewRating(movie, stars, NOW)], request_id=list_)
    unrecorded = live_quality(settings)
    assert unrecorded is not None
    assert (unrecorded.lists, unrecorded.recommended.ratings, unrecorded.others.ratings) == (
        None,
        4,
        0,
    )

    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        shadow = served("a", 5, 9, arm="shadow")  # no user saw it, though it has the movie
        store.record([served("a", 3, 1, 2), shadow, served("b", 4, 2), served("d", 4, 1)])
    quality = live_quality(settings)
    assert quality is not None
    assert quality.lists == 3
    assert (quality.recommended.ratings, quality.others.ratings) == (2, 1)
    assert {number: version.liked for number, version in quality.by_version.items()} == {
        3: 1.0,
        4: 0.0,
    }


def test_unavailable_service_is_a_note(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    metrics, notes = service_metrics(settings)
    assert metrics == {}
    assert "MOOVIER_SERVICE_URL" in notes[0]
    away = settings.model_copy(update={"service_url": f"http://127.0.0.1:{free_port()}"})
    metrics, notes = service_metrics(away)
    assert metrics == {}
    assert "does not answer" in notes[0]


def test_fallback_share_is_parsed_from_the_service_metrics() -> None:
    text = """# TYPE moovier_answers_total counter
moovier_answers_total{model="a",source="model"} 6.0
moovier_answers_total{model="b",source="model"} 3.0
moovier_answers_total{model="b",source="popular"} 1.0
moovier_other_total{source="popular"} 90.0
"""
    assert parse_fallback(text) == {"service_lists": 10.0, "fallback_share": 0.1}
    assert parse_fallback("") == {"service_lists": 0.0}


def test_non_finite_metrics_are_dropped_and_the_others_rounded() -> None:
    values = {"a": 0.123456789, "b": float("nan"), "c": float("inf"), "d": 123456.0}
    assert finite(values) == {"a": 0.12346, "d": 123460.0}
