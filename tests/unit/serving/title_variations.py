"""Titles of a catalogue as other services write them: a labelled test set for title matching."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterator

from moovier.data.catalogue import Catalogue, Movie, natural_title
from moovier.data.rating_files import Entry

Variation = Callable[[Movie, random.Random], tuple[str, int | None] | None]


def _plain(movie: Movie) -> str:
    """Return the title as people write it, without other titles in brackets."""
    return natural_title(re.sub(r"\s*\(.*?\)", "", movie.title).strip())


def as_it_is(movie: Movie, rng: random.Random) -> tuple[str, int | None]:
    return _plain(movie), movie.year


def article_at_the_end(movie: Movie, rng: random.Random) -> tuple[str, int | None] | None:
    first, _, rest = _plain(movie).partition(" ")
    return (f"{rest}, {first}", movie.year) if first in ("The", "A", "An") else None


def article_left_out(movie: Movie, rng: random.Random) -> tuple[str, int | None] | None:
    first, _, rest = _plain(movie).partition(" ")
    return (rest, movie.year) if first in ("The", "A", "An") else None


def subtitle_left_out(movie: Movie, rng: random.Random) -> tuple[str, int | None] | None:
    main, separator, _ = re.sub(r"\s-\s", ": ", _plain(movie)).partition(": ")
    return (main, movie.year) if separator and len(main) > 3 else None


def translated(movie: Movie, rng: random.Random) -> tuple[str, int | None] | None:
    """Return a title in another language, which MovieLens has in brackets."""
    others = [text for text in re.findall(r"\(([^()]+)\)", movie.title) if len(text) > 3]
    if not others:
        return None
    return natural_title(re.sub(r"^a\.?k\.?a\.?\s", "", rng.choice(others))), movie.year


def year_off_by_one(movie: Movie, rng: random.Random) -> tuple[str, int | None] | None:
    return (_plain(movie), movie.year + rng.choice((-1, 1))) if movie.year else None


def without_accents_and_case(movie: Movie, rng: random.Random) -> tuple[str, int | None]:
    decomposed = unicodedata.normalize("NFKD", _plain(movie))
    return decomposed.encode("ascii", "ignore").decode().lower(), movie.year


def other_punctuation(movie: Movie, rng: random.Random) -> tuple[str, int | None]:
    title = re.sub(r":\s", " - ", _plain(movie)).replace("'", "’").replace("...", "…")
    return title.replace(" and ", " & "), movie.year


def misspelt(movie: Movie, rng: random.Random) -> tuple[str, int | None] | None:
    title = _plain(movie)
    places = [
        place
        for place in range(1, len(title) - 2)
        if title[place : place + 2].isalpha() and title[place] != title[place + 1]
    ]
    if len(title) < 8 or not places:
        return None
    place = rng.choice(places)
    return title[:place] + title[place + 1] + title[place] + title[place + 2 :], movie.year


VARIATIONS: tuple[Variation, ...] = (
    as_it_is,
    article_at_the_end,
    article_left_out,
    subtitle_left_out,
    translated,
    year_off_by_one,
    without_accents_and_case,
    other_punctuation,
    misspelt,
)


def varied_titles(catalogue: Catalogue, count: int, seed: int) -> Iterator[tuple[str, Entry, int]]:
    """Yield the variation's name, the entry and the movie's row, each variation equally often."""
    rng = random.Random(seed)
    line = 0
    while line < count:
        variation = VARIATIONS[line % len(VARIATIONS)]
        row = rng.randrange(len(catalogue))
        varied = variation(catalogue[row], rng) if catalogue[row].year else None
        if varied is not None and varied[0].strip():
            line += 1
            yield variation.__name__, Entry(line, *varied, stars=4.0), row
