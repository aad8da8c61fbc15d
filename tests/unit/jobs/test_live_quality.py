"""Monitoring's live quality, out of the lists that the service recorded."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import FeedbackStore, NewRating
from moovier.jobs.monitoring_metrics import live_quality
from moovier.settings import Settings

NOW = int(time.time()) - 60


def served(request_id: str, version: int, *movie_ids: int, arm: str = "champion") -> ServedList:
    return ServedList(request_id, arm, NOW, version, 7, "model", movie_ids)


def test_lists_say_what_was_recommended_and_by_whom(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert live_quality(settings) is None
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        for list_, movie, stars in (("a", 1, 5.0), ("a", 9, 1.0), ("b", 2, 1.0), ("c", 3, 5.0)):
            store.add(7, [NewRating(movie, stars, NOW)], request_id=list_)
    plain = live_quality(settings)
    assert plain is not None
    assert (plain.lists, plain.recommended.ratings, plain.others.ratings) == (None, 4, 0)

    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        shadow = served("a", 5, 9, arm="shadow")  # nobody saw it, though it had the movie
        store.record([served("a", 3, 1, 2), shadow, served("b", 4, 2), served("d", 4, 1)])
    found = live_quality(settings)
    assert found is not None
    assert found.lists == 3
    assert (found.recommended.ratings, found.others.ratings) == (2, 1)
    assert {number: one.liked for number, one in found.by_version.items()} == {3: 1.0, 4: 0.0}
