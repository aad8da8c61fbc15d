"""Served lists in the store, on SQLite and on Postgres."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from moovier.feedback import served_lists
from moovier.feedback.ratings import NewRating
from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import FeedbackStore
from tests.unit.feedback.conftest import Clock

SEEN = ServedList(
    request_id="a" * 32,
    arm="champion",
    served_at=1_000,
    version=3,
    user_id=7,
    source="model",
    movie_ids=(50, 1, 260),
    experiment="one-3",
)


def served_at(moment: int, number: int = 0, **changes: object) -> ServedList:
    return replace(SEEN, served_at=moment, request_id=f"{number:032x}", **changes)  # type: ignore[arg-type]


def test_lists_are_read_as_they_were_served(store: FeedbackStore) -> None:
    visitor_list = served_at(
        1_001, 1, user_id=None, movie_ids=(), experiment=None, source="popular"
    )
    assert store.record([SEEN, visitor_list]) == 2
    assert list(store.lists(0, 2_000)) == [SEEN, visitor_list]


def test_shadow_list_is_stored_beside_the_served_one(store: FeedbackStore) -> None:
    shadow = replace(SEEN, arm="shadow", version=4, movie_ids=(1, 2))
    assert store.record([SEEN, shadow]) == 2
    assert set(store.lists(0, 2_000)) == {SEEN, shadow}


def test_second_list_of_a_request_is_ignored(store: FeedbackStore) -> None:
    store.record([SEEN])
    assert store.record([replace(SEEN, movie_ids=(9,)), served_at(1_002, 2)]) == 1
    assert [page.movie_ids for page in store.lists(0, 2_000)] == [SEEN.movie_ids, SEEN.movie_ids]


def test_recording_no_list_stores_nothing(store: FeedbackStore) -> None:
    assert store.record([]) == 0


def test_time_range_excludes_its_end(store: FeedbackStore) -> None:
    store.record([served_at(moment, moment) for moment in (99, 100, 150, 200)])
    assert [page.served_at for page in store.lists(100, 200)] == [100, 150]


def test_paging_neither_loses_nor_repeats_a_list(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_lists, "PAGE", 3)
    served = [served_at(100 + number // 4, number) for number in range(13)]
    served += [replace(page, arm="shadow") for page in served[:5]]
    store.record(served)
    pages = list(store.lists(0, 1_000))
    assert len(pages) == len(served)
    assert set(pages) == set(served)
    assert pages == sorted(pages, key=lambda page: (page.served_at, page.request_id, page.arm))


def test_more_lists_than_fit_in_one_statement(store: FeedbackStore) -> None:
    served = [served_at(100, number, user_id=number + 1) for number in range(5_500)]
    assert store.record(served) == 5_500
    assert sum(1 for _ in store.lists(0, 1_000)) == 5_500
    assert store.forget_lists(101) == 5_500


def test_lists_before_a_moment_are_deleted(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_lists, "PAGE", 3)
    store.record([served_at(moment, moment) for moment in range(100, 110)])
    assert store.forget_lists(107) == 7
    assert [page.served_at for page in store.lists(0, 1_000)] == [107, 108, 109]


def test_deleting_all_ratings_deletes_the_lists(store: FeedbackStore, clock: Clock) -> None:
    clock.now = 1_500
    store.record([SEEN, served_at(1_000, 1, user_id=8), served_at(1_000, 2, user_id=None)])
    store.add(7, [NewRating(50, 4, 1_100)])
    store.delete(7, 50)
    assert {page.user_id for page in store.lists(0, 2_000)} == {7, 8, None}
    store.delete(7)
    assert {page.user_id for page in store.lists(0, 2_000)} == {8, None}


def test_list_served_before_the_deletion_is_not_stored(store: FeedbackStore, clock: Clock) -> None:
    clock.now = 1_500
    store.delete(7)
    assert store.record([SEEN, served_at(1_501, 1)]) == 1
    assert [page.served_at for page in store.lists(0, 2_000)] == [1_501]


def test_recording_lists_notifies_no_process(tmp_path: Path) -> None:
    """Otherwise every process would reload all ratings twice a second."""
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    with closing(FeedbackStore.open(url)) as first, closing(FeedbackStore.open(url)) as other:

        def others_wrote() -> bool:
            with other.database.reading() as connection:
                return other.database.write_counter.others_wrote(connection)

        others_wrote()
        first.record([SEEN])
        first.forget_lists(10)
        assert not others_wrote()
        first.add(7, [NewRating(50, 4.0, 1_001)])
        assert others_wrote()
