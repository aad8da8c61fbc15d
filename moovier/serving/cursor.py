"""Cursors of paged lists: the movies that were already shown, compressed to text.

An offset would not work. The list changes when the user rates a movie or another model takes over,
and a page would then repeat movies. The set of movies already shown does not change.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from itertools import pairwise

import numpy as np

from moovier.data.ratings import Ints
from moovier.errors import BadRequest

#: Largest number of movies in a cursor.
MAX_MOVIES = 200_000
#: Number of movies up to which a cursor is not compressed.
_FEW = 20
_INVALID = "invalid cursor; send `next` of the previous page unchanged"


def encode(movie_ids: Ints) -> str:
    """Return MovieLens ids, in any order, as URL-safe text.

    About 2 bytes a movie, or 11 for up to ``_FEW`` movies.
    """
    if movie_ids.size <= _FEW:
        # The first pages: compressing a few movies takes longer than finding them.
        ids = sorted({0, *movie_ids.tolist()})
        steps = [after - before for before, after in pairwise(ids)]
        packed = _stored(struct.pack(f"<{len(steps)}Q", *steps))
    else:
        gaps = np.diff(np.unique(movie_ids), prepend=0)
        packed = zlib.compress(gaps.astype("<u8").tobytes(), 1)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def _stored(content: bytes) -> bytes:
    """Return up to 65,535 bytes in zlib's format as one block that is not compressed.

    https://www.rfc-editor.org/rfc/rfc1950 and https://www.rfc-editor.org/rfc/rfc1951, 3.2.4.
    """
    size = len(content)
    head = b"\x78\x01\x01" + struct.pack("<HH", size, size ^ 0xFFFF)
    return head + content + struct.pack(">I", zlib.adler32(content))


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
