"""Lists for a person: what counts of their ratings, filters, pages and reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import LIKED_STARS, Floats, Histories, History, Ints, Ratings
from moovier.errors import BadRequest
from moovier.feedback.ratings import NewRating
from moovier.models import popular
from moovier.models.families import family
from moovier.models.family import FitContext, Scorer
from moovier.serving import cursor
from moovier.serving.filters import Filter
from moovier.serving.user_recommender import Page, UserProfile, UserRecommender
from tests.contracts import toy

GENRES = ("Drama", "Comedy", "Sci-Fi", "War")
FAMILIES = ("ease", "timeline", "taste", "popular")
USERS = [100 + 3 * row for row in range(toy.N_USERS)]
MOVIES: list[int] = toy.MOVIE_IDS.tolist()
STRANGER = 99
NOTHING = np.zeros(0, dtype=np.int64)


def catalogue() -> Catalogue:
    """Of the toy's movies, one or two genres each, one without a year."""
    return Catalogue.of(
        Movie(
            id_,
            f"Movie {id_}",
            None if row == 4 else 1980 + row,
            tuple(dict.fromkeys((GENRES[row % 4], GENRES[row % 3]))),
            None,
            None,
        )
        for row, id_ in enumerate(MOVIES)
    )


class Counting:
    """A scorer that notes what it was asked."""

    def __init__(self, inner: Scorer) -> None:
        self._inner = inner
        self.n_movies = inner.n_movies
        self.scored: list[int] = []
        self.folded: list[History] = []

    def score(self, users: Ints, histories: Histories) -> Floats:
        self.scored += users.tolist()
        return self._inner.score(users, histories)

    def fold_in(self, history: History) -> Floats:
        self.folded.append(history)
        return self._inner.fold_in(history)

    def explain(self, history: History, movies: Ints) -> Floats:
        return self._inner.explain(history, movies)


@cache
def fitted(name: str) -> UserRecommender:
    kind, known = family(name), toy.ratings()
    params = kind.hyper_parameters.model_validate(toy.PARAMS.get(name, {"size": 1}))
    arrays = kind.fit(known, params, FitContext(catalogue(), seed=0)).arrays
    bundle = replace(toy.bundle_of(name, params, arrays, known), catalogue=catalogue())
    return UserRecommender(bundle, Counting(kind.scorer(arrays)))


def fresh(name: str) -> tuple[UserRecommender, Counting]:
    """One that was not asked yet, and what asks."""
    known = fitted(name)
    scorer = Counting(known._scorer)
    return UserRecommender(known._bundle, scorer), scorer


@pytest.fixture(params=FAMILIES)
def people(request: pytest.FixtureRequest) -> UserRecommender:
    return fitted(request.param)


def everything(make: Callable[[Ints], Page], size: int) -> Iterator[Page]:
    """Page after page, by the cursor as the service hands it round."""
    shown = NOTHING
    while True:
        page = make(shown)
        yield page
        if not page.more:
            return
        assert len(page.items) == size
        shown = cursor.decode(cursor.encode(np.concatenate([shown, page.ids])))


def passing(wanted: Filter) -> set[int]:
    """Ids of the movies that the filter means."""
    named = {name.casefold() for name in wanted.genres}

    def fits(movie: Movie) -> bool:
        if named and not named & {name.casefold() for name in movie.genres}:
            return False
        if wanted.year_from is not None and (movie.year or -1) < wanted.year_from:
            return False
        return wanted.year_to is None or (movie.year or 9999) <= wanted.year_to

    return {movie.id for movie in catalogue() if fits(movie)}


def history_of(person: UserProfile) -> list[tuple[int, float, int]]:
    """(movie id, stars, timestamp), oldest first."""
    history = person.history
    return list(
        zip(
            toy.MOVIE_IDS[history.movies].tolist(),
            history.stars.tolist(),
            history.timestamps.tolist(),
            strict=True,
        )
    )


FILTERS = st.builds(
    Filter,
    st.lists(st.sampled_from(GENRES), max_size=2).map(tuple),
    st.none() | st.integers(1978, 1988),
    st.none() | st.integers(1988, 1999),
)
RATED = st.lists(
    st.builds(
        NewRating,
        st.sampled_from([*MOVIES, 1, 99_999]),
        st.integers(1, 10).map(lambda halves: halves / 2),
        st.integers(0, 3_000_000),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(FAMILIES),
    user=st.sampled_from([*USERS, STRANGER, None]),
    ratings=RATED,
    deleted=st.sets(st.sampled_from([*MOVIES, 1]), max_size=4),
    wanted=FILTERS,
    exclude=st.lists(st.sampled_from([*MOVIES, 1]), max_size=5),
    size=st.integers(1, 20),
)
def test_the_pages_hold_each_movie_that_passes_once_and_none_that_was_rated(
    name: str,
    user: int | None,
    ratings: list[NewRating],
    deleted: set[int],
    wanted: Filter,
    exclude: list[int],
    size: int,
) -> None:
    people = fitted(name)
    person = people.anonymous(ratings) if user is None else people.user(user, ratings, deleted)
    out = np.array(exclude, dtype=np.int64)
    pages = list(
        everything(
            lambda shown: people.page(
                person, wanted, exclude=np.concatenate([out, shown]), top_k=size
            ),
            size,
        )
    )
    # A page is announced only where there is something to put on it.
    assert all(page.items for page in pages[1:])
    items = [item for page in pages for item in page.items]
    shown = [item.movie.id for item in items]
    rated = {movie for movie, _, _ in history_of(person)}
    assert len(shown) == len(set(shown))
    assert set(shown) == passing(wanted) - rated - set(exclude)
    assert shown == [id_ for page in pages for id_ in page.ids.tolist()]
    # In the order of the scores, equal ones by id.
    scores = dict(zip(MOVIES, people.scores(person).tolist(), strict=True))
    assert shown == sorted(shown, key=lambda id_: (-scores[id_], id_))
    assert [item.score for item in items] == [scores[id_] for id_ in shown]
    assert {item.source for item in items} <= {"model" if rated else "popular"}
    # Reasons are liked movies of this person's, at most three, none twice.
    mean = float(np.mean([stars for _, stars, _ in history_of(person)])) if rated else LIKED_STARS
    liked = {movie for movie, stars, _ in history_of(person) if stars >= min(LIKED_STARS, mean)}
    for item in items:
        reasons = [movie.id for movie in item.because]
        assert len(set(reasons)) == len(reasons) <= 3
        assert set(reasons) <= liked


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(FAMILIES), wanted=FILTERS, size=st.integers(1, 20), row=st.integers(0))
def test_lists_that_belong_to_nobody_come_in_such_pages_too(
    name: str, wanted: Filter, size: int, row: int
) -> None:
    people, row = fitted(name), row % toy.N_MOVIES
    for source, missing, make in (
        ("popular", set(), people.popular),
        ("similar", {MOVIES[row]}, lambda *a, **k: people.similar(row, *a, **k)),
    ):
        pages = everything(
            lambda shown, make=make: make(wanted, exclude=shown, top_k=size),  # type: ignore[misc]
            size,
        )
        items = [item for page in pages for item in page.items]
        assert {item.source for item in items} <= {source}
        shown = [item.movie.id for item in items]
        assert len(shown) == len(set(shown))
        assert set(shown) == passing(wanted) - missing
        scores = [item.score for item in items]
        assert scores == sorted(scores, reverse=True)
        for item in items:
            assert {movie.id for movie in item.because} == missing


def test_an_unknown_genre_is_refused_whoever_asks(people: UserRecommender) -> None:
    with pytest.raises(BadRequest, match="unknown genre"):
        people.page(people.user(USERS[0]), Filter(("Western",)), exclude=NOTHING, top_k=3)


def test_the_best_movie_and_its_reasons_are_of_the_persons_taste() -> None:
    for name in ("ease", "timeline"):
        people = fitted(name)
        for user in range(toy.N_USERS):
            person = people.user(USERS[user])
            page = people.page(person, Filter(), exclude=NOTHING, top_k=1)
            assert page.items[0].movie.id == MOVIES[toy.held_out(user)]
            liked, _ = toy.taste(user)
            reasons = {movie.id for movie in page.items[0].because}
            assert reasons
            assert reasons <= {MOVIES[row] for row in liked}


def test_reasons_come_by_weight_and_the_weak_ones_are_left_out() -> None:
    class Told(Counting):
        def explain(self, history: History, movies: Ints) -> Floats:
            weights = dict(zip(MOVIES, [0, 0, 8, 1.9, 2, 4, -3, 5, 9], strict=False))
            ids = toy.MOVIE_IDS[history.movies].tolist()
            return np.array([[weights.get(id_, 0) for id_ in ids]] * len(movies), np.float32)

    people = UserRecommender(fitted("ease")._bundle, Told(fitted("ease")._scorer))

    def reasons(*rated: tuple[int, float]) -> list[int]:
        person = people.anonymous([NewRating(MOVIES[row], stars, 1) for row, stars in rated])
        page = people.page(person, Filter(), exclude=NOTHING, top_k=1)
        return [MOVIES.index(movie.id) for movie in page.items[0].because]

    # Movie 8 weighs most, but was not liked; the fourth is one too many.
    assert reasons((8, 1.0), (2, 5.0), (5, 4.0), (7, 5.0), (4, 5.0)) == [2, 7, 5]
    # A quarter of the greatest is the least that counts.
    assert reasons((2, 5.0), (3, 5.0), (4, 5.0)) == [2, 4]
    # What weighs nothing, or against, is no reason.
    assert reasons((0, 5.0), (6, 5.0)) == []
    # Somebody who gives few stars likes what is above their average, but not what has few stars.
    assert reasons((2, 1.0), (5, 2.5), (7, 3.0)) == [7]
    assert reasons((2, 0.5)) == reasons((2, 0.5), (5, 1.0), (7, 2.0)) == []


def test_a_known_user_is_scored_as_such_and_a_changed_one_is_folded_in(
    people: UserRecommender,
) -> None:
    name = people._bundle.card.family
    people, asked = fresh(name)
    person = people.user(USERS[2])
    assert person.row == 2
    first = people.scores(person)
    assert (asked.scored, len(asked.folded)) == ([2], 0)
    expected = people._scorer.score(np.array([2]), people._bundle.histories)[0]
    assert np.array_equal(first, expected)
    changed = people.user(USERS[2], [NewRating(MOVIES[16], 5.0, 9_000_000)])
    assert changed.row is None
    people.scores(changed)
    assert len(asked.folded) == 1


def test_the_same_history_is_scored_once_and_another_one_anew() -> None:
    people, asked = fresh("ease")
    one = [NewRating(MOVIES[0], 5.0, 1), NewRating(MOVIES[1], 4.0, 2)]
    first = people.scores(people.anonymous(one))
    # In another order of telling, and with a movie that the model does not know.
    again = people.scores(people.anonymous([*reversed(one), NewRating(1, 5.0, 3)]))
    assert again is first
    assert len(asked.folded) == 1
    for other in (
        [NewRating(MOVIES[0], 4.5, 1), one[1]],
        [NewRating(MOVIES[2], 5.0, 1), one[1]],
        [NewRating(MOVIES[0], 5.0, 0), one[1]],
        one[:1],
    ):
        people.scores(people.anonymous(other))
    assert len(asked.folded) == 5


def test_only_so_many_people_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moovier.serving.user_recommender.CACHED_PROFILES", 2)
    people, asked = fresh("ease")
    for user in (0, 1, 0, 2, 0, 1):
        people.scores(people.user(USERS[user]))
    # The last: 1 went for 2, since 0 was asked for after it.
    assert asked.scored == [0, 1, 2, 1]
    assert len(people._scores) == 2


def test_a_page_alters_no_scores_that_others_share(people: UserRecommender) -> None:
    for person in (people.user(USERS[0]), people.user(STRANGER)):
        before = people.scores(person).copy()
        people.page(
            person, Filter(("Drama",)), exclude=np.array(MOVIES[:3], dtype=np.int64), top_k=3
        )
        assert np.array_equal(people.scores(person), before)
    before = people.popularity.all_time.copy()
    people.popular(Filter(("Drama",)), exclude=np.array(MOVIES[:3], dtype=np.int64), top_k=3)
    assert np.array_equal(people.popularity.all_time, before)


def test_what_was_rated_since_is_added_and_a_new_rating_of_a_movie_replaces() -> None:
    people = fitted("ease")
    before = history_of(people.user(USERS[0]))
    again, new = before[2][0], MOVIES[16]
    ratings = [
        NewRating(new, 3.0, 9_000_001),
        NewRating(again, 1.0, 9_000_000),
        NewRating(1, 5.0, 9_000_002),
    ]
    assert history_of(people.user(USERS[0], ratings)) == [
        *(one for one in before if one[0] != again),
        (again, 1.0, 9_000_000),
        (new, 3.0, 9_000_001),
    ]


def test_a_rating_given_here_wins_over_the_models_even_if_it_says_it_is_older() -> None:
    people = fitted("ease")
    again = history_of(people.user(USERS[3]))[-1][0]
    history = history_of(people.user(USERS[3], [NewRating(again, 0.5, 0)]))
    assert history[0] == (again, 0.5, 0)
    assert [movie for movie, _, _ in history].count(again) == 1


def test_of_two_ratings_of_a_movie_the_newest_counts_of_two_at_once_the_later_one() -> None:
    people = fitted("ease")
    new = MOVIES[16]
    for ratings, stars in (
        ([NewRating(new, 1.0, 5), NewRating(new, 2.0, 4)], 1.0),
        ([NewRating(new, 1.0, 5), NewRating(new, 2.0, 5)], 2.0),
    ):
        assert history_of(people.anonymous(ratings)) == [(new, stars, 5)]


def test_what_was_deleted_no_longer_counts_and_may_be_recommended_again() -> None:
    people = fitted("timeline")
    before = history_of(people.user(USERS[0]))
    gone = before[-1][0]
    person = people.user(USERS[0], deleted={gone, 1})
    assert history_of(person) == before[:-1]
    page = people.page(person, Filter(), exclude=NOTHING, top_k=20)
    assert gone in page.ids
    # Given again it counts again.
    person = people.user(USERS[0], [NewRating(gone, 2.0, 9_000_000)], {gone})
    assert history_of(person) == [*before[:-1], (gone, 2.0, 9_000_000)]


def test_what_stands_up_to_the_moment_of_deleting_all_is_gone() -> None:
    people = fitted("ease")
    before = history_of(people.user(USERS[1]))
    middle = before[3][2]
    assert history_of(people.user(USERS[1], deleted_before=middle)) == before[4:]
    assert history_of(people.user(USERS[1], deleted_before=middle - 1)) == before[3:]
    # What was given here afterwards counts, whatever moment it names.
    person = people.user(USERS[1], [NewRating(MOVIES[16], 4.0, 1)], deleted_before=9_000_000)
    assert history_of(person) == [(MOVIES[16], 4.0, 1)]
    everything_gone = people.user(USERS[1], deleted_before=9_000_000)
    assert history_of(everything_gone) == []
    page = people.page(everything_gone, Filter(), exclude=NOTHING, top_k=17)
    assert {item.source for item in page.items} == {"popular"}
    assert page.ids.tolist() == people.popular(Filter(), exclude=NOTHING, top_k=17).ids.tolist()


def test_an_unknown_user_with_ratings_is_the_stranger_with_these() -> None:
    people = fitted("ease")
    ratings = [NewRating(MOVIES[8], 5.0, 1), NewRating(MOVIES[9], 5.0, 2)]
    user, stranger = people.user(STRANGER, ratings), people.anonymous(ratings)
    assert np.array_equal(people.scores(user), people.scores(stranger))
    assert history_of(people.user(STRANGER)) == []


def test_what_people_gave_a_movie_on_average() -> None:
    rows: Sequence[Sequence[float]] = [(0, 0, 4, 1), (1, 0, 3.5, 2), (2, 0, 3.5, 3), (2, 3, 0.5, 4)]
    known: Ratings = toy.ratings_of(rows, 3)
    kind = family(popular.NAME)
    params = kind.hyper_parameters(size=1)
    arrays = kind.fit(known, params, FitContext(catalogue(), seed=0)).arrays
    people = UserRecommender(
        toy.bundle_of(popular.NAME, params, arrays, known), kind.scorer(arrays)
    )
    assert [people.mean_stars(row) for row in (0, 1, 3)] == [3.67, None, 0.5]
    assert people.counts[:4].tolist() == [3, 0, 0, 1]
    assert people.popularity.all_time[[0, 1, 3]].tolist() == pytest.approx([1.0, 0.0, 1 / 3])


class ReadsOrder(Counting):
    """A scorer whose scores depend on the order of the history, as a recurrent model's do."""

    def fold_in(self, history: History) -> Floats:
        scores = np.zeros(self.n_movies, np.float32)
        for place, movie in enumerate(history.movies.tolist()):
            scores[(movie * 7 + place * 3) % self.n_movies] += 1 + place
        return scores


def test_order_of_ratings_with_equal_timestamps_changes_nothing() -> None:
    people = UserRecommender(fitted("ease")._bundle, ReadsOrder(fitted("ease")._scorer))
    rated = [NewRating(MOVIES[row], 0.5 * (1 + row % 10), 5) for row in range(9)]
    random = np.random.default_rng(0)
    first = people.anonymous(rated)
    page = people.page(first, Filter(), exclude=NOTHING, top_k=5)
    for _ in range(20):
        shuffled = [rated[place] for place in random.permutation(len(rated))]
        again = people.anonymous(shuffled)
        assert again.key == first.key
        assert history_of(again) == history_of(first)
        assert people.page(again, Filter(), exclude=NOTHING, top_k=5).items == page.items
        known = people.user(USERS[0], shuffled)
        assert known.key == people.user(USERS[0], rated).key


def test_timestamps_order_a_history() -> None:
    people = fitted("ease")
    rated = [
        NewRating(MOVIES[0], 4.0, 30),
        NewRating(MOVIES[5], 3.0, 10),
        NewRating(MOVIES[2], 5.0, 20),
    ]
    moments = [moment for _, _, moment in history_of(people.anonymous(rated))]
    assert moments == [10, 20, 30]
    later = [rated[0]._replace(timestamp=5), *rated[1:]]
    assert people.anonymous(later).key != people.anonymous(rated).key


def test_scores_of_some_movies_are_those_of_the_whole_catalogue(people: UserRecommender) -> None:
    rows = np.array([3, 0, 12])
    for person in (
        people.anonymous([NewRating(MOVIES[1], 5.0, 1), NewRating(MOVIES[9], 1.0, 1)]),
        people.user(USERS[1]),
        people.user(STRANGER),
    ):
        expected = people.scores(person)[rows]
        assert people.scores_of(person, rows) == pytest.approx(expected, abs=1e-5)
