"""Test the generated sample: valid, deterministic, and fit for both evaluation protocols."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import SYNTHETIC_MARK, read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.data.synthetic import write_sample

#: Ids from here on are added movies, released after ml-latest-small was made.
OUR_IDS = 1_000_000
#: Users in the examples of the documentation.
EXAMPLE_USERS = (1, 263, 389, 456, 498, 203, 446, 610)
DAY_S = 86_400
#: The sample's ratings start in this year.
FIRST_YEAR = 2012

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def rows(folder: Path, name: str) -> dict[int, dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return {int(row["movieId"]): row for row in csv.DictReader(file)}


def test_same_seed_writes_same_bytes(sample_data: Path, tmp_path: Path) -> None:
    assert directory_hash(write_sample(tmp_path / "again")) == directory_hash(sample_data)
    other = write_sample(tmp_path / "other", seed=1)
    assert (other / "ratings.csv").read_bytes() != (sample_data / "ratings.csv").read_bytes()
    assert (other / "movies.csv").read_bytes() == (sample_data / "movies.csv").read_bytes()


def test_sample_is_valid_and_marked_synthetic(sample_data: Path) -> None:
    data = read_movielens(sample_data)
    assert data.synthetic
    assert "synthetic: true" in (sample_data / SYNTHETIC_MARK).read_text()
    assert sorted(data.ratings["userId"].unique()) == list(range(1, 611))
    assert set(EXAMPLE_USERS) <= set(data.ratings["userId"])
    assert 350 <= len(data.movies) <= 1000
    assert data.movies["tmdbId"].notna().all()
    assert data.movies["year"].notna().all()


def test_ratings_have_a_realistic_distribution(sample_data: Path) -> None:
    ratings = read_movielens(sample_data).ratings
    per_user, per_movie = ratings["userId"].value_counts(), ratings["movieId"].value_counts()
    assert per_user.min() >= 20
    assert 40 <= per_user.mean() <= 70
    # Long tail: the most popular 10 % of the movies have over 25 % of the ratings.
    assert per_movie.nlargest(len(per_movie) // 10).sum() > 0.25 * len(ratings)
    assert 3.2 <= ratings["rating"].mean() <= 4.0
    assert set(ratings["rating"]) == {step / 2 for step in range(1, 11)}


def test_no_movie_is_rated_before_its_year(sample_data: Path) -> None:
    data = read_movielens(sample_data)
    year = data.ratings["movieId"].map(data.movies.set_index("movieId")["year"])
    moment = data.ratings["timestamp"].to_numpy().astype("datetime64[s]").astype("datetime64[Y]")
    assert (year.to_numpy(np.int64) <= moment.astype(int) + 1970).all()


def test_enough_users_qualify_for_next_visit(sample_data: Path) -> None:
    """A user needs a pause of a day after 10 ratings; validation uses the pause before the last."""
    histories = _histories(sample_data)
    pauses = [sum(cut >= 10 for cut in _visit_starts(times)) for _, times, _ in histories]
    assert sum(count >= 1 for count in pauses) >= 200
    assert sum(count >= 2 for count in pauses) >= 200


def test_enough_users_qualify_for_visitor(sample_data: Path) -> None:
    """Users with 30 ratings must have 5 liked movies left after 20 ratings are drawn."""
    rng = np.random.default_rng(0)
    liked_left = [
        (rng.permutation(stars)[20:] >= 4).sum()
        for _, _, stars in _histories(sample_data)
        if stars.size >= 30
    ]
    assert sum(count >= 5 for count in liked_left) >= 300


def test_visits_are_days_apart_and_ratings_minutes(sample_data: Path) -> None:
    for _, times, _ in _histories(sample_data):
        gaps = np.diff(times)
        assert ((gaps <= 600) | (gaps >= DAY_S)).all()
        assert (gaps > 0).all()


def test_order_within_a_visit_follows_neither_popularity_nor_id(sample_data: Path) -> None:
    """For random order the mean rank correlation with the position is 0 up to chance."""
    histories = _histories(sample_data)
    n_ratings = np.bincount(np.concatenate([movies for movies, _, _ in histories]))
    by_popularity, by_id, by_stars = [], [], []
    for movies, times, stars in histories:
        for visit in np.split(np.arange(times.size), _visit_starts(times)):
            if visit.size >= 10:
                position = np.arange(visit.size)
                by_popularity.append(_rank_correlation(position, n_ratings[movies[visit]]))
                by_id.append(_rank_correlation(position, movies[visit]))
                by_stars.append(_rank_correlation(position, stars[visit]))
    assert len(by_id) > 600
    for correlations in (by_popularity, by_id, by_stars):
        assert abs(np.mean(correlations)) < 0.04


def test_dislikes_are_frequent(sample_data: Path) -> None:
    stars = read_movielens(sample_data).ratings["rating"]
    assert 0.10 <= (stars <= 2).mean() <= 0.25


def test_disliked_genres_stay_disliked_and_are_rated_less(sample_data: Path) -> None:
    """Genres with low stars in one half of a history get low stars and few ratings in the other."""
    _, ratings, catalogue = to_arrays(read_movielens(sample_data))
    names = ("Action", "Comedy", "Drama", "Romance", "Sci-Fi", "Thriller")
    has_genre = np.array([[name in movie.genres for name in names] for movie in catalogue])
    usual_share = has_genre[ratings.movies].mean(axis=0)
    first = np.random.default_rng(0).random(len(ratings)) < 0.5
    stars: dict[str, list[float]] = {"disliked": [], "liked": []}
    shares: dict[str, list[float]] = {"disliked": [], "liked": []}
    for user in range(ratings.n_users):
        of_user = ratings.users == user
        for genre in range(len(names)):
            of_genre = of_user & has_genre[ratings.movies, genre]
            if (of_genre & first).sum() < 3 or (of_genre & ~first).sum() < 1:
                continue
            difference = ratings.stars[of_genre & first].mean() - ratings.stars[of_user].mean()
            if abs(difference) < 0.4:
                continue
            kind = "liked" if difference > 0 else "disliked"
            of_rest = of_user & ~first
            stars[kind].append(float(ratings.stars[of_genre & ~first].mean()))
            shares[kind].append(float(of_genre[of_rest].mean() / usual_share[genre]))
    assert min(len(stars["disliked"]), len(stars["liked"])) > 100
    assert np.mean(stars["liked"]) - np.mean(stars["disliked"]) > 0.5
    assert np.mean(shares["disliked"]) < 0.9 * np.mean(shares["liked"])


def test_popularity_changes_over_the_years(sample_data: Path) -> None:
    """Movies that all users could rate differ more between two periods than by chance."""
    data = read_movielens(sample_data)
    old = data.movies.loc[data.movies["year"] < FIRST_YEAR, "movieId"]
    ratings = data.ratings[data.ratings["movieId"].isin(old)]
    later = (ratings["timestamp"] > ratings["timestamp"].median()).to_numpy()
    by_chance = np.random.default_rng(0).permutation(later)
    movies = ratings["movieId"].to_numpy()
    assert _count_correlation(movies, later) < _count_correlation(movies, by_chance) - 0.05


def test_ease_beats_popularity_for_visitors(sample_data: Path) -> None:
    """EASE (Steck 2019), which does not know the generator, learns from stars of new users."""
    _, ratings, _ = to_arrays(read_movielens(sample_data))
    rng = np.random.default_rng(0)
    held_out = rng.permutation(ratings.n_users)[: ratings.n_users // 5]
    train = ratings.take(~np.isin(ratings.users, held_out))
    weights, popular = _ease(train), np.bincount(train.movies, minlength=train.n_movies)
    personal_by_k, popular_by_k = [], []
    for k in (1, 3, 5, 10, 20):
        figures = []
        for user in held_out:
            rows = rng.permutation(np.flatnonzero(ratings.users == user))
            given, rest = ratings.take(rows[:k]), ratings.take(rows[k:])
            relevant = rest.movies[rest.stars >= 4]
            if rows.size >= k + 10 and relevant.size >= 5:
                profile = _profiles(given)[user]
                figures.append(
                    [_ndcg(s, given.movies, relevant) for s in (profile @ weights, popular)]
                )
        assert len(figures) >= 40
        personal, baseline = np.mean(figures, axis=0)
        personal_by_k.append(personal)
        popular_by_k.append(baseline)
    assert np.mean(personal_by_k) > 1.15 * np.mean(popular_by_k)
    for personal, baseline in list(zip(personal_by_k, popular_by_k, strict=True))[1:]:
        assert personal > 1.15 * baseline


def test_ease_beats_popularity_on_the_next_visit(sample_data: Path) -> None:
    _, ratings, _ = to_arrays(read_movielens(sample_data))
    in_test = np.zeros(len(ratings), dtype=bool)
    for user in range(ratings.n_users):
        rows = np.flatnonzero(ratings.users == user)
        rows = rows[np.argsort(ratings.timestamps[rows], kind="stable")]
        starts = [s for s in _visit_starts(ratings.timestamps[rows]) if s >= 10]
        if starts:
            in_test[rows[starts[-1] :]] = True
    train, test = ratings.take(~in_test), ratings.take(in_test)
    weights, popular = _ease(train), np.bincount(train.movies, minlength=train.n_movies)
    profiles = _profiles(train)
    figures = []
    for user in np.unique(test.users):
        seen, relevant = train.movies[train.users == user], test.movies[test.users == user]
        figures.append([_ndcg(s, seen, relevant) for s in (profiles[user] @ weights, popular)])
    personal, baseline = np.mean(figures, axis=0)
    assert personal > 1.15 * baseline


def _count_correlation(movies: Ints, in_second: NDArray[np.bool_]) -> float:
    """Correlate the movies' numbers of ratings in two parts of the ratings."""
    _, rows = np.unique(movies, return_inverse=True)
    parts = [np.bincount(rows[part], minlength=rows.max() + 1) for part in (~in_second, in_second)]
    first, second = parts
    return float(np.corrcoef(first, second)[0, 1])


def _histories(folder: Path) -> list[tuple[Ints, Ints, Floats]]:
    """Return each user's movie ids, timestamps and stars, all in time order."""
    ratings = read_movielens(folder).ratings.sort_values(["userId", "timestamp"], kind="stable")
    return [
        (rows["movieId"].to_numpy(), rows["timestamp"].to_numpy(), rows["rating"].to_numpy())
        for _, rows in ratings.groupby("userId")
    ]


def _visit_starts(times: Ints) -> list[int]:
    """Return the positions that follow a pause of at least 24 hours; ``times`` are sorted."""
    return [int(gap) + 1 for gap in np.flatnonzero(np.diff(times) >= DAY_S)]


def _rank_correlation(left: NDArray[Any], right: NDArray[Any]) -> float:
    """Spearman's correlation; 0 where one side is constant."""
    ranks = [rankdata(values) for values in (left, right)]
    if min(rank.std() for rank in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _profiles(ratings: Ratings) -> Floats:
    """Return the weights (stars / 5)^2 of all users, (n_users, n_movies)."""
    profiles = np.zeros((ratings.n_users, ratings.n_movies))
    profiles[ratings.users, ratings.movies] = (ratings.stars / 5) ** 2
    return profiles


def _ease(train: Ratings) -> Floats:
    """Return EASE's item weights, (n_movies, n_movies), with lambda = 200."""
    profiles = _profiles(train)
    inverse = np.linalg.inv(profiles.T @ profiles + 200 * np.eye(train.n_movies))
    weights: Floats = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def _ndcg(scores: NDArray[Any], seen: NDArray[Any], relevant: NDArray[Any]) -> float:
    """NDCG@10 of the ten best unseen movies with binary relevance."""
    scores = scores.astype(float)
    scores[seen] = -np.inf
    hits = np.isin(np.argsort(-scores, kind="stable")[:10], relevant)
    discount = 1 / np.log2(np.arange(2, 12))
    return float((hits * discount).sum() / discount[: relevant.size].sum())


@pytest.mark.real_data
def test_movie_facts_match_the_real_data_set(sample_data: Path, real_data: Path) -> None:
    movies, links = rows(sample_data, "movies.csv"), rows(sample_data, "links.csv")
    real_movies, real_links = rows(real_data, "movies.csv"), rows(real_data, "links.csv")
    known = [movie for movie in movies if movie < OUR_IDS]
    assert len(known) > 0.95 * len(movies)
    assert {movie: movies[movie] for movie in known} == {m: real_movies[m] for m in known}
    assert {movie: links[movie] for movie in known} == {m: real_links[m] for m in known}
    ours = {movies[movie]["title"] for movie in movies if movie >= OUR_IDS}
    assert not ours & {row["title"] for row in real_movies.values()}
