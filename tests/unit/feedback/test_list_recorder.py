"""The recorder never waits, and counts the lists that it loses."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from moovier.feedback import list_recorder
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
    monkeypatch.setattr(list_recorder, "WRITE_EVERY_S", 0.02)
    monkeypatch.setattr(list_recorder, "RETRY_S", 0.02)


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


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < until, "the condition never came true"
        time.sleep(0.01)


def test_lists_are_stored_soon_and_all_of_them_at_the_end(
    lists: FeedbackStore, counted: Counted
) -> None:
    with running(lambda: lists, counted) as recorder:
        recorder.add(SEEN)
        wait_for(lambda: list(lists.lists(0, 2_000)) == [SEEN])
        for number in range(1_200):
            recorder.add(numbered(number))
    assert sum(1 for _ in lists.lists(0, 2_000)) == 1_201
    assert counted == {"stored": 1_201}


def test_add_does_not_wait_for_a_stuck_database(
    lists: FeedbackStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_recorder, "QUEUE_SIZE", 10)
    is_asked, may_continue = threading.Event(), threading.Event()

    def stuck() -> FeedbackStore:
        is_asked.set()
        assert may_continue.wait(30)
        return lists

    with running(stuck, counted) as recorder:
        recorder.add(SEEN)
        assert is_asked.wait(20)
        # A call that waits would never return: the database is freed below.
        for number in range(25):
            recorder.add(numbered(number))
        assert counted["dropped"] in (15, 16)
        may_continue.set()
    assert counted["stored"] + counted["dropped"] == 26
    assert sum(1 for _ in lists.lists(0, 2_000)) == counted["stored"]


def test_failed_write_is_tried_again(lists: FeedbackStore, counted: Counted) -> None:
    errors = iter([FeedbackUnavailable("unreachable"), FeedbackUnavailable("unreachable")])

    def unreachable_at_first() -> FeedbackStore:
        if (error := next(errors, None)) is not None:
            raise error
        return lists

    with running(unreachable_at_first, counted) as recorder:
        recorder.add(SEEN)
        wait_for(lambda: counted["stored"] == 1)
    assert counted == {"stored": 1}


def test_lists_are_dropped_and_the_error_is_logged_once(
    counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    def unreachable() -> FeedbackStore:
        raise FeedbackUnavailable("the database is unreachable")

    with running(unreachable, counted) as recorder:
        for number in range(3):
            recorder.add(numbered(number))
            wait_for(lambda: counted["dropped"] > number)  # noqa: B023
    assert counted == {"dropped": 3}
    assert sum("the database is unreachable" in line for line in caplog.messages) == 1


def test_unforeseen_error_does_not_stop_the_thread(lists: FeedbackStore, counted: Counted) -> None:
    errors = iter([RuntimeError("unforeseen")])

    def broken_once() -> FeedbackStore:
        # The thread also opens the store to delete expired lists, before any list is added.
        if threading.current_thread().name == "recorder" and is_added.is_set():
            for error in errors:
                raise error
        return lists

    is_added = threading.Event()
    with running(broken_once, counted) as recorder:
        is_added.set()
        recorder.add(SEEN)
        wait_for(lambda: counted["dropped"] + counted["stored"] == 1 or not list(errors))
        recorder.add(numbered(1))
    assert counted["stored"] >= 1
    assert numbered(1) in list(lists.lists(0, 2_000))


def test_lists_over_the_rate_limit_are_counted(
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


def test_rate_limit_below_one_a_second(
    lists: FeedbackStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("moovier.feedback.list_recorder.time.monotonic", lambda: now)
    recorder = ListRecorder(lambda: lists, per_s=0.5, keep_days=90, count=counted)
    allowed = []
    for _ in range(8):
        allowed.append(recorder.wants())
        now += 1
    assert allowed == [True, False] * 4


def test_rate_limit_of_zero_records_nothing(counted: Counted) -> None:
    def never() -> FeedbackStore:
        raise AssertionError("the database is not needed")

    with running(never, counted, per_s=0) as recorder:
        assert not any(recorder.wants() for _ in range(3))
    assert counted == {}


def test_expired_lists_are_deleted(lists: FeedbackStore, counted: Counted) -> None:
    day = 86_400
    now = 1_000 * day
    lists.record([replace(numbered(age), served_at=now - age * day) for age in (1, 9, 11, 200)])
    recorder = ListRecorder(lambda: lists, per_s=1, keep_days=10, count=counted, clock=lambda: now)
    recorder.start()
    wait_for(lambda: sum(1 for _ in lists.lists(0, 2 * now)) == 2)
    recorder.close()
    assert [(now - page.served_at) // day for page in lists.lists(0, 2 * now)] == [9, 1]
