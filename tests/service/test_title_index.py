"""The titles of a large catalogue are indexed while the service answers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from moovier.serving import movies, user_recommender
from moovier.serving.movies import is_prepared
from moovier.serving.recommender import Recommender
from moovier.serving.title_search import TitleIndex
from moovier.settings import Settings
from tests.service.conftest import promote, published, wait_for
from tests.service.in_process import started


def test_requests_are_answered_while_titles_are_indexed(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    go_on, indexed, searched = threading.Event(), [], threading.Event()

    def slow_index(*arguments: Any, **named: Any) -> TitleIndex:
        assert go_on.wait(120)
        indexed.append(threading.current_thread())
        return TitleIndex(*arguments, **named)

    def prepare(recommender: Recommender) -> None:
        searched.set()
        unchanged(recommender)

    unchanged = movies.prepare
    monkeypatch.setattr(user_recommender, "TitleIndex", slow_index)
    monkeypatch.setattr(movies, "prepare", prepare)
    promote(settings, published(settings, tmp_path))
    with started(settings) as client, ThreadPoolExecutor(3) as threads:
        try:
            searches = [threads.submit(client.get, "/movies?query=movie") for _ in range(2)]
            assert searched.wait(60)
            other = threads.submit(client.post, "/predict", json=[7])
            assert other.result(timeout=60).status_code == 200
            assert not any(search.done() for search in searches)
        finally:
            go_on.set()
        assert [len(search.result().json()["items"]) for search in searches] == [5, 5]
        assert len(indexed) == 1, "two searches indexed the titles twice"


def test_titles_are_indexed_before_the_first_search(settings: Settings, tmp_path: Path) -> None:
    promote(settings, published(settings, tmp_path))
    with started(settings) as client:

        def is_indexed() -> bool:
            context = client.state.context
            model = None if context is None else context.model_store.loaded(None)
            return model is not None and is_prepared(model.recommender)

        wait_for(is_indexed)
