"""The fast scoring of ``timeline`` beside its definition, written out pair by pair."""

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
    """For each rated movie, each time anybody rated it and each movie near it on their timeline."""
    flow, now = np.zeros(N_MOVIES), history.timestamps[-1] / YEAR_S
    for place, (movie, stars) in enumerate(zip(history.movies, history.stars, strict=True)):
        reached, support = np.zeros(N_MOVIES), 0.0
        for user in range(N_USERS):
            theirs = ratings.histories[user]
            for middle in np.flatnonzero(theirs.movies == movie):
                years = abs(theirs.timestamps[middle] / YEAR_S - now)
                era = PARAMS.era_floor + (1 - PARAMS.era_floor) * 2 ** (-years / PARAMS.era)
                support += era
                for other, target in enumerate(theirs.movies):
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


def test_flow_is_what_its_definition_says(ratings: Ratings, history: History) -> None:
    scorer = scorer_of(ratings, company=0.0, genres=0.0, years=0.0)
    flow = flow_by_definition(ratings, history)
    popularity = np.bincount(ratings.movies, minlength=N_MOVIES) / np.bincount(ratings.movies).max()
    expected = flow / flow.std() + 1e-3 * popularity
    np.testing.assert_allclose(scorer.fold_in(history), expected, rtol=2e-4, atol=2e-4)


def test_company_is_ease_where_all_neighbours_are_kept(ratings: Ratings, history: History) -> None:
    from moovier.models import ease

    both, alone = (
        scorer_of(ratings, genres=0.0, years=0.0),
        scorer_of(ratings, genres=0.0, years=0.0, company=0.0),
    )
    found = (both.fold_in(history) - alone.fold_in(history)) / PARAMS.company
    solved = ease.build_arrays(ratings, ease.EaseParams(lambda_=PARAMS.lambda_, star_power=1.0))
    age = np.arange(len(history))[::-1]
    asked = np.zeros(N_MOVIES)
    asked[history.movies] = history.stars / 5 * 2 ** (-age / PARAMS.company_half_life)
    company = np.zeros(N_MOVIES)
    company[solved["covered"]] = asked[solved["covered"]] @ solved["weights"].astype(float)
    np.testing.assert_allclose(found, company / company.std(), rtol=2e-3, atol=2e-3)


def test_reasons_add_up_to_the_score(ratings: Ratings, history: History) -> None:
    scorer = scorer_of(ratings)
    scores = scorer.fold_in(history)
    parts = scorer.explain(history, np.arange(N_MOVIES))
    # Up to the touch of popularity that nobody's rating brings.
    np.testing.assert_allclose(parts.sum(axis=1), scores, atol=2e-3)


def test_with_too_many_places_the_strongest_are_followed(
    ratings: Ratings, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(ratings)
    everything = scorer._flows(history)
    monkeypatch.setattr(timeline_scoring, "MOST_PLACES", 9)
    fewer = scorer._flows(history)
    assert fewer.targets.shape == (9, everything.targets.shape[1])
    np.testing.assert_allclose(np.sort(fewer.weights), np.sort(everything.weights)[-9:])


def test_with_too_many_occurrences_those_near_in_time_are_followed(
    ratings: Ratings, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(ratings)
    often = int(np.argmax(np.bincount(ratings.movies)))
    years = np.sort(ratings.timestamps[ratings.movies == often] / YEAR_S)
    monkeypatch.setattr(timeline_scoring, "MOST_OCCURRENCES", 2)
    for now, wanted in ((0.0, years[:2]), (99.0, years[-2:]), (years[3] + 1e-4, years[3:5])):
        starts, lengths = scorer._nearest(np.array([often]), now)
        assert lengths.tolist() == [2]
        kept = scorer._when[starts[0] : starts[0] + 2]
        np.testing.assert_allclose(kept, wanted, atol=1e-3)


def test_one_rating_and_none(ratings: Ratings) -> None:
    scorer = scorer_of(ratings)
    nothing = History(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))
    best = int(np.argmax(np.bincount(ratings.movies)))
    assert int(np.argmax(scorer.fold_in(nothing))) == best
    one = History(np.array([5]), np.array([4.0], np.float32), np.array([30 * YEAR_S]))
    assert np.isfinite(scorer.fold_in(one)).all()


def test_a_memory_of_nothing(ratings: Ratings, history: History) -> None:
    """A movie that nobody else rated leads nowhere, but its genres still say something."""
    scorer = scorer_of(ratings.take(ratings.movies == 7))
    assert np.isfinite(scorer.fold_in(history)).all()
    assert scorer.fold_in(history).std() > 0
