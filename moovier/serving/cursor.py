"""Cursors of paged lists: the movies that were already shown, compressed to text.

An offset would not work. The list changes when the user rates a movie or another model takes over,
and a page would then repeat movies. The set of movies already shown does not change.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np

from moovier.data.ratings import Ints
from moovier.errors import BadRequest

#: Largest number of movies in a cursor.
MAX_MOVIES = 200_000
_INVALID = "invalid cursor; send `next` of the previous page unchanged"


def encode(movie_ids: Ints) -> str:
    """Return MovieLens ids, in any order, as URL-safe text of about 2 bytes a movie."""
    steps = np.diff(np.unique(movie_ids), prepend=0)
    packed = zlib.compress(steps.astype("<u8").tobytes(), 1)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode(cursor: str) -> Ints:
    """Return the MovieLens ids of a cursor in ascending order.

    Raises:
        BadRequest: the text was not made by :func:`encode`.
    """
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        # The limit protects against a few bytes that decompress to gigabytes.
        stream = zlib.decompressobj()
        content = stream.decompress(packed, MAX_MOVIES * 8)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise BadRequest(_INVALID) from error
    if not stream.eof or stream.unused_data or len(content) % 8:
        raise BadRequest(_INVALID)
    steps = np.frombuffer(content, dtype="<u8")
    ids = np.cumsum(steps.astype(np.int64))
    if steps.size and (steps.max() >= 2**62 or (steps == 0).any() or (ids <= 0).any()):
        raise BadRequest(_INVALID)
    return ids
