"""The arrays of ``timeline``, and their Keras model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Ratings
from moovier.models import timeline
from moovier.models.family import FitContext, Scorer
from moovier.models.timeline import TimelineFamily
from moovier.models.timeline_scoring import ASKING, NO_MOVIE, TimelineParams
from moovier.timestamps import YEAR_S
from tests.contracts import toy

PARAMS = TimelineParams(size=2, half_life=1.0, back=0.5, back_half_life=2.0, lambda_=2.0)
CATALOGUE = Catalogue.of(
    Movie(row, f"Movie {row}", 1990 + row, ("Drama",), None, None) for row in range(7)
)


def test_the_kernel_falls_with_the_distance_and_is_negative_before() -> None:
    expected = [-0.5 * 2 ** (-2 / 2), -0.5 * 2 ** (-1 / 2), 0.0, 2**-1, 2**-2]
    np.testing.assert_allclose(timeline.kernel(PARAMS), expected, rtol=1e-6)


def test_timelines_of_users_are_separated_by_the_reach_of_flow(tiny_ratings: Ratings) -> None:
    arrays = timeline.build_arrays(tiny_ratings, PARAMS, CATALOGUE)
    row, gap, expected = arrays["timeline"], [NO_MOVIE] * PARAMS.size, [NO_MOVIE] * PARAMS.size
    for user in range(5):
        expected += [*tiny_ratings.histories[user].movies.tolist(), *gap]
    assert row.tolist() == expected
    rated = row != NO_MOVIE
    moments = np.concatenate([tiny_ratings.histories[user].timestamps for user in range(5)])
    np.testing.assert_allclose(arrays["when"][rated], moments / YEAR_S, rtol=1e-6)
    assert not arrays["when"][~rated].any()


def test_places_of_each_movie_are_sorted_by_time(tiny_ratings: Ratings) -> None:
    arrays = timeline.build_arrays(tiny_ratings, PARAMS, CATALOGUE)
    for movie in range(7):
        places = arrays["places"][arrays["offsets"][movie] : arrays["offsets"][movie + 1]]
        assert (arrays["timeline"][places] == movie).all()
        assert (np.diff(arrays["when"][places]) >= 0).all()
        assert places.size == (tiny_ratings.movies == movie).sum() == arrays["counts"][movie]


def test_the_arrays_have_the_hyper_parameters_of_scoring(tiny_ratings: Ratings) -> None:
    params = PARAMS.model_copy(update={name: 0.5 + place for place, name in enumerate(ASKING)})
    arrays = timeline.build_arrays(tiny_ratings, params, CATALOGUE)
    assert arrays["asking"].tolist() == [0.5 + place for place in range(len(ASKING))]


def test_the_strongest_neighbours_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MOST_NEIGHBOURS", 2)
    weights = np.array([[0.0, 0.1, -0.9], [0.2, 0.0, 0.3], [-0.5, 0.4, 0.0]], np.float16)
    neighbours, values = timeline._strongest(weights, np.array([3, 8, 9]))
    pairs = [dict(zip(*row, strict=True)) for row in zip(neighbours.tolist(), values, strict=True)]
    assert [set(row) for row in pairs] == [{8, 9}, {3, 9}, {3, 8}]
    np.testing.assert_allclose([pairs[0][9], pairs[2][3]], [-0.9, -0.5], rtol=1e-3)


def test_a_fit_is_one_epoch_with_its_validation() -> None:
    reports: list[Any] = []
    scorers: list[Scorer] = []

    def ndcg(scorer: Scorer) -> float:
        scorers.append(scorer)
        return 0.25

    context = FitContext(
        toy.catalogue(),
        seed=0,
        validation_ndcg=ndcg,
        on_epoch=lambda epoch, metrics: reports.append((epoch, dict(metrics))),
    )
    result = TimelineFamily().fit(toy.ratings(), TimelineParams(size=4), context)
    assert reports == [(0, {"val_ndcg_at_10": 0.25})]
    assert (result.epochs, dict(result.curves)) == (1, {"val_ndcg_at_10": [0.25]})
    assert [scorer.n_movies for scorer in scorers] == [toy.N_MOVIES]


def test_keras_computes_flow_and_company(tiny_ratings: Ratings) -> None:
    arrays = timeline.build_arrays(tiny_ratings, PARAMS, CATALOGUE)
    model = timeline._keras_model(arrays)
    n_covered = arrays["covered"].size
    support = np.zeros((1, 9, 1), np.float32)
    support[0, 4, 0] = 1.0
    rated, liked = np.eye(1, n_covered), np.eye(1, 7)
    flow, company, content = (
        np.asarray(output) for output in model.predict_on_batch([support, rated, liked])
    )
    # One rating at place 4 gives the kernel around it.
    np.testing.assert_allclose(flow[0, 2:7, 0], arrays["kernel"], rtol=1e-5)
    weights = np.zeros(7)
    weights[arrays["neighbours"][0]] = arrays["company"][0]
    np.testing.assert_allclose(company[0], weights[arrays["covered"]], rtol=1e-5)
    rows = np.hstack([arrays[kind][arrays[f"{kind}_of"]] for kind in ("genres", "years")])
    np.testing.assert_allclose(content[0], rows @ rows[0], rtol=1e-4)
