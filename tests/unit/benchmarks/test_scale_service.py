"""The requests and the bars of the benchmark of the service on large data."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.scale_service import STRANGERS, WORDS, Figure, missed, searches, strangers
from benchmarks.visitors import RATINGS
from moovier.data.movielens import read_movielens, to_arrays
from moovier.models.bundle import Bundle, Card, DataFacts


def model_of(folder: Path) -> Bundle:
    index, ratings, catalogue = to_arrays(read_movielens(folder))
    facts = DataFacts(
        name="sample", hash="h", synthetic=True, ratings=len(ratings), users=1, movies=1
    )
    card = Card(name="moovier_popular_1_trained_0", family="popular", params={}, data=facts)
    return Bundle(card, index, ratings.histories, catalogue, {})


def test_strangers_have_ratings_of_one_history_each(sample_data: Path) -> None:
    model = model_of(sample_data)
    rows = {int(movie): row for row, movie in enumerate(model.index.movies)}
    histories = [
        set(model.histories[user].movies.tolist()) for user in range(model.index.users.size)
    ]
    bodies = strangers(model)
    assert len(bodies) == STRANGERS
    assert len(set(bodies)) > STRANGERS / 2
    for body in bodies[:50]:
        rated = {rows[int(movie)] for movie in json.loads(body)["ratings"]}
        assert len(rated) == RATINGS
        assert any(rated <= history for history in histories)


def test_searches_are_the_first_letters_of_titles(sample_data: Path) -> None:
    model = model_of(sample_data)
    texts = searches(model)
    assert len(texts) == WORDS
    titles = [movie.title for movie in model.catalogue]
    assert all(any(title.startswith(text) for title in titles) for text in texts[:50])


def test_a_figure_beyond_its_bar_is_missed() -> None:
    figures = [Figure("a", 10.0, 10.0), Figure("b", 10.1, 10.0), Figure("c", 99.0)]
    assert missed(figures) == ["b"]
