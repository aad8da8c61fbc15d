from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from moovier.data.ratings import Histories
from moovier.errors import BadRequest, BundleError
from moovier.serving import recommender as module
from moovier.serving.recommender import CACHED_TOP_K, Answer, Recommender
from tests.fixtures import toy_bundle

# The toy model: user 7 rated movies 1 and 2, user 11 movie 2, user 13 movie 47. Movies 1, 2, 6, 32
# and 47 were rated 1, 2, 0, 0 and 1 times.


def movies(answers: list[Answer]) -> list[list[int]]:
    return [[item.movie.id for item in answer.items] for answer in answers]


def test_best_movies_first_without_rated_ones() -> None:
    answers = Recommender(toy_bundle()).recommend([7, 11, 13], 5)
    assert movies(answers) == [[47, 6, 32], [1, 47, 6, 32], [2, 1, 6, 32]]
    assert [item.score for item in answers[0].items] == [1.0, 0.0, 0.0]
    assert {answer.source for answer in answers} == {"model"}


def test_unknown_user_gets_popular_movies() -> None:
    known, unknown = Recommender(toy_bundle()).recommend([13, 999], 3)
    assert (known.source, unknown.source) == ("model", "popular")
    assert movies([known, unknown]) == [[2, 1, 6], [2, 1, 47]]


def test_order_and_repetitions_of_users_are_kept() -> None:
    answers = Recommender(toy_bundle()).recommend([13, 999, 7, 13], 1)
    assert [answer.user_id for answer in answers] == [13, 999, 7, 13]
    assert movies(answers) == [[2], [2], [47], [2]]


@pytest.mark.parametrize("top_k", [1, 3, 5])
def test_arrays_of_lists_equal_the_lists(top_k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of known and unknown users, with repetitions, over several batches."""
    monkeypatch.setattr(module, "BATCH_SIZE", 2)
    users = [13, 999, 7, 13, 11, 7]
    recommender = Recommender(toy_bundle())
    for answer, (ids, scores) in zip(
        recommender.recommend(users, top_k), recommender.ranking_ids(users, top_k), strict=True
    ):
        assert ids.tolist() == [item.movie.id for item in answer.items]
        assert scores.tolist() == [item.score for item in answer.items]


def test_user_who_rated_everything_gets_an_empty_list() -> None:
    bundle = toy_bundle()
    everything = Histories(
        offsets=np.array([0, 5, 5, 5]),
        movies=np.arange(5, dtype=np.int32),
        stars=np.full(5, 3, dtype=np.float32),
        timestamps=np.arange(5),
        n_movies=5,
    )
    answers = Recommender(replace(bundle, histories=everything)).recommend([7, 11], 1000)
    assert [len(answer.items) for answer in answers] == [0, 5]


@pytest.mark.parametrize(("users", "top_k"), [([], 3), ([7], 0), ([7], 1001), ([7], -1)])
def test_invalid_arguments_are_refused(users: list[int], top_k: int) -> None:
    recommender = Recommender(toy_bundle())
    for method in (
        recommender.recommend,
        recommender.recommend_from_cache,
        recommender.ranking_ids,
    ):
        with pytest.raises(BadRequest, match=r"empty|from 1 to 1000"):
            method(users, top_k)


def test_second_answer_comes_from_the_cache() -> None:
    recommender = Recommender(toy_bundle())
    assert recommender.recommend_from_cache([7, 999], 2) is None
    first = recommender.recommend([7, 999], 1)
    assert movies(first) == [[47], [2]]
    # A longer list, and another order.
    again = recommender.recommend_from_cache([999, 7], 4)
    assert again == Recommender(toy_bundle()).recommend([999, 7], 4)
    assert recommender.recommend_from_cache([7, 11], 1) is None
    assert recommender.recommend_from_cache([7], CACHED_TOP_K + 1) is None


def test_many_users_get_the_lists_of_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # More users than fit into the cache and into one batch.
    monkeypatch.setattr(module, "CACHED_USERS", 1)
    monkeypatch.setattr(module, "BATCH_SIZE", 2)
    users = [7, 11, 13, 999, 7]
    together = Recommender(toy_bundle()).recommend(users, 3)
    assert together == [Recommender(toy_bundle()).recommend([user], 3)[0] for user in users]


def test_arrays_that_do_not_match_the_catalogue_are_refused() -> None:
    with pytest.raises(BundleError, match="scores 4 movies"):
        Recommender(replace(toy_bundle(), arrays={"counts": np.ones(4)}))
    with pytest.raises(BundleError, match="cannot score"):
        Recommender(replace(toy_bundle(), arrays={"count": np.ones(5)}))
    with pytest.raises(BundleError, match="unknown family 'ghost'"):
        Recommender(toy_bundle(family="ghost"))


def test_scores_that_are_not_finite_fail_the_self_test() -> None:
    Recommender(toy_bundle()).self_test()
    broken = Recommender(replace(toy_bundle(), arrays={"counts": np.array([1, 2, np.nan, 0, 0])}))
    with pytest.raises(BundleError, match="finite"):
        broken.self_test()
