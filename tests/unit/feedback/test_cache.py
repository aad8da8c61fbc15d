"""What is in memory of the feedback: the database's word, also when many write at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from moovier.feedback.cache import Mirror
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.store import Feedback, FeedbackStore, NewRating, UserFeedback
from tests.servers import free_port


@pytest.fixture
def mirror(sqlite_url: str) -> Iterator[Mirror]:
    with contextlib.closing(Mirror(sqlite_url)) as opened:
        opened.reload()
        yield opened


def give(mirror: Mirror, user: int, movie: int, stars: float = 4.0, timestamp: int = 10) -> None:
    rating = NewRating(movie, stars, timestamp)
    mirror.add(user, [rating], request_id=None, idempotency_key=None)


def movies(said: UserFeedback | None) -> list[int]:
    return [] if said is None else [one.movie_id for one in said.ratings]


def test_what_is_written_is_there_at_once_and_after_a_restart(
    mirror: Mirror, sqlite_url: str
) -> None:
    assert mirror.of(7) is None
    give(mirror, 7, 1)
    give(mirror, 7, 2, timestamp=5)
    give(mirror, 8, 3)
    mirror.delete(7, 1)
    mirror.delete(8)
    mirror.delete(9, 4)
    for one in (mirror, Mirror(sqlite_url)):
        one.reload()
        seven, eight, nine = one.of(7), one.of(8), one.of(9)
        assert (movies(seven), movies(eight), movies(nine)) == ([2], [], [])
        assert seven is not None
        assert seven.deleted == {1}
        assert seven.all_deleted_at is None
        assert eight is not None
        assert eight.all_deleted_at is not None
        assert nine is not None
        assert nine.deleted == {4}
        assert one.of(10) is None
        one.close()


def test_a_rating_given_again_is_no_longer_deleted(mirror: Mirror) -> None:
    mirror.delete(7, 1)
    give(mirror, 7, 1)
    said = mirror.of(7)
    assert said is not None
    assert (movies(said), said.deleted) == ([1], frozenset())
    mirror.reload()
    assert mirror.of(7) == said


def test_the_revision_changes_with_each_write_of_the_person_alone(mirror: Mirror) -> None:
    seven, eight = mirror.revision(7), mirror.revision(8)
    give(mirror, 7, 1)
    assert mirror.revision(7) != seven
    assert mirror.revision(8) == eight
    seven = mirror.revision(7)
    mirror.delete(7)
    assert mirror.revision(7) != seven
    # After everything was read anew, anybody's may have changed.
    mirror.reload()
    assert mirror.revision(8) != eight


def test_what_was_read_first_does_not_overwrite_what_was_read_later(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
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
        first = threads.submit(give, mirror, 7, 1)
        assert first_has_read.wait(5)
        second = threads.submit(give, mirror, 7, 2)
        with contextlib.suppress(TimeoutError):
            second.result(0.3)
        go_on.set()
        first.result(10)
        second.result(10)
    assert movies(mirror.of(7)) == [1, 2]


def test_what_is_written_while_everything_is_read_stays(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(mirror, 7, 1)
    give(mirror, 8, 1)
    everything = FeedbackStore.everything

    def meanwhile(store: FeedbackStore) -> Feedback:
        read = everything(store)
        give(mirror, 7, 2)
        mirror.delete(8, 1)
        give(mirror, 9, 3)
        return read

    monkeypatch.setattr(FeedbackStore, "everything", meanwhile)
    mirror.reload()
    assert [movies(mirror.of(user)) for user in (7, 8, 9)] == [[1, 2], [], [3]]
    said = mirror.of(8)
    assert said is not None
    assert said.deleted == {1}


def test_many_at_once_all_count(mirror: Mirror) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda movie: give(mirror, 7, movie), range(1, 41)))
    assert sorted(movies(mirror.of(7))) == list(range(1, 41))


def test_a_database_that_is_away_is_said_and_found_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = f"postgresql://moovier:s3cret@127.0.0.1:{free_port()}/moovier"
    mirror = Mirror(away)
    mirror.reload()
    assert mirror.trouble is not None
    assert "s3cret" not in mirror.trouble
    assert mirror.of(7) is None
    with pytest.raises(FeedbackUnavailable):
        mirror.check()
    with pytest.raises(FeedbackUnavailable):
        give(mirror, 7, 1)
    with pytest.raises(FeedbackUnavailable):
        mirror.delete(7)
    monkeypatch.setattr(mirror, "_url", sqlite_url)
    # For a moment nobody tries again: a database that does not answer takes each his time.
    mirror.reload()
    assert mirror.trouble is not None
    monkeypatch.setattr(mirror, "_not_before", 0.0)
    mirror.reload()
    assert mirror.trouble is None
    mirror.check()
    give(mirror, 7, 1)
    assert movies(mirror.of(7)) == [1]
    mirror.close()


def test_what_was_read_goes_on_counting_when_the_database_goes(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(mirror, 7, 1)

    def gone(*_: object, **__: object) -> None:
        raise FeedbackUnavailable("gone")

    monkeypatch.setattr(FeedbackStore, "add", gone)
    monkeypatch.setattr(FeedbackStore, "everything", gone)
    with pytest.raises(FeedbackUnavailable):
        give(mirror, 7, 2)
    assert mirror.trouble == "gone"
    mirror.reload()
    mirror.check()
    assert movies(mirror.of(7)) == [1]
