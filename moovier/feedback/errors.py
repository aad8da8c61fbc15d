"""What can go wrong with feedback; leaves of the tree in `moovier.errors`."""

from __future__ import annotations

from moovier.errors import MoovierError


class FeedbackUnavailable(MoovierError):
    """The database of feedback and keys does not answer, or cannot be used. Never names a
    password."""


class IdempotencyConflict(MoovierError):
    """An idempotency key came again with other content than the first time."""
