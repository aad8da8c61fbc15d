"""Movies beside the data set become a part of it with the next ingest."""

from __future__ import annotations

from pathlib import Path

from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import read_movielens
from moovier.feedback.new_movies import NewMovie, NewMovieStore
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.settings import Settings
from tests.unit.jobs.feedback_merge.conftest import pull


def test_new_movies_become_a_part_of_the_data_set(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    NewMovieStore(store.database).put(
        [
            NewMovie(20, "In the files already", 2001),
            NewMovie(45, 'The "Quoted", Movie', 2020, ("Drama", "Comedy"), 77, ("A",), "text"),
            NewMovie(5, "No Genre"),
        ]
    )
    store.add(1, [NewRating(45, 4.5, 1500)])
    pulled = pull(folder, settings)
    data = read_movielens(Path(pulled["folder"]))
    movies = data.movies.set_index("movieId")
    assert sorted(movies.index) == [5, 10, 20, 30, 45]
    assert tuple(movies.loc[45, ["title", "year", "genres", "tmdbId"]]) == (
        'The "Quoted", Movie',
        2020,
        "Drama|Comedy",
        77,
    )
    assert movies.loc[20, "title"] == "Twenty"
    assert movies.loc[5, "genres"] == "(no genres listed)"
    assert (data.ratings["movieId"] == 45).sum() == 1
    assert pulled["feedback"]["movies"] == 2
    assert "2 movies added" in pulled["note"]
    # The same movies give the same data set, and without them it is the original again.
    assert pull(folder, settings)["hash"] == pulled["hash"]
    NewMovieStore(store.database).delete(45)
    NewMovieStore(store.database).delete(5)
    again = pull(folder, settings)
    assert "1 left out (their movies are not in movies.csv)" in again["note"]
    assert again["hash"] == directory_hash(folder)


def test_new_movie_keeps_the_line_ends_and_the_columns_of_the_file(
    folder: Path, settings: Settings, store: FeedbackStore
) -> None:
    (folder / "movies.csv").write_bytes(
        b"title,movieId,more,genres\r\nTen (1995),10,x,Drama\r\nTwenty,20,,\r\nThirty,30,,\r\n"
    )
    NewMovieStore(store.database).put([NewMovie(45, "New", 2020)])
    merged = Path(pull(folder, settings)["folder"]) / "movies.csv"
    assert merged.read_bytes().endswith(b"Thirty,30,,\r\nNew (2020),45,,(no genres listed)\r\n")
