"""The recorder never makes anybody wait, and says what it lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from moovier.feedback import list_recorder as room
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.list_recorder import ListRecorder
from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import FeedbackStore

SEEN = ServedList("a" * 32, "champion", 1_000, 3, 7, "model", (50, 1, 260))


def numbered(number: int) -> ServedList:
    return replace(SEEN, request_id=f"{number:032x}")


class Counted(Counter[str]):
    def __call__(self, result: str, lists: int) -> None:
        self[result] += lists


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "EVERY_S", 0.02)
    monkeypatch.setattr(room, "RETRY_S", 0.02)


@pytest.fixture
def lists(sqlite_url: str) -> Iterator[FeedbackStore]:
    with closing(FeedbackStore.open(sqlite_url)) as store:
        yield store


@contextmanager
def running(
    store: Callable[[], FeedbackStore], counted: Counted, *, per_s: float = 1e6, **more: float
) -> Iterator[ListRecorder]:
    recorder = ListRecorder(store, per_s=per_s, keep_days=90, count=counted, clock=lambda: 1_100.0)
    recorder.start()
    with closing(recorder):
        yield recorder


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.01)


def test_what_is_added_is_stored_soon_and_all_of_it_at_the_end(
    lists: FeedbackStore, counted: Counted
) -> None:
    with running(lambda: lists, counted) as recorder:
        recorder.add(SEEN)
        wait_for(lambda: list(lists.lists(0, 2_000)) == [SEEN])
        for number in range(1_200):
            recorder.add(numbered(number))
    assert sum(1 for _ in lists.lists(0, 2_000)) == 1_201
    assert counted == {"stored": 1_201}


def test_nobody_waits_for_a_database_that_is_stuck(
    lists: FeedbackStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "WAITING", 10)
    asked, free = threading.Event(), threading.Event()

    def stuck() -> FeedbackStore:
        asked.set()
        assert free.wait(30)
        return lists

    with running(stuck, counted) as recorder:
        recorder.add(SEEN)
        assert asked.wait(20)
        # Were one of these to wait, it would be for ever: the database is freed below.
        for number in range(25):
            recorder.add(numbered(number))
        assert counted["dropped"] in (15, 16)
        free.set()
    assert counted["stored"] + counted["dropped"] == 26
    assert sum(1 for _ in lists.lists(0, 2_000)) == counted["stored"]


def test_a_database_that_comes_back_in_time_loses_nothing(
    lists: FeedbackStore, counted: Counted
) -> None:
    tries = iter([FeedbackUnavailable("away"), FeedbackUnavailable("away")])

    def away_at_first() -> FeedbackStore:
        if (error := next(tries, None)) is not None:
            raise error
        return lists

    with running(away_at_first, counted) as recorder:
        recorder.add(SEEN)
        wait_for(lambda: counted["stored"] == 1)
    assert counted == {"stored": 1}


def test_without_a_database_lists_are_dropped_counted_and_told_once(
    counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> FeedbackStore:
        raise FeedbackUnavailable("the database is away")

    with running(away, counted) as recorder:
        for number in range(3):
            recorder.add(numbered(number))
            wait_for(lambda: counted["dropped"] > number)  # noqa: B023
    assert counted == {"dropped": 3}
    assert sum("the database is away" in line for line in caplog.messages) == 1


def test_whatever_goes_wrong_with_one_list_the_next_is_stored(
    lists: FeedbackStore, counted: Counted
) -> None:
    broken = iter([RuntimeError("unforeseen")])

    def once_broken() -> FeedbackStore:
        # The first time it is asked is for a look at what is old.
        if threading.current_thread().name == "recorder" and added.is_set():
            for error in broken:
                raise error
        return lists

    added = threading.Event()
    with running(once_broken, counted) as recorder:
        added.set()
        recorder.add(SEEN)
        wait_for(lambda: counted["dropped"] + counted["stored"] == 1 or not list(broken))
        recorder.add(numbered(1))
    assert counted["stored"] >= 1
    assert numbered(1) in list(lists.lists(0, 2_000))


def test_more_a_second_than_the_limit_are_left_out_and_counted(
    lists: FeedbackStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("moovier.feedback.list_recorder.time.monotonic", lambda: now)
    recorder = ListRecorder(lambda: lists, per_s=3, keep_days=90, count=counted)
    assert [recorder.wants() for _ in range(5)] == [True] * 3 + [False] * 2
    now += 0.4
    assert [recorder.wants() for _ in range(2)] == [True, False]
    now += 60
    assert sum(recorder.wants() for _ in range(10)) == 3
    monkeypatch.undo()
    recorder.start()
    recorder.close()
    assert counted == {"over_limit": 10}


def test_a_limit_below_one_a_second_lets_some_through(
    lists: FeedbackStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("moovier.feedback.list_recorder.time.monotonic", lambda: now)
    recorder = ListRecorder(lambda: lists, per_s=0.5, keep_days=90, count=counted)
    said = []
    for _ in range(8):
        said.append(recorder.wants())
        now += 1
    assert said == [True, False] * 4


def test_a_limit_of_nothing_records_nothing(counted: Counted) -> None:
    def never() -> FeedbackStore:
        raise AssertionError("nobody needs the database")

    with running(never, counted, per_s=0) as recorder:
        assert not any(recorder.wants() for _ in range(3))
    assert counted == {}


def test_lists_are_kept_as_long_as_they_shall_be(lists: FeedbackStore, counted: Counted) -> None:
    day = 86_400
    now = 1_000 * day
    lists.record([replace(numbered(age), served_at=now - age * day) for age in (1, 9, 11, 200)])
    recorder = ListRecorder(lambda: lists, per_s=1, keep_days=10, count=counted, clock=lambda: now)
    recorder.start()
    wait_for(lambda: sum(1 for _ in lists.lists(0, 2 * now)) == 2)
    recorder.close()
    assert [(now - one.served_at) // day for one in lists.lists(0, 2 * now)] == [9, 1]
