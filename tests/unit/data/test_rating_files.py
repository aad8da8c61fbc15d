"""Files of other services, with any columns and scales, become entries with stars."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from moovier.data.rating_files import MAX_ENTRIES, Entry, RatingFile, read_rating_file, to_stars
from moovier.errors import BadRequest

NOON_2020 = 1577880000
LETTERBOXD = """Date,Name,Year,Letterboxd URI,Rating
2020-01-01,Heat,1995,https://boxd.it/2a9,4.5
2020-01-01,"Good, the Bad and the Ugly, The",1966,https://boxd.it/1,0.5
"""
WATCHED = """Date,Name,Year,Letterboxd URI
2020-01-01,Alien,1979,https://boxd.it/3
"""
DIARY = """Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date
2020-01-03,Heat,1995,https://boxd.it/4,5,Yes,,2020-01-01
"""
IMDB = """Const,Your Rating,Date Rated,Title,URL,Title Type,IMDb Rating,Year
tt0113277,9,2020-01-01,Heat,https://imdb.example/tt0113277,Movie,8.3,1995
tt0903747,10,2020-01-01,Breaking Bad,https://imdb.example/tt0903747,TV Series,9.5,2008
tt0078748,,,Alien,https://imdb.example/tt0078748,Movie,8.5,1979
"""
TMDB = """TMDb ID,IMDb ID,Type,Name,Release Date,Season Number,Episode Number,Rating,Your Rating,\
Date Rated
949,tt0113277,movie,Heat,1995-12-15,,,7.9,8.0,2020-01-01T12:00:00Z
1396,tt0903747,tv,Breaking Bad,2008-01-20,,,8.9,9.0,2020-01-01T12:00:00Z
"""
MOVIELENS = """movie_id,imdb_id,tmdb_id,rating,average_rating,title
6,0113277,949,4.5,3.9,Heat (1995)
"""
TRAKT: list[dict[str, Any]] = [
    {
        "rated_at": "2020-01-01T12:00:00.000Z",
        "rating": 9,
        "type": "movie",
        "movie": {
            "title": "Heat",
            "year": 1995,
            "ids": {"trakt": 1, "slug": "heat", "imdb": "tt0113277", "tmdb": 949},
        },
    },
    {"rated_at": "2020-01-01T12:00:00.000Z", "rating": 9, "type": "show", "show": {"title": "X"}},
]
HEAT = Entry(2, "Heat", 1995, 4.5, NOON_2020)


def read(content: str | bytes) -> RatingFile:
    return read_rating_file(content.encode() if isinstance(content, str) else content)


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/") + ".csv", content)
    return buffer.getvalue()


def test_letterboxd_ratings_have_five_stars() -> None:
    file = read(LETTERBOXD)
    assert file.source == "Letterboxd"
    assert file.entries[0] == HEAT
    assert file.entries[1].title == "Good, the Bad and the Ugly, The"
    assert file.entries[1].stars == 0.5


def test_watched_movie_has_no_stars() -> None:
    assert read(WATCHED).entries == (Entry(2, "Alien", 1979, None, NOON_2020),)


def test_diary_counts_the_day_of_watching() -> None:
    (entry,) = read(DIARY).entries
    assert (entry.stars, entry.timestamp) == (5.0, NOON_2020)


def test_letterboxd_zip_holds_all_its_lists_but_deleted_ones_and_likes() -> None:
    content = zipped(
        ratings=LETTERBOXD,
        watched=WATCHED,
        diary=DIARY,
        watchlist=WATCHED,
        profile="Date Joined,Username\n2020-01-01,x\n",
        deleted__diary=DIARY,
        likes__films=WATCHED,
    )
    file = read(content)
    assert file.source == "Letterboxd"
    assert [entry.title for entry in file.entries] == [
        "Heat",
        "Good, the Bad and the Ugly, The",
        "Alien",
        "Heat",
    ]


def test_imdb_has_ten_points_and_skips_series_and_unrated_titles() -> None:
    file = read(IMDB)
    assert file.source == "IMDb"
    assert file.entries == (Entry(2, "Heat", 1995, 4.5, NOON_2020, "tt0113277"),)
    assert file.skipped == 2


def test_tmdb_takes_the_persons_rating_not_the_average() -> None:
    file = read(TMDB)
    assert file.source == "TMDB"
    assert file.entries == (Entry(2, "Heat", 1995, 4.0, NOON_2020, "tt0113277", 949),)


def test_movielens_export_has_movielens_ids() -> None:
    (entry,) = read(MOVIELENS).entries
    assert entry == Entry(2, "Heat", 1995, 4.5, None, "tt0113277", 949, 6)


def test_trakt_json_skips_shows() -> None:
    file = read(json.dumps(TRAKT))
    assert file.source == "Trakt"
    assert file.entries == (Entry(1, "Heat", 1995, 4.5, NOON_2020, "tt0113277", 949),)
    assert file.skipped == 1


def test_trakt_history_counts_as_seen() -> None:
    item = {"plays": 2, "last_watched_at": "2020-01-01T12:00:00Z", "movie": TRAKT[0]["movie"]}
    (entry,) = read(json.dumps([item])).entries
    assert (entry.stars, entry.timestamp) == (None, NOON_2020)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_any_table_with_title_year_and_rating_is_read(separator: str) -> None:
    table = "Film,Year,My Rating\nHeat,1995,9\nAlien (1979),,3\n".replace(",", separator)
    file = read(table)
    assert file.source == "CSV"
    assert [(entry.title, entry.year, entry.stars) for entry in file.entries] == [
        ("Heat", 1995, 4.5),
        ("Alien", 1979, 1.5),
    ]


@pytest.mark.parametrize(
    ("ratings", "stars"),
    [
        (("4", "2.5"), [4.0, 2.5]),
        (("8", "5"), [4.0, 2.5]),
        (("85", "10"), [4.5, 0.5]),
        (("8/10", "4/5"), [4.0, 4.0]),
        (("80%", "3"), [4.0, 3.0]),
        (("★★★½", "★"), [3.5, 1.0]),
        (("4,5", "1"), [4.5, 1.0]),
    ],
)
def test_scale_is_that_of_the_highest_rating(ratings: tuple[str, str], stars: list[float]) -> None:
    table = "title;rating\n" + "".join(f"Movie {text};{text}\n" for text in ratings)
    assert [entry.stars for entry in read(table).entries] == stars


def test_zero_is_no_rating() -> None:
    assert to_stars("0", 10) is None
    assert read("title,year,rating\nHeat,1995,0\nAlien,1979,5\n").skipped == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_spreadsheets_are_read(encoding: str) -> None:
    (entry,) = read("title,year,rating\nAmélie,2001,5\n".encode(encoding)).entries
    assert entry.title == "Amélie"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a known export"),
        (b"userId,movieId,rating,timestamp\n1,2,3,4\n", "not a known export"),
        (b"title,year\nHeat,1995\n", "not a known export"),
        (b"title,rating\nHeat,great\n", "line 2: the rating 'great' is not a number"),
        (b"title,rating\nHeat,500\n", "the rating 500 is above 100"),
        (b"Const,Your Rating\ntt1,11\n", "line 2: the rating 11 is not between 0 and 10"),
        (b"[1, 2", "the JSON file is damaged"),
        (b'{"a": 1}', "not a list of ratings"),
        (b"[1]", "no movies as Trakt exports them"),
        (b"PK\x03\x04 cut off", "the zip file is damaged"),
        (zipped(notes="a,b\n1,2\n"), "the zip has no ratings"),
    ],
)
def test_other_content_is_refused_with_its_reason(content: bytes, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem):
        read(content)


def test_file_with_too_many_entries_is_refused() -> None:
    with pytest.raises(BadRequest, match="more than 20,000 entries"):
        read("title,rating\n" + "Heat,5\n" * (MAX_ENTRIES + 1))
