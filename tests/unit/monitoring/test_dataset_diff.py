from __future__ import annotations

import numpy as np

from moovier.data.catalogue import NO_GENRE, Catalogue, Movie
from moovier.data.ratings import Index, Ratings
from moovier.monitoring.dataset_diff import Change, Snapshot


def snapshot(
    users: list[int], movies: list[int], rows: list[tuple[int, int, float]], genre: str = "Drama"
) -> Snapshot:
    """Return a data set of ``rows``: user id, movie id, stars."""
    index = Index(np.array(users), np.array(movies))
    user_ids, movie_ids, stars = (np.array(column) for column in zip(*rows, strict=True))
    ratings = Ratings(
        index.user_rows(user_ids),
        index.movie_rows(movie_ids),
        stars.astype(np.float32),
        np.arange(len(rows)),
        len(users),
        len(movies),
    )
    catalogue = Catalogue.of(
        Movie(id_, f"Movie {id_}", None, (genre,) if id_ != 9 else (), None, None) for id_ in movies
    )
    return Snapshot(index, ratings, catalogue)


def rows_by_id(change: Change, ratings: Ratings, rows: np.ndarray) -> set[tuple[int, int, float]]:
    selected = ratings.take(rows)
    ids = (change.users[selected.users], change.movies[selected.movies], selected.stars)
    return set(zip(*(column.tolist() for column in ids), strict=True))


def test_added_and_removed_ratings_are_matched_by_ids_and_stars() -> None:
    # Users in a different order, as after fine-tuning, and other movies: rows differ, ids match.
    reference = snapshot([5, 2], [1, 3], [(5, 1, 4.0), (5, 3, 2.0), (2, 1, 3.5)])
    current = snapshot([2, 5, 8], [1, 3, 9], [(5, 1, 4.0), (5, 3, 2.5), (8, 9, 5.0)], "War")
    change = Change.between(reference, current)
    assert rows_by_id(change, change.current, change.added) == {(5, 3, 2.5), (8, 9, 5.0)}
    assert rows_by_id(change, change.reference, change.removed) == {(5, 3, 2.0), (2, 1, 3.5)}
    assert change.users[change.new_users].tolist() == [8]
    assert change.movies[~change.known_movies].tolist() == [9]
    # The current catalogue decides on genres, and each movie's shares sum to 1.
    assert change.genre_names == (NO_GENRE, "War")
    np.testing.assert_allclose(change.genres, [[0, 1], [0, 1], [1, 0]])
    np.testing.assert_allclose(change.genres_of(change.current), [1, 2])


def test_a_different_order_of_rows_is_no_change() -> None:
    rows = [(5, 1, 4.0), (5, 3, 2.0), (2, 1, 3.5)]
    change = Change.between(snapshot([2, 5], [1, 3], rows), snapshot([5, 2], [1, 3], rows[::-1]))
    assert not change.added.any()
    assert not change.removed.any()


def test_changes_of_many_ratings_equal_differences_of_sets() -> None:
    random = np.random.default_rng(5)
    pairs = [(user, movie) for user in range(2, 40) for movie in range(1, 30)]

    def drawn(users: list[int]) -> Snapshot:
        chosen = [pairs[place] for place in random.permutation(len(pairs))[:700]]
        rows = [(user, movie, float(random.integers(1, 4))) for user, movie in chosen]
        return snapshot(users, list(range(1, 30)), rows)

    reference, current = drawn(list(range(2, 40))), drawn(list(range(39, 1, -1)))
    change = Change.between(reference, current)
    old = rows_by_id(change, change.reference, np.arange(700))
    new = rows_by_id(change, change.current, np.arange(700))
    assert rows_by_id(change, change.current, change.added) == new - old
    assert rows_by_id(change, change.reference, change.removed) == old - new
    assert old & new
