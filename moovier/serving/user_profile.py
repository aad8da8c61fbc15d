"""A user or visitor, as one model sees them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import History, Ints


@dataclass(frozen=True)
class UserProfile:
    """A user or visitor, as one model sees them.

    ``history`` holds movie rows of the model. ``row`` is the user's row if the model was trained on
    exactly this history, else None. Equal histories have equal ``key``s. ``unlisted``: rows of the
    movies that are left out of lists; None: those of the history.
    """

    history: History
    row: int | None
    key: int | bytes
    unlisted: Ints | None = None

    @property
    def left_out(self) -> Ints:
        """Return the rows of the movies that are left out of lists."""
        return self.history.movies if self.unlisted is None else self.unlisted


def take(history: History, rows: np.ndarray) -> History:
    """Return the ratings of a history at ``rows``: places, or a mask."""
    return History(history.movies[rows], history.stars[rows], history.timestamps[rows])


def digest(history: History) -> bytes:
    """Return 16 bytes that are equal for equal histories."""
    columns = (history.movies, history.stars, history.timestamps)
    content = b"".join(values.tobytes() for values in columns)
    return hashlib.blake2b(content, digest_size=16).digest()
