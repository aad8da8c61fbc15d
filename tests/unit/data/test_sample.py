"""The generated sample: real films, invented ratings with tastes in them, the same every time."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.data.hashing import directory_hash
from moovier.data.movielens import SYNTHETIC_MARK, indexed, read_movielens
from moovier.data.sample import write_sample
from moovier.data.split import by_time

#: Ids from here on are ours: films that came out after ml-latest-small was made.
OUR_IDS = 1_000_000
#: Users that the documentation's examples ask for.
EXAMPLE_USERS = (1, 263, 389, 456, 498, 203, 446, 610)


def rows(folder: Path, name: str) -> dict[int, dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return {int(row["movieId"]): row for row in csv.DictReader(file)}


def test_the_same_seed_gives_the_same_bytes(sample_data: Path, tmp_path: Path) -> None:
    assert directory_hash(write_sample(tmp_path / "again")) == directory_hash(sample_data)
    other = write_sample(tmp_path / "other", seed=1)
    assert (other / "ratings.csv").read_bytes() != (sample_data / "ratings.csv").read_bytes()
    assert (other / "movies.csv").read_bytes() == (sample_data / "movies.csv").read_bytes()


def test_it_is_valid_and_says_that_it_is_synthetic(sample_data: Path) -> None:
    data = read_movielens(sample_data)
    assert data.synthetic
    assert "synthetic: true" in (sample_data / SYNTHETIC_MARK).read_text()
    assert sorted(data.ratings["userId"].unique()) == list(range(1, 611))
    assert set(EXAMPLE_USERS) <= set(data.ratings["userId"])
    assert 350 <= len(data.movies) <= 1000
    assert data.movies["tmdbId"].notna().all()
    assert data.movies["year"].notna().all()


def test_its_shape_is_that_of_real_ratings(sample_data: Path) -> None:
    ratings = read_movielens(sample_data).ratings
    per_user, per_movie = ratings["userId"].value_counts(), ratings["movieId"].value_counts()
    assert per_user.min() >= 20
    assert 40 <= per_user.mean() <= 70
    # A long tail: the most popular tenth has several times its share.
    assert per_movie.nlargest(len(per_movie) // 10).sum() > 0.25 * len(ratings)
    assert 3.2 <= ratings["rating"].mean() <= 4.0
    assert set(ratings["rating"]) == {step / 2 for step in range(1, 11)}


def test_nobody_rates_a_film_before_its_year(sample_data: Path) -> None:
    data = read_movielens(sample_data)
    year = data.ratings["movieId"].map(data.movies.set_index("movieId")["year"])
    moment = data.ratings["timestamp"].to_numpy().astype("datetime64[s]").astype("datetime64[Y]")
    assert (year.to_numpy(np.int64) <= moment.astype(int) + 1970).all()


def test_tastes_can_be_learnt(sample_data: Path) -> None:
    """EASE (Steck 2019), which knows nothing of how the sample is made, beats popularity."""
    _, ratings, _ = indexed(read_movielens(sample_data))
    train, test = by_time(ratings)
    seen = np.zeros((ratings.n_users, ratings.n_movies))
    seen[train.users, train.movies] = 1
    inverse = np.linalg.inv(seen.T @ seen + 200 * np.eye(ratings.n_movies))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    wanted = np.zeros_like(seen)
    wanted[test.users, test.movies] = 1
    personal = _recall(seen @ weights, seen, wanted)
    popular = _recall(np.tile(seen.sum(0), (len(seen), 1)), seen, wanted)
    assert personal > 1.2 * popular


def _recall(
    scores: NDArray[np.float64], seen: NDArray[np.float64], wanted: NDArray[np.float64]
) -> float:
    """Mean share of the wanted movies among each user's first ten that were not seen."""
    top = np.argsort(-np.where(seen > 0, -np.inf, scores), axis=1)[:, :10]
    hits = np.take_along_axis(wanted, top, axis=1).sum(1)
    return float((hits / np.minimum(10, wanted.sum(1))).mean())


@pytest.mark.real_data
def test_its_facts_are_those_of_the_real_set(sample_data: Path, real_data: Path) -> None:
    movies, links = rows(sample_data, "movies.csv"), rows(sample_data, "links.csv")
    real_movies, real_links = rows(real_data, "movies.csv"), rows(real_data, "links.csv")
    known = [movie for movie in movies if movie < OUR_IDS]
    assert len(known) > 0.95 * len(movies)
    assert {movie: movies[movie] for movie in known} == {m: real_movies[m] for m in known}
    assert {movie: links[movie] for movie in known} == {m: real_links[m] for m in known}
    ours = {movies[movie]["title"] for movie in movies if movie >= OUR_IDS}
    assert not ours & {row["title"] for row in real_movies.values()}
