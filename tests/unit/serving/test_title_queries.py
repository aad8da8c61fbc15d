"""Title search with queries as people type them, made from the sample's titles by fixed rules.

A query is answered correctly if the first result has the title that the query was made from.
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie, natural_title, split_title
from moovier.serving.title_search import TitleIndex

#: Titles tried per rule, and the least share of all queries whose first movie is the right one.
_PER_RULE, _LEAST_SHARE = 30, 0.95
_ROMAN_TO_DIGIT = {"II": "2", "III": "3", "IV": "4", "VI": "6", "VII": "7", "VIII": "8"}
_DIGIT_TO_ROMAN = {digit: numeral for numeral, digit in _ROMAN_TO_DIGIT.items()}

#: Returns the query for a title, or None where the rule does not apply to it.
Rule = Callable[[str, random.Random], str | None]


def _if_changed(title: str, query: str) -> str | None:
    return query if query != title and query.strip() else None


def without_apostrophes(title: str, _random: random.Random) -> str | None:
    return _if_changed(title, title.replace("'", ""))


def without_hyphens(title: str, _random: random.Random) -> str | None:
    return _if_changed(title, re.sub(r"(?<=\w)[-·](?=\w)", "", title))


def hyphens_as_spaces(title: str, _random: random.Random) -> str | None:
    return _if_changed(title, re.sub(r"(?<=\w)[-·](?=\w)", " ", title))


def without_punctuation(title: str, _random: random.Random) -> str | None:
    return _if_changed(title, re.sub(r"[:,.!?]", "", title))


def and_for_ampersand(title: str, _random: random.Random) -> str | None:
    return _if_changed(title, title.replace("&", "and"))


def ampersand_for_and(title: str, _random: random.Random) -> str | None:
    return _if_changed(title, title.replace(" and ", " & "))


def arabic_for_roman(title: str, _random: random.Random) -> str | None:
    words = [_ROMAN_TO_DIGIT.get(word, word) for word in title.split()]
    return _if_changed(title, " ".join(words))


def roman_for_arabic(title: str, _random: random.Random) -> str | None:
    words = [_DIGIT_TO_ROMAN.get(word, word) for word in title.split()]
    return _if_changed(title, " ".join(words))


def without_the_article(title: str, _random: random.Random) -> str | None:
    return _if_changed(title, re.sub(r"^(The|A|An) ", "", title))


def in_capitals(title: str, _random: random.Random) -> str | None:
    return _if_changed(title, title.upper())


def two_words_joined(title: str, seeded: random.Random) -> str | None:
    words = title.split()
    if len(words) < 2:
        return None
    place = seeded.randrange(len(words) - 1)
    return " ".join([*words[:place], words[place] + words[place + 1], *words[place + 2 :]])


def two_letters_swapped(title: str, seeded: random.Random) -> str | None:
    places = [p for p in range(1, len(title) - 1) if title[p].isalpha() and title[p + 1].isalpha()]
    if len(title) < 6 or not places:
        return None
    place = seeded.choice(places)
    swapped = title[:place] + title[place + 1] + title[place] + title[place + 2 :]
    return _if_changed(title, swapped)


def one_letter_missing(title: str, seeded: random.Random) -> str | None:
    places = [place for place in range(1, len(title)) if title[place].isalpha()]
    if len(title) < 6 or not places:
        return None
    place = seeded.choice(places)
    return title[:place] + title[place + 1 :]


def one_letter_wrong(title: str, seeded: random.Random) -> str | None:
    places = [place for place in range(1, len(title)) if title[place].isalpha()]
    if len(title) < 6 or not places:
        return None
    place = seeded.choice(places)
    letter = seeded.choice([letter for letter in "etaoinshr" if letter != title[place]])
    return title[:place] + letter + title[place + 1 :]


def two_letters_wrong(title: str, seeded: random.Random) -> str | None:
    if len(title) < 11:
        return None
    once = one_letter_missing(title, seeded)
    return None if once is None else one_letter_wrong(once, seeded)


RULES: tuple[Rule, ...] = (
    without_apostrophes,
    without_hyphens,
    hyphens_as_spaces,
    without_punctuation,
    and_for_ampersand,
    ampersand_for_and,
    arabic_for_roman,
    roman_for_arabic,
    without_the_article,
    in_capitals,
    two_words_joined,
    two_letters_swapped,
    one_letter_missing,
    one_letter_wrong,
    two_letters_wrong,
)


@cache
def catalogue() -> Catalogue:
    text = files("moovier.data").joinpath("sample_movies.csv").read_text(encoding="utf-8")
    movies = []
    for row in csv.DictReader(text.splitlines()):
        title, year = split_title(row["title"])
        movies.append(Movie(int(row["movieId"]), title, year, (), None, None))
    return Catalogue.of(movies)


@cache
def index() -> TitleIndex:
    # The earlier in the list, the more popular.
    return TitleIndex(catalogue(), np.arange(len(catalogue()), 0, -1))


def typed_title(movie: Movie) -> str:
    """Return a title as people know it: the article in front, nothing in brackets."""
    return natural_title(re.sub(r"\s*\(.*", "", movie.title))


def queries(rule: Rule) -> list[tuple[str, str]]:
    """Return pairs of a query and the title that it was made from."""
    seeded = random.Random(rule.__name__)
    titles = [typed_title(movie) for movie in catalogue()]
    seeded.shuffle(titles)
    made = [(query, title) for title in titles if (query := rule(title, seeded)) is not None]
    return made[:_PER_RULE]


def first_title(query: str) -> str | None:
    rows = index().find(query)
    return typed_title(catalogue()[int(rows[0])]) if rows.size else None


def test_first_movie_found_is_the_one_meant() -> None:
    tried = [(rule.__name__, *pair) for rule in RULES for pair in queries(rule)]
    assert len(tried) >= 200
    wrong = [(rule, query) for rule, query, title in tried if first_title(query) != title]
    assert len(wrong) <= (1 - _LEAST_SHARE) * len(tried), wrong


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_each_rule_finds_most_titles(rule: Rule) -> None:
    tried = queries(rule)
    assert tried, "the rule applies to no title"
    right = sum(first_title(query) == title for query, title in tried)
    assert right >= 0.8 * len(tried)
