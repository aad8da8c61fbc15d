"""New movies are appended to movies.csv and links.csv as these files are written."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from moovier.feedback.new_movies import NewMovie
from moovier.jobs.movie_merge import append_movies

NEW = NewMovie(45, "New", 2020, ("Drama", "War"), tmdb_id=77)
PLAIN = NewMovie(46, "Plain")


def appended(
    folder: Path, movies: bytes, *added: NewMovie, links: bytes | None = None
) -> tuple[bytes, bytes | None]:
    """Return the bytes that both files have after a merge."""
    source, target = folder / "source", folder / "target"
    for each in (source, target):
        each.mkdir()
    (source / "movies.csv").write_bytes(movies)
    if links is not None:
        (source / "links.csv").write_bytes(links)
    append_movies(source, target, added)
    assert (source / "movies.csv").read_bytes() == movies, "the source stays as it is"
    file = target / "links.csv"
    return (target / "movies.csv").read_bytes(), file.read_bytes() if file.exists() else None


def test_movies_and_links_get_rows_at_the_end(tmp_path: Path) -> None:
    movies, links = appended(
        tmp_path,
        b"movieId,title,genres\n1,One (1995),Drama\n",
        NEW,
        PLAIN,
        links=b"movieId,imdbId,tmdbId\n1,5,6\n",
    )
    assert movies == (
        b"movieId,title,genres\n1,One (1995),Drama\n45,New (2020),Drama|War\n"
        b"46,Plain,(no genres listed)\n"
    )
    # Plain has no TMDB id, and no new movie has an IMDb id.
    assert links == b"movieId,imdbId,tmdbId\n1,5,6\n45,,77\n"


def test_order_of_the_columns_and_line_ends_are_those_of_the_file(tmp_path: Path) -> None:
    movies, _ = appended(tmp_path, b"\xef\xbb\xbftitle,more,movieId\r\nOne,x,1\r\n", NEW)
    assert movies.endswith(b"One,x,1\r\nNew (2020),,45\r\n")


def test_titles_are_quoted_where_csv_needs_it(tmp_path: Path) -> None:
    title = 'The "Quoted", Movie'
    movies, _ = appended(tmp_path, b"movieId,title,genres\n", NewMovie(5, title, 1999))
    [row] = csv.DictReader(movies.decode().splitlines())
    assert row["title"] == f"{title} (1999)"


def test_links_are_not_written_without_a_tmdb_id(tmp_path: Path) -> None:
    _, links = appended(tmp_path, b"movieId,title,genres\n", PLAIN, links=b"movieId,tmdbId\n1,2\n")
    assert links is None, "the merge links the file instead"


def test_without_links_none_are_made(tmp_path: Path) -> None:
    assert appended(tmp_path, b"movieId,title,genres\n", NEW)[1] is None


@pytest.mark.parametrize(
    "links", [b"", b"movieId,imdbId,tmdbId", b"movieId,tmdbId\n1,2", b'movieId,"tmdbId\n1,2\n']
)
def test_links_that_validation_must_refuse_stay_as_they_are(tmp_path: Path, links: bytes) -> None:
    movies, copied = appended(tmp_path, b"movieId,title,genres\n", NEW, links=links)
    assert movies.endswith(b"45,New (2020),Drama|War\n")
    assert copied == links
