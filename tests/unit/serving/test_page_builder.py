"""Pages for users and visitors: whose ratings count, what is left out, stars and cursors."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moovier.errors import BadRequest
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.events import NewEvent
from moovier.feedback.ratings import NewRating
from moovier.serving import page_builder
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.filters import Filter
from moovier.serving.page_builder import ModelPage, build_page, paginate, resolve_user
from moovier.serving.recommender import Recommender
from moovier.serving.requests import RecommendRequest
from tests.contracts.toy import MOVIE_IDS, N_MOVIES
from tests.unit.serving.toy_context import CHAMPION, Toy, champion, rating_model
from tests.unit.serving.toy_users import USERS, history_of

DAY_S = 86_400
NOW = 1_800_000_000
MOVIES: list[int] = MOVIE_IDS.tolist()


def build(toy: Toy, **fields: Any) -> ModelPage:
    return build_page(
        champion(), toy.models.stars, RecommendRequest(**fields), toy.feedback, toy.reports.events
    )


def shown(page: ModelPage) -> list[int]:
    return [item.movie.id for item in page.page.items]


def rated_by(row: int) -> set[int]:
    return {MOVIES[movie] for movie in champion().recommender.bundle.histories[row].movies}


def test_pages_follow_each_other_without_a_movie_twice(toy: Toy) -> None:
    pages, cursor = [], None
    for _ in range(9):
        page = build(toy, user_id=USERS[0], top_k=4, cursor=cursor)
        pages.append(shown(page))
        cursor = page.next
        if cursor is None:
            break
    ids = [movie for page in pages for movie in page]
    assert sorted(ids) == sorted(set(MOVIES) - rated_by(0))
    assert [len(page) for page in pages[:-1]] == [4] * (len(pages) - 1)
    whole = shown(build(toy, user_id=USERS[0], top_k=N_MOVIES))
    assert ids == whole


def test_excluded_and_filtered_movies_are_left_out(toy: Toy) -> None:
    everything = shown(build(toy, user_id=USERS[0], top_k=N_MOVIES))
    without = build(toy, user_id=USERS[0], top_k=N_MOVIES, exclude=(everything[0], 9999))
    assert shown(without) == everything[1:]
    filtered = build(toy, user_id=USERS[0], top_k=N_MOVIES, filter=Filter(("War",)))
    assert {"War" in item.movie.genres for item in filtered.page.items} == {True}


def test_a_known_user_without_feedback_is_not_folded_in(toy: Toy) -> None:
    page = build(toy, user_id=USERS[0])
    assert page.is_personal
    assert (toy.reports.answered, toy.reports.folded) == ([(CHAMPION, 1, 0)], [])


def test_a_visitor_is_folded_in_and_a_stranger_gets_popular_movies(toy: Toy) -> None:
    assert build(toy, ratings=((MOVIES[0], 5.0, None),)).is_personal
    assert (toy.reports.answered, toy.reports.folded) == ([(CHAMPION, 1, 0)], [CHAMPION])
    stranger = build(toy, user_id=999_999)
    assert not stranger.is_personal
    assert toy.reports.answered[-1] == (CHAMPION, 0, 1)
    assert toy.reports.folded == [CHAMPION]
    assert stranger.stars == (None,) * len(stranger.page.items)


def test_an_empty_page_of_a_filter_is_personal(toy: Toy) -> None:
    page = build(toy, user_id=USERS[0], filter=Filter(year_from=2100))
    assert (shown(page), page.stars, page.next, page.is_personal) == ([], (), None, True)


@pytest.mark.parametrize("fields", [{"cursor": "nonsense"}, {"filter": Filter(("Sci-Fy",))}])
def test_an_invalid_cursor_or_filter_is_refused(toy: Toy, fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        build(toy, **fields)


# Whose ratings count


def profile(toy: Toy, **fields: Any) -> list[tuple[int, float, int]]:
    user_recommender = champion().recommender.user_recommender
    return history_of(resolve_user(user_recommender, RecommendRequest(**fields), toy.feedback))


@pytest.fixture
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW + 0.5)


TODAY = NOW // DAY_S * DAY_S


@pytest.mark.usefixtures("_now")
def test_undated_ratings_of_a_visitor_get_the_present_day(toy: Toy) -> None:
    given = ((MOVIES[3], 4.0, None), (9999, 5.0, None), (MOVIES[1], 2.0, None))
    assert profile(toy, ratings=given) == [(MOVIES[1], 2.0, TODAY), (MOVIES[3], 4.0, TODAY)]


@pytest.mark.usefixtures("_now")
def test_undated_ratings_are_not_before_dated_ones(toy: Toy) -> None:
    later = TODAY + 60
    given = ((MOVIES[3], 4.0, None), (MOVIES[1], 2.0, later), (MOVIES[5], 1.0, 77))
    assert profile(toy, ratings=given) == [
        (MOVIES[5], 1.0, 77),
        (MOVIES[1], 2.0, later),
        (MOVIES[3], 4.0, later),
    ]
    # A timestamp in the future is a mistake, so the other ratings are not dated by it.
    future = ((MOVIES[3], 4.0, None), (MOVIES[1], 2.0, NOW + DAY_S))
    assert profile(toy, ratings=future)[0] == (MOVIES[3], 4.0, TODAY)


@pytest.mark.usefixtures("_now")
def test_a_requests_ratings_count_on_top_of_stored_ones(toy: Toy) -> None:
    user = 700_001
    stored = NewRating(MOVIES[2], 3.0, TODAY + 500)
    toy.feedback.add(user, [stored], request_id=None, idempotency_key=None)
    given = ((MOVIES[4], 4.0, None), (MOVIES[6], 5.0, 9))
    assert profile(toy, user_id=user, ratings=given) == [
        (MOVIES[6], 5.0, 9),
        (MOVIES[2], 3.0, TODAY + 500),
        (MOVIES[4], 4.0, TODAY + 500),
    ]
    assert profile(toy, user_id=user) == [(MOVIES[2], 3.0, TODAY + 500)]


# Stars


def test_stars_are_those_of_the_rating_model_on_the_scale(toy: Toy) -> None:
    page = build(toy, user_id=USERS[0], top_k=N_MOVIES)
    rows = [MOVIES.index(movie) for movie in shown(page)]
    expected = np.clip(np.linspace(0.2, 6.0, N_MOVIES), 0.5, 5.0)[rows]
    assert list(page.stars) == pytest.approx(expected.tolist(), abs=0.006)


def test_no_rating_model_gives_no_stars(toy: Toy) -> None:
    toy.models.stars = None
    page = build(toy, user_id=USERS[0], top_k=3)
    assert page.stars == (None,) * 3


def test_a_movie_that_the_rating_model_does_not_know_has_no_stars(toy: Toy) -> None:
    bundle = champion().recommender.bundle
    # The same catalogue with other ids: no movie is known.
    index = replace(bundle.index, movies=bundle.index.movies + 1)
    other = Recommender(replace(bundle, index=index), scorer=rating_model().recommender.scorer)
    toy.models.stars = LoadedModel(9, "m", "9", other)
    page = build(toy, user_id=USERS[0], top_k=3)
    assert page.stars == (None,) * 3


def test_events_do_not_count_as_stars(feedback: FeedbackCache, toy: Toy) -> None:
    user = 700_002
    feedback.add_events(user, [NewEvent(MOVIES[0], "finished", 5)], request_id=None)
    page = build(toy, user_id=user)
    assert page.is_personal, "the event counts as a rating of the ranking model"
    assert page.stars == (None,) * 10
    assert MOVIES[0] not in shown(page)


# Lists that are not personal


def test_a_list_that_is_not_personal_is_paged_by_its_cursor() -> None:
    user_recommender = champion().recommender.user_recommender
    calls: list[list[int]] = []

    def make_page(excluded: Any) -> Any:
        calls.append(excluded.tolist())
        return user_recommender.popular(Filter(), exclude=excluded, top_k=3)

    first = paginate(make_page, champion(), None)
    second = paginate(make_page, champion(), first.next)
    assert [sorted(call) for call in calls] == [[], sorted(shown(first))]
    assert not set(shown(first)) & set(shown(second))
    assert first.stars == (None, None, None)
    assert not first.is_personal
    with pytest.raises(BadRequest):
        paginate(make_page, champion(), "nonsense")


def test_the_last_page_has_no_cursor() -> None:
    user_recommender = champion().recommender.user_recommender
    page = paginate(
        lambda excluded: user_recommender.popular(Filter(), exclude=excluded, top_k=N_MOVIES),
        champion(),
        None,
    )
    assert page.next is None
    assert page_builder.decode_cursor(None).size == 0
