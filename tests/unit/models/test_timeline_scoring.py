"""The fast scores of ``timeline`` against its definition, computed pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import History, Ratings
from moovier.models import timeline, timeline_scoring
from moovier.models.timeline_scoring import TimelineParams, TimelineScorer

YEAR_S = 31_556_952
N_USERS, N_MOVIES = 30, 40
PARAMS = TimelineParams(
    size=6, half_life=3, back=0.5, back_half_life=2, shrink=2, era=1.5, lambda_=2, star_power=0.7
)
CATALOGUE = Catalogue.of(
    Movie(
        id=row,
        title=f"Movie {row}",
        year=None if row == 3 else 1980 + row % 9,
        genres=() if row == 4 else ("Drama",) if row % 3 else ("Comedy", "War"),
        imdb_id=None,
        tmdb_id=None,
    )
    for row in range(N_MOVIES)
)


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    random = np.random.default_rng(3)
    users, movies, moments = [], [], []
    for user in range(N_USERS):
        rated = random.choice(N_MOVIES, random.integers(1, 20), replace=False)
        users += [user] * rated.size
        movies += rated.tolist()
        first = random.integers(20, 45) * YEAR_S
        moments += (first + np.cumsum(random.integers(1, YEAR_S // 9, rated.size))).tolist()
    stars = random.integers(1, 11, len(users)) / 2
    return Ratings(
        np.array(users), np.array(movies), stars.astype(np.float32), np.array(moments), 30, 40
    )


@pytest.fixture(scope="module")
def history(ratings: Ratings) -> History:
    longest = int(np.argmax(ratings.histories.counts()))
    return ratings.histories[longest]


def scorer_of(ratings: Ratings, **changed: float) -> TimelineScorer:
    params = PARAMS.model_copy(update=changed)
    return TimelineScorer(timeline.build_arrays(ratings, params, CATALOGUE))


def flow_by_definition(ratings: Ratings, history: History) -> NDArray[np.float64]:
    """Return the flow: a sum over rated movies, their occurrences and the movies around those."""
    flow, now = np.zeros(N_MOVIES), history.timestamps[-1] / YEAR_S
    for place, (movie, stars) in enumerate(zip(history.movies, history.stars, strict=True)):
        reached, support = np.zeros(N_MOVIES), 0.0
        for user in range(N_USERS):
            timeline = ratings.histories[user]
            for middle in np.flatnonzero(timeline.movies == movie):
                years = abs(timeline.timestamps[middle] / YEAR_S - now)
                era = PARAMS.era_floor + (1 - PARAMS.era_floor) * 2 ** (-years / PARAMS.era)
                support += era
                for other, target in enumerate(timeline.movies):
                    distance = other - middle
                    if 0 < distance <= PARAMS.size:
                        reached[target] += era * 2 ** (-distance / PARAMS.half_life)
                    elif -PARAMS.size <= distance < 0:
                        fading = 2 ** (distance / PARAMS.back_half_life)
                        reached[target] -= era * PARAMS.back * fading
        age = len(history) - 1 - place
        recency = 2 ** (-age / PARAMS.asking_half_life) + PARAMS.asking_floor
        flow += (stars / 5) ** PARAMS.star_power * recency * reached / (support + PARAMS.shrink)
    return flow


def test_flow_follows_its_definition(ratings: Ratings, history: History) -> None:
    scorer = scorer_of(ratings, company=0.0, genres=0.0, years=0.0)
    flow = flow_by_definition(ratings, history)
    popularity = np.bincount(ratings.movies, minlength=N_MOVIES) / np.bincount(ratings.movies).max()
    expected = flow / flow.std() + 1e-3 * popularity
    np.testing.assert_allclose(scorer.fold_in(history), expected, rtol=2e-4, atol=2e-4)


def company_by_definition(ratings: Ratings, history: History) -> NDArray[np.float64]:
    """Return EASE's scores with B from an explicit inverse, over movies with three ratings."""
    covered = np.flatnonzero(np.bincount(ratings.movies, minlength=N_MOVIES) >= 3)
    x = np.zeros((N_USERS, N_MOVIES))
    for user in range(N_USERS):
        timeline = ratings.histories[user]
        moments = timeline.timestamps
        # All ratings since the last pause of a day have no later visit.
        for place, (movie, stars) in enumerate(zip(timeline.movies, timeline.stars, strict=True)):
            pauses = np.flatnonzero(np.diff(moments[place:]) >= 86_400)
            later = len(timeline) - (place + pauses[0] + 1) if pauses.size else 0
            x[user, movie] = stars / 5 * 2 ** (-later / 10_000)
    inverse = np.linalg.inv(x[:, covered].T @ x[:, covered] + PARAMS.lambda_ * np.eye(covered.size))
    b = -inverse / np.diag(inverse)
    np.fill_diagonal(b, 0.0)
    age = np.arange(len(history))[::-1]
    weights = np.zeros(N_MOVIES)
    weights[history.movies] = history.stars / 5 * 2 ** (-age / PARAMS.company_half_life)
    company = np.zeros(N_MOVIES)
    company[covered] = weights[covered] @ b
    return company


def test_company_is_ease_with_all_neighbours(ratings: Ratings, history: History) -> None:
    with_company = scorer_of(ratings, genres=0.0, years=0.0)
    without = scorer_of(ratings, genres=0.0, years=0.0, company=0.0)
    company = (with_company.fold_in(history) - without.fold_in(history)) / PARAMS.company
    expected = company_by_definition(ratings, history)
    np.testing.assert_allclose(company, expected / expected.std(), rtol=2e-3, atol=5e-3)


def test_content_is_nearness_of_genres_and_years(ratings: Ratings, history: History) -> None:
    from moovier.models import content_features

    without = scorer_of(ratings, genres=0.0, years=0.0)
    with_content = scorer_of(ratings, genres=3.0, years=2.0)
    rows = [content_features.genres(CATALOGUE, 3.0), content_features.years(CATALOGUE, 2.0)]
    genre_rows, year_rows = (table.rows() for table in rows)
    nearness = genre_rows @ genre_rows.T + year_rows @ year_rows.T
    age = np.arange(len(history))[::-1]
    liking = history.stars / 5 * 2 ** (-age / PARAMS.content_half_life)
    expected = nearness[:, history.movies] @ (liking / liking.sum())
    content = with_content.fold_in(history) - without.fold_in(history)
    np.testing.assert_allclose(content, expected, rtol=1e-3, atol=1e-4)


def test_reasons_add_up_to_the_score(ratings: Ratings, history: History) -> None:
    scorer = scorer_of(ratings)
    scores = scorer.fold_in(history)
    parts = scorer.explain(history, np.arange(N_MOVIES))
    # Up to the small term of popularity, which belongs to no rating.
    np.testing.assert_allclose(parts.sum(axis=1), scores, atol=2e-3)


def test_flow_follows_the_heaviest_of_too_many_places(
    ratings: Ratings, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(ratings)
    everything = scorer._flows(history)
    monkeypatch.setattr(timeline_scoring, "MOST_PLACES", 9)
    fewer = scorer._flows(history)
    assert fewer.targets.shape == (9, everything.targets.shape[1])
    np.testing.assert_allclose(np.sort(fewer.weights), np.sort(everything.weights)[-9:])


def test_flow_follows_the_nearest_of_too_many_occurrences(
    ratings: Ratings, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(ratings)
    often = int(np.argmax(np.bincount(ratings.movies)))
    years = np.sort(ratings.timestamps[ratings.movies == often] / YEAR_S)
    monkeypatch.setattr(timeline_scoring, "MOST_OCCURRENCES", 2)
    for now, nearest in ((0.0, years[:2]), (99.0, years[-2:]), (years[3] + 1e-4, years[3:5])):
        starts, lengths = scorer._nearest(np.array([often]), now)
        assert lengths.tolist() == [2]
        followed = scorer._when[starts[0] : starts[0] + 2]
        np.testing.assert_allclose(followed, nearest, atol=1e-3)


def test_a_history_with_one_rating_or_none_is_served(ratings: Ratings) -> None:
    scorer = scorer_of(ratings)
    empty = History(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))
    most_rated = int(np.argmax(np.bincount(ratings.movies)))
    assert int(np.argmax(scorer.fold_in(empty))) == most_rated
    single = History(np.array([5]), np.array([4.0], np.float32), np.array([30 * YEAR_S]))
    assert np.isfinite(scorer.fold_in(single)).all()


def test_reasons_are_the_same_before_and_after_another_history_was_scored(
    ratings: Ratings, history: History
) -> None:
    """The flows of the last history are kept; another one must not get its reasons."""
    movies = np.array([2, 11, 30])
    expected = scorer_of(ratings).explain(history, movies)
    scorer = scorer_of(ratings)
    scorer.fold_in(ratings.histories[0])
    np.testing.assert_allclose(scorer.explain(history, movies), expected, rtol=1e-6)


def test_reasons_of_few_movies_are_rows_of_those_of_all(ratings: Ratings, history: History) -> None:
    scorer = scorer_of(ratings)
    everything = scorer.explain(history, np.arange(N_MOVIES))
    some = np.array([30, 2, 11])
    np.testing.assert_allclose(scorer.explain(history, some), everything[some], rtol=1e-5)
    nothing = History(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))
    assert scorer.explain(nothing, some).shape == (3, 0)


def test_known_users_get_the_scores_of_their_histories(ratings: Ratings) -> None:
    scorer = scorer_of(ratings)
    scores = scorer.score(np.array([4, 0]), ratings.histories)
    for row, user in enumerate((4, 0)):
        np.testing.assert_allclose(scores[row], scorer.fold_in(ratings.histories[user]), rtol=1e-6)


def test_a_visitor_of_a_later_year_is_served_like_one_of_the_newest_rating(
    ratings: Ratings, history: History
) -> None:
    scorer, newest = scorer_of(ratings), int(ratings.timestamps.max())
    at_the_end, later = (
        History(history.movies, history.stars, np.full(len(history), newest + seconds))
        for seconds in (0, 30 * YEAR_S)
    )
    np.testing.assert_allclose(scorer.fold_in(later), scorer.fold_in(at_the_end), rtol=1e-5)


def test_arrays_of_other_catalogues_are_refused(ratings: Ratings) -> None:
    arrays = timeline.build_arrays(ratings, PARAMS, CATALOGUE)
    for name in ("genres_of", "years_of", "offsets"):
        with pytest.raises(ValueError, match=r"number of movies: 40 in counts.*39"):
            TimelineScorer({**arrays, name: arrays[name][1:]})


@pytest.mark.parametrize(
    ("kernel", "reach"),
    [
        ([0.0, 0.0, 0.0, 1.0, 0.5], (3, 5)),
        ([-0.2, -0.04, 0.0, 1.0, 0.049], (0, 4)),
        ([-0.049, -0.05, 0.0, 1.0, 0.0], (1, 4)),
    ],
)
def test_light_ends_of_the_kernel_are_cut_off(kernel: list[float], reach: tuple[int, int]) -> None:
    assert timeline_scoring._reach(np.array(kernel)) == reach


def test_content_scores_movies_without_flow(ratings: Ratings, history: History) -> None:
    scorer = scorer_of(ratings.take(ratings.movies == 7))
    assert np.isfinite(scorer.fold_in(history)).all()
    assert scorer.fold_in(history).std() > 0
