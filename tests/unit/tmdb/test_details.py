from __future__ import annotations

from moovier.data.catalogue import Movie
from moovier.tmdb.details import FIELDS, from_catalogue, from_tmdb
from tests.fakes.tmdb import BRAVEHEART


def test_fields_are_those_of_tmdb() -> None:
    assert tuple(BRAVEHEART) == FIELDS


def test_tmdb_response_is_reduced_to_the_fields() -> None:
    assert from_tmdb({**BRAVEHEART, "origin_country": ["US"]}) == BRAVEHEART
    assert from_tmdb({"id": 1})["title"] is None


def test_catalogue_fills_the_fields_that_it_has() -> None:
    movie = Movie(110, "Braveheart", 1995, ("Action", "Drama", "War"), "tt0112573", 197)
    filled = from_catalogue(movie)
    assert tuple(filled) == FIELDS
    assert {name: value for name, value in filled.items() if value is not None} == {
        "genres": [
            {"id": 28, "name": "Action"},
            {"id": 18, "name": "Drama"},
            {"id": 10752, "name": "War"},
        ],
        "id": 197,
        "imdb_id": "tt0112573",
        "original_title": "Braveheart",
        "release_date": "1995",
        "title": "Braveheart",
    }


def test_missing_facts_are_none() -> None:
    filled = from_catalogue(Movie(1, "Untitled", None, ("Film-Noir", "Space Opera"), None, None))
    assert filled["id"] is filled["imdb_id"] is filled["release_date"] is None
    assert filled["genres"] == [
        {"id": None, "name": "Film-Noir"},
        {"id": None, "name": "Space Opera"},
    ]
