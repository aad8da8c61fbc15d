from __future__ import annotations

import pytest

from moovier.data.catalogue import Catalogue, Movie, natural_title, split_title


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Heat (1995)", ("Heat", 1995)),
        ("Postman, The (Postino, Il) (1994)", ("Postman, The (Postino, Il)", 1994)),
        ("2001: A Space Odyssey (1968)", ("2001: A Space Odyssey", 1968)),
        ("Doctor Who (2005-)", ("Doctor Who", 2005)),
        ("Dekalog (1989–1990)", ("Dekalog", 1989)),
        (" Heat (1995) ", ("Heat", 1995)),
        ("Babylon 5", ("Babylon 5", None)),
        ("Heat (95)", ("Heat (95)", None)),
        ("(1995) Heat", ("(1995) Heat", None)),
        ("", ("", None)),
    ],
)
def test_year_is_split_from_the_title(title: str, expected: tuple[str, int | None]) -> None:
    assert split_title(title) == expected


@pytest.mark.parametrize(
    ("title", "natural"),
    [
        ("Matrix, The", "The Matrix"),
        ("Beautiful Mind, A", "A Beautiful Mind"),
        (
            "City of Lost Children, The (Cité des enfants perdus, La)",
            "The City of Lost Children (Cité des enfants perdus, La)",
        ),
        ("Avventura, L' (Adventure, The)", "L'Avventura (Adventure, The)"),
        ("Good, the Bad and the Ugly, The", "The Good, the Bad and the Ugly"),
        ("Me, Myself & Irene", "Me, Myself & Irene"),
        ("10,000 BC", "10,000 BC"),
        ("", ""),
    ],
)
def test_article_is_moved_to_the_front(title: str, natural: str) -> None:
    assert natural_title(title) == natural


def test_catalogue_is_in_order_of_ids() -> None:
    movies = [Movie(id_, f"Movie {id_}", None, (), None, None) for id_ in (50, 1, 6)]
    catalogue = Catalogue.of(movies)
    assert [movie.id for movie in catalogue] == [1, 6, 50]
    assert len(catalogue) == 3
    assert catalogue[2] is movies[0]


def test_movies_are_equal_by_all_fields_and_hashed_by_id() -> None:
    heat = Movie(6, "Heat", 1995, ("Action",), "tt0113277", 949)
    assert heat == Movie(6, "Heat", 1995, ("Action",), "tt0113277", 949)
    remake = Movie(6, "Heat", 1986, ("Action",), "tt0113277", 949)
    assert heat != remake
    assert len({heat, remake}) == 2
