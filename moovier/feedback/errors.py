"""Errors of feedback; leaves of the tree in `moovier.errors`."""

from __future__ import annotations

from moovier.errors import MoovierError


class FeedbackUnavailable(MoovierError):
    """The feedback database does not answer, or cannot be used.

    The message never contains the database's password.
    """

    is_transient = True


class IdempotencyConflict(MoovierError):
    """An idempotency key was sent again with a different request."""


class IdConflict(MoovierError):
    """Two text ids have the same number inside."""


class MovieConflict(MoovierError):
    """A movie cannot be added, because the data set has its id for another movie."""
