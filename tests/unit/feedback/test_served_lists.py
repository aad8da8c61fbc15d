"""Served lists in the store, on SQLite and on Postgres."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from moovier.feedback import served_lists
from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import FeedbackStore, NewRating
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


def at(moment: int, number: int = 0, **changes: object) -> ServedList:
    return replace(SEEN, served_at=moment, request_id=f"{number:032x}", **changes)  # type: ignore[arg-type]


def test_a_list_comes_back_as_it_was_served(store: FeedbackStore) -> None:
    stranger = at(1_001, 1, user_id=None, movie_ids=(), experiment=None, source="popular")
    assert store.record([SEEN, stranger]) == 2
    assert list(store.lists(0, 2_000)) == [SEEN, stranger]


def test_what_the_shadow_made_lies_beside_what_was_seen(store: FeedbackStore) -> None:
    shadow = replace(SEEN, arm="shadow", version=4, movie_ids=(1, 2))
    assert store.record([SEEN, shadow]) == 2
    assert set(store.lists(0, 2_000)) == {SEEN, shadow}


def test_the_first_list_of_a_request_stays(store: FeedbackStore) -> None:
    store.record([SEEN])
    assert store.record([replace(SEEN, movie_ids=(9,)), at(1_002, 2)]) == 1
    assert [one.movie_ids for one in store.lists(0, 2_000)] == [SEEN.movie_ids, SEEN.movie_ids]


def test_nothing_to_record_is_no_error(store: FeedbackStore) -> None:
    assert store.record([]) == 0


def test_a_time_holds_its_first_second_and_not_its_last(store: FeedbackStore) -> None:
    store.record([at(moment, moment) for moment in (99, 100, 150, 200)])
    assert [one.served_at for one in store.lists(100, 200)] == [100, 150]


def test_pages_neither_lose_nor_repeat_a_list(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_lists, "PAGE", 3)
    served = [at(100 + number // 4, number) for number in range(13)]
    served += [replace(one, arm="shadow") for one in served[:5]]
    store.record(served)
    found = list(store.lists(0, 1_000))
    assert len(found) == len(served)
    assert set(found) == set(served)
    assert found == sorted(found, key=lambda one: (one.served_at, one.request_id, one.arm))


def test_more_lists_than_one_statement_takes(store: FeedbackStore) -> None:
    served = [at(100, number, user_id=number + 1) for number in range(5_500)]
    assert store.record(served) == 5_500
    assert sum(1 for _ in store.lists(0, 1_000)) == 5_500
    assert store.forget_lists(101) == 5_500


def test_old_lists_are_forgotten(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_lists, "PAGE", 3)
    store.record([at(moment, moment) for moment in range(100, 110)])
    assert store.forget_lists(107) == 7
    assert [one.served_at for one in store.lists(0, 1_000)] == [107, 108, 109]


def test_who_deletes_everything_deletes_their_lists(store: FeedbackStore, clock: Clock) -> None:
    clock.now = 1_500
    store.record([SEEN, at(1_000, 1, user_id=8), at(1_000, 2, user_id=None)])
    store.add(7, [NewRating(50, 4, 1_100)])
    store.delete(7, 50)
    assert {one.user_id for one in store.lists(0, 2_000)} == {7, 8, None}
    store.delete(7)
    assert {one.user_id for one in store.lists(0, 2_000)} == {8, None}


def test_a_list_on_its_way_while_all_is_deleted_is_not_kept(
    store: FeedbackStore, clock: Clock
) -> None:
    clock.now = 1_500
    store.delete(7)
    assert store.record([SEEN, at(1_501, 1)]) == 1
    assert [one.served_at for one in store.lists(0, 2_000)] == [1_501]


def test_lists_are_no_news_to_other_processes(tmp_path: Path) -> None:
    """Else each of them would read all ratings anew, twice a second."""
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    with closing(FeedbackStore.open(url)) as one, closing(FeedbackStore.open(url)) as other:

        def heard() -> bool:
            with other.database.reading() as connection:
                return other.database.journal.others_wrote(connection)

        heard()
        one.record([SEEN])
        one.forget_lists(10)
        assert not heard()
        one.add(7, [NewRating(50, 4.0, 1_001)])
        assert heard()
