"""`/ratings/match` and `/ratings/import`: files of other services through the real service."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from bentos.middleware.body_size import MAX_BODY_BYTES, MAX_FILE_BYTES
from bentos.schemas.rating_import import FileImported, FileMatched
from bentos.schemas.ratings import OwnRatings
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import TITLED_MOVIES as MOVIES
from tests.service.api.client import ApiClient, error_of, ids_of, parsed

RATINGS = """Date,Name,Year,Letterboxd URI,Rating
2020-01-01,The Matrix,1999,https://boxd.it/1,4.5
2020-01-02,Solyaris,1972,https://boxd.it/2,3
2020-01-03,Nothing Like It,1950,https://boxd.it/3,1
"""
WATCHED = """Date,Name,Year,Letterboxd URI
2020-01-01,The Matrix,1999,https://boxd.it/1
2020-01-01,Alien,1979,https://boxd.it/4
"""
ID_OF = {title: id_ for id_, (title, _) in zip(IDS, MOVIES, strict=True)}
MATRIX, SOLARIS, ALIEN = (
    ID_OF[title] for title in ("Matrix, The (1999)", "Solaris (Solyaris) (1972)", "Alien (1979)")
)


def letterboxd_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ratings.csv", RATINGS)
        archive.writestr("watched.csv", WATCHED)
    return buffer.getvalue()


def send(api: ApiClient, path: str, content: bytes | str) -> Any:
    return api.client.post(path, content=content)


def imported(api: ApiClient, user: int, content: bytes | str) -> FileImported:
    return parsed(send(api, f"/ratings/import?user_id={user}", content), FileImported)


def own_ratings(api: ApiClient, user: int) -> dict[int, tuple[float, int]]:
    answer = parsed(api.client.get(f"/ratings?user_id={user}"), OwnRatings)
    return {int(rating.movie_id): (rating.stars, rating.timestamp) for rating in answer.ratings}


def test_zip_is_imported_and_counts_in_the_next_list(api: ApiClient, new_user: int) -> None:
    answer = imported(api, new_user, letterboxd_zip())
    assert (answer.source, answer.stored, answer.seen) == ("Letterboxd", 2, [ALIEN])
    assert own_ratings(api, new_user) == {MATRIX: (4.5, 1577880000), SOLARIS: (3.0, 1577966400)}
    page = api.recommend(user_id=new_user, top_k=28)
    assert page.items[0].source == "model"
    assert not {MATRIX, SOLARIS} & set(ids_of(page))


def test_second_import_changes_nothing(api: ApiClient, new_user: int) -> None:
    imported(api, new_user, RATINGS)
    before = own_ratings(api, new_user)
    again = imported(api, new_user, letterboxd_zip())
    assert (again.stored, again.unchanged, again.ignored) == (0, 2, 0)
    assert own_ratings(api, new_user) == before


def test_file_without_dates_is_imported_once(api: ApiClient, new_user: int) -> None:
    table = "title,year,rating\nThe Matrix,1999,4\n"
    assert imported(api, new_user, table).stored == 1
    before = own_ratings(api, new_user)
    assert imported(api, new_user, table).unchanged == 1
    assert own_ratings(api, new_user) == before


def test_newer_rating_of_the_person_is_kept(api: ApiClient, new_user: int) -> None:
    api.rate(new_user, (MATRIX, 1))
    answer = imported(api, new_user, RATINGS)
    assert (answer.stored, answer.ignored) == (1, 1)
    assert own_ratings(api, new_user)[MATRIX][0] == 1


def test_matching_stores_nothing_and_names_each_movie(api: ApiClient) -> None:
    answer = parsed(send(api, "/ratings/match", letterboxd_zip()), FileMatched)
    matrix, solaris, unknown, again, alien = answer.entries
    assert matrix.movie is not None
    assert (matrix.movie.movie_id, matrix.movie.title) == (MATRIX, "The Matrix")
    assert (matrix.how, matrix.is_sure, matrix.stars) == ("title", True, 4.5)
    assert solaris.is_sure
    assert (unknown.movie, unknown.is_sure, unknown.how) == (None, False, "none")
    assert again.stars is None
    assert alien.is_sure


@pytest.mark.parametrize("path", ["/ratings/match", "/ratings/import?user_id=77"])
def test_unknown_file_is_refused_with_what_would_be_right(api: ApiClient, path: str) -> None:
    assert "title, year and rating" in error_of(send(api, path, "a,b\n1,2\n"), 422)
    assert error_of(send(api, path, b""), 422)


def test_files_may_be_larger_than_other_bodies(api: ApiClient) -> None:
    many = RATINGS + "# a comment of somebody,,,,\n" * (MAX_BODY_BYTES // 20)
    answer = send(api, "/ratings/match", many[: 2 * MAX_BODY_BYTES])
    assert "more than 20,000 entries" in error_of(answer, 422)
    assert str(MAX_FILE_BYTES) in error_of(
        send(api, "/ratings/match", b"x" * (MAX_FILE_BYTES + 1)), 413
    )
