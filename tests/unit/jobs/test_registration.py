"""Results on the hold-out are stored and read, also those of earlier versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moovier.jobs.registration import read_evaluation, write_evaluation
from moovier.registry.gate import BY_TIME, NEXT_VISIT, VISITOR, HoldOutResult


def test_stored_result_is_read_unchanged(tmp_path: Path) -> None:
    result = HoldOutResult(
        "new",
        users=np.array([3, 1]),
        ndcg=np.array([0.1, 0.2]),
        visitor_users=np.array([7]),
        visitor_ndcg=np.array([[0.1, 0.2, np.nan, np.nan, np.nan]]),
        next_visit_users=np.array([3]),
        next_visit_ndcg=np.array([0.3]),
    )
    stored = read_evaluation(write_evaluation(tmp_path / "evaluation.npz", result), "later")
    assert stored.name == "later"
    for protocol in (BY_TIME, VISITOR, NEXT_VISIT):
        for left, right in zip(stored.of(protocol), result.of(protocol), strict=True):
            np.testing.assert_array_equal(left, right)


def test_result_of_an_earlier_version_has_only_the_split_by_time(tmp_path: Path) -> None:
    file = tmp_path / "evaluation.npz"
    users, ndcg = np.array([3, 1]), np.array([0.1, 0.2])
    np.savez(file, users=users, ndcg=ndcg, new_users=users + 5, new_ndcg=ndcg)
    stored = read_evaluation(file, "old")
    np.testing.assert_array_equal(stored.users, users)
    np.testing.assert_array_equal(stored.ndcg, ndcg)
    assert stored.of(VISITOR)[1].shape == (0, 5)
    assert stored.of(NEXT_VISIT)[0].size == 0
