"""The cache equals the database, also when many threads write at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from moovier.feedback.cache import FeedbackCache
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.ratings import Feedback, NewRating, UserFeedback
from moovier.feedback.store import FeedbackStore
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


def movies(feedback: UserFeedback | None) -> list[int]:
    return [] if feedback is None else [rating.movie_id for rating in feedback.ratings]


def test_write_is_visible_at_once_and_after_a_restart(
    feedback_cache: FeedbackCache, sqlite_url: str
) -> None:
    assert feedback_cache.for_user(7) is None
    give(feedback_cache, 7, 1)
    give(feedback_cache, 7, 2, timestamp=5)
    give(feedback_cache, 8, 3)
    feedback_cache.delete(7, 1)
    feedback_cache.delete(8)
    feedback_cache.delete(9, 4)
    for cache in (feedback_cache, FeedbackCache(sqlite_url)):
        cache.reload()
        seven, eight, nine = cache.for_user(7), cache.for_user(8), cache.for_user(9)
        assert (movies(seven), movies(eight), movies(nine)) == ([2], [], [])
        assert seven is not None
        assert seven.deleted == {1}
        assert seven.all_deleted_at is None
        assert eight is not None
        assert eight.all_deleted_at is not None
        assert nine is not None
        assert nine.deleted == {4}
        assert cache.for_user(10) is None
        cache.close()


def test_movie_rated_again_is_not_deleted(feedback_cache: FeedbackCache) -> None:
    feedback_cache.delete(7, 1)
    give(feedback_cache, 7, 1)
    feedback = feedback_cache.for_user(7)
    assert feedback is not None
    assert (movies(feedback), feedback.deleted) == ([1], frozenset())
    feedback_cache.reload()
    assert feedback_cache.for_user(7) == feedback


def test_revision_changes_with_writes_of_the_same_user_only(
    feedback_cache: FeedbackCache,
) -> None:
    seven, eight = feedback_cache.revision(7), feedback_cache.revision(8)
    give(feedback_cache, 7, 1)
    assert feedback_cache.revision(7) != seven
    assert feedback_cache.revision(8) == eight
    seven = feedback_cache.revision(7)
    feedback_cache.delete(7)
    assert feedback_cache.revision(7) != seven
    # A reload may change any user's feedback.
    feedback_cache.reload()
    assert feedback_cache.revision(8) != eight


def test_slow_read_does_not_overwrite_a_newer_one(
    feedback_cache: FeedbackCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_has_read, may_continue = threading.Event(), threading.Event()
    of_user = FeedbackStore.of_user

    def slow_of_user(store: FeedbackStore, user_id: int) -> UserFeedback:
        feedback = of_user(store, user_id)
        if not first_has_read.is_set():
            first_has_read.set()
            may_continue.wait(1.0)
        return feedback

    monkeypatch.setattr(FeedbackStore, "of_user", slow_of_user)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(give, feedback_cache, 7, 1)
        assert first_has_read.wait(5)
        second = threads.submit(give, feedback_cache, 7, 2)
        with contextlib.suppress(TimeoutError):
            second.result(0.3)
        may_continue.set()
        first.result(10)
        second.result(10)
    assert movies(feedback_cache.for_user(7)) == [1, 2]


def test_write_during_a_reload_is_kept(
    feedback_cache: FeedbackCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(feedback_cache, 7, 1)
    give(feedback_cache, 8, 1)
    everything = FeedbackStore.everything

    def write_meanwhile(store: FeedbackStore) -> Feedback:
        feedback = everything(store)
        give(feedback_cache, 7, 2)
        feedback_cache.delete(8, 1)
        give(feedback_cache, 9, 3)
        return feedback

    monkeypatch.setattr(FeedbackStore, "everything", write_meanwhile)
    feedback_cache.reload()
    assert [movies(feedback_cache.for_user(user)) for user in (7, 8, 9)] == [[1, 2], [], [3]]
    feedback = feedback_cache.for_user(8)
    assert feedback is not None
    assert feedback.deleted == {1}


def test_concurrent_writes_are_all_visible(feedback_cache: FeedbackCache) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda movie: give(feedback_cache, 7, movie), range(1, 41)))
    assert sorted(movies(feedback_cache.for_user(7))) == list(range(1, 41))


def test_unreachable_database_is_reported_and_retried(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable_url = f"postgresql://moovier:s3cret@127.0.0.1:{free_port()}/moovier"
    feedback_cache = FeedbackCache(unreachable_url)
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
    # It is not tried again for a moment: an unreachable database takes seconds to fail.
    feedback_cache.reload()
    assert feedback_cache.trouble is not None
    monkeypatch.setattr(feedback_cache, "_not_before", 0.0)
    feedback_cache.reload()
    assert feedback_cache.trouble is None
    feedback_cache.check()
    give(feedback_cache, 7, 1)
    assert movies(feedback_cache.for_user(7)) == [1]
    feedback_cache.close()


def test_cached_feedback_outlives_the_database(
    feedback_cache: FeedbackCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(feedback_cache, 7, 1)

    def fail(*_: object, **__: object) -> None:
        raise FeedbackUnavailable("unreachable")

    monkeypatch.setattr(FeedbackStore, "add", fail)
    monkeypatch.setattr(FeedbackStore, "everything", fail)
    with pytest.raises(FeedbackUnavailable):
        give(feedback_cache, 7, 2)
    assert feedback_cache.trouble == "unreachable"
    feedback_cache.reload()
    feedback_cache.check()
    assert movies(feedback_cache.for_user(7)) == [1]
