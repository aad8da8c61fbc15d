"""What is in memory of the feedback: the database's word, also when many write at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from moovier.feedback.cache import FeedbackCache
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.store import Feedback, FeedbackStore, NewRating, UserFeedback
from tests.servers import free_port


@pytest.fixture
def feedback_cache(sqlite_url: str) -> Iterator[FeedbackCache]:
    with contextlib.closing(FeedbackCache(sqlite_url)) as opened:
        opened.reload()
        yield opened


def give(
    feedback_cache: FeedbackCache, user: int, movie: int, stars: float = 4.0, timestamp: int = 10
) -> None:
    rating = NewRating(movie, stars, timestamp)
    feedback_cache.add(user, [rating], request_id=None, idempotency_key=None)


def movies(said: UserFeedback | None) -> list[int]:
    return [] if said is None else [one.movie_id for one in said.ratings]


def test_what_is_written_is_there_at_once_and_after_a_restart(
    feedback_cache: FeedbackCache, sqlite_url: str
) -> None:
    assert feedback_cache.for_user(7) is None
    give(feedback_cache, 7, 1)
    give(feedback_cache, 7, 2, timestamp=5)
    give(feedback_cache, 8, 3)
    feedback_cache.delete(7, 1)
    feedback_cache.delete(8)
    feedback_cache.delete(9, 4)
    for one in (feedback_cache, FeedbackCache(sqlite_url)):
        one.reload()
        seven, eight, nine = one.for_user(7), one.for_user(8), one.for_user(9)
        assert (movies(seven), movies(eight), movies(nine)) == ([2], [], [])
        assert seven is not None
        assert seven.deleted == {1}
        assert seven.all_deleted_at is None
        assert eight is not None
        assert eight.all_deleted_at is not None
        assert nine is not None
        assert nine.deleted == {4}
        assert one.for_user(10) is None
        one.close()


def test_a_rating_given_again_is_no_longer_deleted(feedback_cache: FeedbackCache) -> None:
    feedback_cache.delete(7, 1)
    give(feedback_cache, 7, 1)
    said = feedback_cache.for_user(7)
    assert said is not None
    assert (movies(said), said.deleted) == ([1], frozenset())
    feedback_cache.reload()
    assert feedback_cache.for_user(7) == said


def test_the_revision_changes_with_each_write_of_the_person_alone(
    feedback_cache: FeedbackCache,
) -> None:
    seven, eight = feedback_cache.revision(7), feedback_cache.revision(8)
    give(feedback_cache, 7, 1)
    assert feedback_cache.revision(7) != seven
    assert feedback_cache.revision(8) == eight
    seven = feedback_cache.revision(7)
    feedback_cache.delete(7)
    assert feedback_cache.revision(7) != seven
    # After everything was read anew, anybody's may have changed.
    feedback_cache.reload()
    assert feedback_cache.revision(8) != eight


def test_what_was_read_first_does_not_overwrite_what_was_read_later(
    feedback_cache: FeedbackCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_has_read, go_on = threading.Event(), threading.Event()
    of_user = FeedbackStore.of_user

    def slowly(store: FeedbackStore, user_id: int) -> UserFeedback:
        said = of_user(store, user_id)
        if not first_has_read.is_set():
            first_has_read.set()
            go_on.wait(1.0)
        return said

    monkeypatch.setattr(FeedbackStore, "of_user", slowly)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(give, feedback_cache, 7, 1)
        assert first_has_read.wait(5)
        second = threads.submit(give, feedback_cache, 7, 2)
        with contextlib.suppress(TimeoutError):
            second.result(0.3)
        go_on.set()
        first.result(10)
        second.result(10)
    assert movies(feedback_cache.for_user(7)) == [1, 2]


def test_what_is_written_while_everything_is_read_stays(
    feedback_cache: FeedbackCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(feedback_cache, 7, 1)
    give(feedback_cache, 8, 1)
    everything = FeedbackStore.everything

    def meanwhile(store: FeedbackStore) -> Feedback:
        read = everything(store)
        give(feedback_cache, 7, 2)
        feedback_cache.delete(8, 1)
        give(feedback_cache, 9, 3)
        return read

    monkeypatch.setattr(FeedbackStore, "everything", meanwhile)
    feedback_cache.reload()
    assert [movies(feedback_cache.for_user(user)) for user in (7, 8, 9)] == [[1, 2], [], [3]]
    said = feedback_cache.for_user(8)
    assert said is not None
    assert said.deleted == {1}


def test_many_at_once_all_count(feedback_cache: FeedbackCache) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda movie: give(feedback_cache, 7, movie), range(1, 41)))
    assert sorted(movies(feedback_cache.for_user(7))) == list(range(1, 41))


def test_a_database_that_is_away_is_said_and_found_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = f"postgresql://moovier:s3cret@127.0.0.1:{free_port()}/moovier"
    feedback_cache = FeedbackCache(away)
    feedback_cache.reload()
    assert feedback_cache.trouble is not None
    assert "s3cret" not in feedback_cache.trouble
    assert feedback_cache.for_user(7) is None
    with pytest.raises(FeedbackUnavailable):
        feedback_cache.check()
    with pytest.raises(FeedbackUnavailable):
        give(feedback_cache, 7, 1)
    with pytest.raises(FeedbackUnavailable):
        feedback_cache.delete(7)
    monkeypatch.setattr(feedback_cache, "_url", sqlite_url)
    # For a moment nobody tries again: a database that does not answer takes each his time.
    feedback_cache.reload()
    assert feedback_cache.trouble is not None
    monkeypatch.setattr(feedback_cache, "_not_before", 0.0)
    feedback_cache.reload()
    assert feedback_cache.trouble is None
    feedback_cache.check()
    give(feedback_cache, 7, 1)
    assert movies(feedback_cache.for_user(7)) == [1]
    feedback_cache.close()


def test_what_was_read_goes_on_counting_when_the_database_goes(
    feedback_cache: FeedbackCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(feedback_cache, 7, 1)

    def gone(*_: object, **__: object) -> None:
        raise FeedbackUnavailable("gone")

    monkeypatch.setattr(FeedbackStore, "add", gone)
    monkeypatch.setattr(FeedbackStore, "everything", gone)
    with pytest.raises(FeedbackUnavailable):
        give(feedback_cache, 7, 2)
    assert feedback_cache.trouble == "gone"
    feedback_cache.reload()
    feedback_cache.check()
    assert movies(feedback_cache.for_user(7)) == [1]
