"""Where a list goes on: the movies that were shown, folded into a word.

A place in the list would not do: the list changes when the person rates or another model takes
over, and a page would then repeat movies. What was shown does not change.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np

from moovier.data.ratings import Ints
from moovier.errors import BadRequest

#: Movies that a cursor holds at most.
MOST_SHOWN = 200_000
_WRONG = "the cursor is none of ours; pass on `next` of the page before as it is"


def encode(movie_ids: Ints) -> str:
    """MovieLens ids, in any order, as URL-safe text: some 2 bytes a movie."""
    steps = np.diff(np.unique(movie_ids), prepend=0)
    packed = zlib.compress(steps.astype("<u8").tobytes(), 1)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(cursor: str) -> Ints:
    """The ids, ascending.

    Raises:
        BadRequest: it does not come from :func:`encode`.
    """
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        # What a few bytes may unfold to is bounded.
        stream = zlib.decompressobj()
        content = stream.decompress(packed, MOST_SHOWN * 8)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise BadRequest(_WRONG) from error
    if not stream.eof or stream.unused_data or len(content) % 8:
        raise BadRequest(_WRONG)
    steps = np.frombuffer(content, dtype="<u8")
    ids = np.cumsum(steps.astype(np.int64))
    if steps.size and (steps.max() >= 2**62 or (steps == 0).any() or (ids <= 0).any()):
        raise BadRequest(_WRONG)
    return ids
