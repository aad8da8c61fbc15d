"""The bounds of ids in files, in requests and in the feedback database, and ids that are texts.

Inside, every id is a whole number. A text id, such as a UUID or a slug, has the number that
:func:`number_of` computes from it, the same in every process and every version of a data set.
"""

from __future__ import annotations

import unicodedata
from hashlib import blake2b
from typing import Literal

#: The largest id of a user or movie. It fits 64 bits, and JSON parsers that read numbers as doubles
#: read it exactly.
MAX_ID = 9_200_000_000_000_000_000
#: The largest id of IMDb and TMDB: both are far below, and 32 bits suit every reader.
MAX_SITE_ID = 2**31 - 1
#: What an id is of.
Kind = Literal["user", "movie"]
USER: Kind = "user"
MOVIE: Kind = "movie"
#: Longest text id in characters.
MAX_TEXT_ID = 200
#: The largest number of a text: it has at most 18 digits, which every reader here takes.
_MAX_NUMBER = 10**18 - 1
#: Unicode's categories of control characters, halves of surrogates, and line separators.
_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})


def number_of(text: str) -> int:
    """Return the number of a text id, 1 to 10^18 - 1: its BLAKE2b hash.

    Two texts may have the same number, so readers of many texts have to compare them.
    """
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _MAX_NUMBER + 1


def text_problem(text: str) -> str | None:
    """Return what is wrong with a text id, None if nothing is."""
    if not text:
        return "is empty"
    if len(text) > MAX_TEXT_ID:
        return f"has {len(text):,} characters; an id has at most {MAX_TEXT_ID}"
    if text != text.strip():
        return "has blanks around it"
    if text.isprintable():
        return None
    if any(unicodedata.category(character) in _FORBIDDEN for character in text):
        return "has a control character or a line break"
    return None
