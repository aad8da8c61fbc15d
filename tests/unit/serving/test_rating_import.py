"""Files of other services: sure matches become ratings, once."""

from __future__ import annotations

import time

import pytest

from moovier.data.rating_files import Entry
from moovier.errors import BadRequest
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.ratings import StoredRating
from moovier.serving.rating_import import (
    MatchedEntry,
    MatchedFile,
    import_ratings,
    match,
    match_file,
    new_ratings,
)
from moovier.serving.title_matching import Match
from tests.unit.serving.toy_context import Toy, champion, toy_of
from tests.unit.serving.toy_users import MOVIES, catalogue

FILM = list(catalogue())
#: A rated movie, one that was rated twice, and one outside the catalogue.
TABLE = "title,year,rating\nMovie 12,1981,9\nMovie 16,1983,4\nNothing Like It,1950,1\n"
NOW = 1_790_000_000


def entry(
    movie: int | None, stars: float | None, timestamp: int | None = None, *, sure: bool = True
) -> MatchedEntry:
    given = Entry(line=1, title="t", year=None, stars=stars, timestamp=timestamp)
    found = Match(movie, 0.9 if sure else 0.5, "title")
    return MatchedEntry(given, found, None if movie is None else FILM[movie], ())


def file_of(*entries: MatchedEntry) -> MatchedFile:
    return MatchedFile("test", 0, entries)


def test_only_sure_matches_with_stars_are_ratings() -> None:
    file = file_of(
        entry(0, 4.0, 5), entry(1, 3.0, 5, sure=False), entry(None, 5.0, 5), entry(2, None)
    )
    assert file.ratings == {MOVIES[0]: (4.0, 5)}
    assert file.seen == [MOVIES[2]]
    assert file_of().ratings == {}
    assert file_of().seen == []


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ((4.0, 5), (2.0, 6), (2.0, 6)),
        ((4.0, 6), (2.0, 5), (4.0, 6)),
        ((4.0, 5), (2.0, 5), (2.0, 5)),
        ((4.0, None), (2.0, None), (2.0, None)),
        ((4.0, 5), (2.0, None), (4.0, 5)),
    ],
)
def test_of_two_ratings_of_a_movie_the_newer_one_counts(
    first: tuple[float, int | None],
    second: tuple[float, int | None],
    kept: tuple[float, int | None],
) -> None:
    assert file_of(entry(0, *first), entry(0, *second)).ratings == {MOVIES[0]: kept}


def test_a_movie_that_was_watched_and_rated_is_not_seen_only() -> None:
    watched = [entry(2, None), entry(0, None), entry(0, 4.0), entry(2, None)]
    assert file_of(*watched).seen == [MOVIES[2]]
    assert file_of(entry(2, None, sure=False)).seen == []


def test_ratings_that_are_stored_already_are_not_new() -> None:
    stored = [
        StoredRating(7, MOVIES[0], 4.0, 5, None),
        StoredRating(7, MOVIES[1], 1.0, 5, None),
    ]
    file = file_of(entry(0, 4.0, 99), entry(1, 2.0, 6), entry(2, 3.0), entry(3, 5.0, NOW + 9))
    new, unchanged = new_ratings(file, stored, now=NOW)
    assert unchanged == 1
    # A rating without a date, or with a date in the future, gets the present time.
    assert new == [(MOVIES[1], 2.0, 6), (MOVIES[2], 3.0, NOW), (MOVIES[3], 5.0, NOW)]


def test_a_files_entries_are_matched_in_order_with_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moovier.serving.rating_import._PROGRESS_STEP", 2)
    calls: list[tuple[int, int]] = []
    file = match_file(
        champion().recommender, TABLE.encode(), lambda done, of: calls.append((done, of))
    )
    assert [item.movie.id if item.movie else None for item in file.entries] == [12, 16, None]
    assert [item.entry.stars for item in file.entries] == [4.5, 2.0, 0.5]
    assert calls == [(2, 3)]
    with pytest.raises(BadRequest):
        match_file(champion().recommender, b"\x00\x01")


def test_a_match_alone_stores_nothing(toy: Toy) -> None:
    file, model = toy.run(match(toy.context, TABLE.encode()))
    assert model is champion()
    assert len(file.entries) == 3


def test_a_file_is_imported_once(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW + 0.5)
    sure = match_file(champion().recommender, TABLE.encode()).ratings
    assert sure, "the table must hold a sure match"
    first, _ = toy.run(import_ratings(toy.context, 740_001, TABLE.encode()))
    assert (first.stored, first.unchanged, first.ignored) == (len(sure), 0, 0)
    feedback = toy.feedback.for_user(740_001)
    assert feedback is not None
    assert {r.movie_id: (r.stars, r.timestamp) for r in feedback.ratings} == {
        movie: (stars, NOW) for movie, (stars, _) in sure.items()
    }
    again, _ = toy.run(import_ratings(toy.context, 740_001, TABLE.encode()))
    assert (again.stored, again.unchanged) == (0, len(sure))


def test_before_the_first_read_nothing_is_imported() -> None:
    toy = toy_of(FeedbackCache("sqlite:////nowhere/at/all.db"))
    with pytest.raises(FeedbackUnavailable):
        toy.run(import_ratings(toy.context, 7, TABLE.encode()))
