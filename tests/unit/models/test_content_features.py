"""Products of feature vectors against cosines that are computed movie by movie."""

from __future__ import annotations

import math

import numpy as np

from moovier.data.catalogue import NO_GENRE, Catalogue, Movie
from moovier.models import content_features

#: Genres and year of each movie; movies 0 and 5 are equal.
MOVIES: list[tuple[tuple[str, ...], int | None]] = [
    (("Drama",), 1990),
    (("Drama", "War"), 1992),
    (("Comedy",), 1990),
    ((NO_GENRE,), None),
    (("Comedy", "Drama", "War"), 2001),
    (("Drama",), 1990),
    (("War",), 1991),
]
CATALOGUE = Catalogue.of(
    Movie(row, f"Movie {row}", year, genres, None, None)
    for row, (genres, year) in enumerate(MOVIES)
)


def cosine(left: dict[str, float], right: dict[str, float]) -> float:
    product = sum(value * right.get(name, 0.0) for name, value in left.items())
    lengths = [math.sqrt(sum(value**2 for value in one.values())) for one in (left, right)]
    return product / (lengths[0] * lengths[1]) if all(lengths) else 0.0


def test_genre_products_are_cosines_weighted_by_rarity() -> None:
    shares = {
        name: sum(name in genres for genres, _ in MOVIES) / len(MOVIES)
        for name in ("Drama", "War", "Comedy")
    }
    vectors = [
        {name: math.log(1 / shares[name]) + 1e-3 for name in genres if name in shares}
        for genres, _ in MOVIES
    ]
    expected = [[3.0 * cosine(left, right) for right in vectors] for left in vectors]
    rows = content_features.genres(CATALOGUE, 3.0).rows()
    np.testing.assert_allclose(rows @ rows.T, expected, rtol=1e-5, atol=1e-6)


def test_year_products_are_cosines_of_bumps() -> None:
    bumps = [
        {}
        if year is None
        else {str(other): 2.0 ** (-abs(other - year) / 2) for other in range(1990, 2002)}
        for _, year in MOVIES
    ]
    expected = [[0.5 * cosine(left, right) for right in bumps] for left in bumps]
    rows = content_features.years(CATALOGUE, 0.5).rows()
    np.testing.assert_allclose(rows @ rows.T, expected, rtol=1e-5, atol=1e-6)
    near, far = (rows @ rows.T)[0, [6, 4]]
    assert near > far


def test_movies_with_equal_features_share_a_vector() -> None:
    table = content_features.genres(CATALOGUE, 1.0)
    assert table.of.shape == (len(MOVIES),)
    assert table.of[0] == table.of[5]
    assert len(set(table.of.tolist())) == table.vectors.shape[0] == 6


def test_a_movie_without_genres_or_year_has_a_vector_of_zeros() -> None:
    for table in (content_features.genres(CATALOGUE, 1.0), content_features.years(CATALOGUE, 1.0)):
        assert not table.rows()[3].any()
        assert table.rows()[[0, 1, 2, 4, 5, 6]].any(axis=1).all()


def test_a_genre_that_all_movies_have_keeps_a_direction() -> None:
    catalogue = Catalogue.of(Movie(row, "Movie", 1990, ("Drama",), None, None) for row in range(3))
    rows = content_features.genres(catalogue, 1.0).rows()
    np.testing.assert_allclose(rows @ rows.T, np.ones((3, 3)), rtol=1e-6)


def test_a_catalogue_without_genres_and_years_has_vectors_of_zeros() -> None:
    catalogue = Catalogue.of(Movie(row, "Movie", None, (), None, None) for row in range(4))
    for table in (content_features.genres(catalogue, 1.0), content_features.years(catalogue, 1.0)):
        assert table.rows().shape[0] == 4
        assert not table.rows().any()
