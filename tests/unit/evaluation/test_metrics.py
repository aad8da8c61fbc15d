"""Metrics against scikit-learn and against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from moovier.evaluation import metrics

NO_MOVIES = np.array([], dtype=np.int64)


def rows(*movies: int) -> np.ndarray:
    return np.array(movies, dtype=np.int64)


@given(
    order=st.permutations(range(9)),
    relevant=st.sets(st.integers(0, 8), min_size=1),
    k=st.integers(1, 9),
)
def test_ndcg_equals_scikit_learn(order: list[int], relevant: set[int], k: int) -> None:
    truth = np.isin(np.arange(9), list(relevant)).astype(float)
    scores = np.empty(9)
    scores[order] = np.arange(9, 0, -1)
    expected = ndcg_score([truth], [scores], k=k)
    top = np.array([order])
    assert metrics.ndcg_at_k(top, [rows(*relevant)], k)[0] == pytest.approx(expected)


def test_metrics_equal_values_by_hand() -> None:
    top = np.array([[4, 1, 7], [2, 3, 5], [9, 8, 6], [0, 1, 2]])
    relevant = [rows(1, 7, 30, 31), rows(2), rows(1, 2), NO_MOVIES]
    two_of_three = (1 / np.log2(3) + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2)
    np.testing.assert_allclose(
        metrics.ndcg_at_k(top, relevant, 3), [two_of_three, 1, 0, np.nan], rtol=1e-12
    )
    np.testing.assert_allclose(metrics.recall_at_k(top, relevant, 3), [2 / 3, 1, 0, np.nan])
    np.testing.assert_array_equal(metrics.hit_at_k(top, relevant, 3), [1, 1, 0, np.nan])
    np.testing.assert_array_equal(metrics.hits(top, relevant)[0], [False, True, True])


def test_movies_after_rank_k_do_not_count() -> None:
    top, relevant = np.array([[4, 1, 7]]), [rows(7)]
    assert metrics.ndcg_at_k(top, relevant, 2)[0] == 0
    assert metrics.recall_at_k(top, relevant, 2)[0] == 0
    assert metrics.hit_at_k(top, relevant, 2)[0] == 0
    assert metrics.hit_at_k(top, relevant, 3)[0] == 1


def test_debiased_ndcg_equals_a_value_by_hand() -> None:
    counts = np.array([100, 4, 1, 0])
    top, relevant = np.array([[0, 3, 1]]), [rows(0, 1, 2)]
    hit = 0.1 / np.log2(2) + 0.5 / np.log2(4)
    ideal = 1.0 / np.log2(2) + 0.5 / np.log2(3) + 0.1 / np.log2(4)
    ndcg = metrics.debiased_ndcg_at_k(top, relevant, counts, 3)
    np.testing.assert_allclose(ndcg, [hit / ideal])


@given(
    order=st.permutations(range(9)),
    relevant=st.sets(st.integers(0, 8), min_size=1),
    k=st.integers(1, 9),
)
def test_debiased_ndcg_equals_ndcg_for_equally_popular_movies(
    order: list[int], relevant: set[int], k: int
) -> None:
    top, movies = np.array([order]), [rows(*relevant)]
    ndcg = metrics.debiased_ndcg_at_k(top, movies, np.full(9, 7), k)
    np.testing.assert_allclose(ndcg, metrics.ndcg_at_k(top, movies, k))


def test_debiased_ndcg_is_nan_without_relevant_movies_and_ignores_padding() -> None:
    top = np.array([[5, -1], [1, 2]])
    ndcg = metrics.debiased_ndcg_at_k(top, [rows(5), NO_MOVIES], np.arange(9), 2)
    assert ndcg[0] == pytest.approx(1)
    assert np.isnan(ndcg[1])


def test_recall_reaches_1_with_more_than_k_relevant_movies() -> None:
    assert metrics.recall_at_k(np.array([[3, 4]]), [rows(1, 2, 3, 4, 5)], 2)[0] == 1


def test_padding_is_never_a_hit() -> None:
    top = np.array([[5, -1, -1]])
    assert metrics.hits(top, [rows(-1)]).sum() == 0
    assert metrics.ndcg_at_k(top, [rows(5)], 3)[0] == 1
    assert metrics.coverage_at_k(top, 3, n_movies=10) == 0.1


def test_a_list_shorter_than_k_equals_a_padded_list() -> None:
    short, padded, relevant = np.array([[5, 2]]), np.array([[5, 2, -1, -1]]), [rows(2, 9)]
    for metric in (metrics.ndcg_at_k, metrics.recall_at_k, metrics.hit_at_k):
        assert metric(short, relevant, 4) == metric(padded, relevant, 4)


def test_another_number_of_lists_than_users_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 lists for 2 users"):
        metrics.ndcg_at_k(np.array([[1, 2]]), [rows(1), rows(2)], 2)


def test_coverage_counts_each_movie_once() -> None:
    top = np.array([[0, 1, 2], [1, 0, 3]])
    assert metrics.coverage_at_k(top, 2, n_movies=8) == 2 / 8
    assert metrics.coverage_at_k(top, 3, n_movies=8) == 4 / 8


def test_popularity_bias_is_a_mean_percentile() -> None:
    counts = np.array([10, 0, 0, 5, 0])
    # Ascending: the three movies without ratings share ranks 1 to 3, then 5 ratings, then 10.
    assert metrics.popularity_bias(np.array([[0, 3]]), 2, counts) == pytest.approx((1 + 0.8) / 2)
    assert metrics.popularity_bias(np.array([[1, -1]]), 2, counts) == pytest.approx(2 / 5)
    by_id = [metrics.popularity_bias(np.array([[movie]]), 1, counts) for movie in (1, 2, 4)]
    assert len(set(by_id)) == 1


def test_mae_and_rmse_equal_values_by_hand() -> None:
    predicted, stars = np.array([3.0, 4.0, 1.0], np.float32), np.array([3.0, 2.0, 2.0])
    assert metrics.mae(predicted, stars) == pytest.approx(1.0)
    assert metrics.rmse(predicted, stars) == pytest.approx(np.sqrt(5 / 3))


def test_the_bootstrap_interval_has_its_level_of_coverage() -> None:
    covered = 0
    for seed in range(100):
        values = np.random.default_rng(seed).exponential(2.0, size=80)
        low, high = metrics.bootstrap(values, seed, draws=300)
        assert low < values.mean() < high
        covered += low <= 2.0 <= high
    assert 85 <= covered <= 99


def test_the_bootstrap_is_reproducible_and_leaves_nan_out() -> None:
    values = np.array([0.0, 0.5, np.nan, 1.0, 0.25, np.nan])
    once = metrics.bootstrap(values, 4)
    assert once == metrics.bootstrap(values, 4)
    assert once == metrics.bootstrap(values[~np.isnan(values)], 4)
    assert once != metrics.bootstrap(values, 5)
    narrow = metrics.bootstrap(values, 4, level=0.5)
    assert once[0] <= narrow[0] < narrow[1] <= once[1]
    assert np.isnan(metrics.bootstrap(np.array([np.nan]), 0)).all()


def test_the_bootstrap_of_a_table_is_of_the_mean_over_columns() -> None:
    random = np.random.default_rng(0)
    table = random.normal(size=(80, 3))
    np.testing.assert_allclose(
        metrics.bootstrap(table, 1), metrics.bootstrap(table.mean(axis=1), 1)
    )
    table[40:, 2] = np.nan
    low, high = metrics.bootstrap(table, 1)
    expected = np.nanmean(table, axis=0).mean()
    assert metrics.mean(table) == pytest.approx(expected)
    assert low < expected < high
    # Each column has the same weight, whatever its number of users.
    assert expected != pytest.approx(np.nanmean(table))


def test_the_bootstrap_of_many_users_runs_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=50)
    monkeypatch.setattr(metrics, "_BOOTSTRAP_CELLS", 120)
    low, high = metrics.bootstrap(values, 0, draws=301)
    assert low < values.mean() < high
