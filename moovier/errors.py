"""The one error tree.

    MoovierError
    ├── SettingsError          a setting is unknown, missing or out of range
    ├── DataError              the data set cannot be had or must not be used
    │   ├── DataUnavailable    neither the DVC remote nor GroupLens has it
    │   ├── HashMismatch       the bytes are not the ones the pointer names
    │   └── InvalidData        a file breaks the MovieLens layout (file, row, reason)
    ├── BundleError            a saved model is incomplete, altered or of another format
    ├── RegistryError          the model registry refused or could not be understood
    │   ├── RegistryUnavailable  MLflow does not answer
    │   └── UnknownModel       no such name, alias or version
    ├── FeedbackUnavailable    the database of feedback and keys does not answer (moovier/feedback)
    ├── IdempotencyConflict    the same key came with other content (moovier/feedback)
    ├── TmdbError              TMDB could not give details (never reaches a caller of the API)
    ├── ListsError             the lists of all users cannot be read or written
    ├── BadRequest             what a person asked for makes no sense (HTTP 422)
    ├── UnknownMovie           the catalogue has no such movie (HTTP 404)
    └── StackError             a part of `moovier up` could not be started or stopped

Foreign errors are mapped once, where they enter, with ``raise ... from``. A message says what
was wrong and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence


class MoovierError(Exception):
    """Base of every error that Moovier raises on purpose."""


class SettingsError(MoovierError):
    """A setting is unknown, missing or out of range."""


class DataError(MoovierError):
    """The data set cannot be had, or must not be used."""


class DataUnavailable(DataError):
    """Neither the DVC remote nor GroupLens could supply the data set."""


class HashMismatch(DataError):
    """The bytes that arrived are not the ones that the pointer names."""


class InvalidData(DataError):
    """A file breaks the MovieLens layout.

    ``problems`` lists what was found, one line each: file, row (1 is the header) and reason.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class BundleError(MoovierError):
    """A saved model is incomplete, altered, or of a format this version does not read."""


class RegistryError(MoovierError):
    """The model registry refused a request or answered something unexpected."""


class RegistryUnavailable(RegistryError):
    """MLflow does not answer."""


class UnknownModel(RegistryError):
    """No such model name, alias or version; ``known`` lists the names there are."""

    def __init__(self, name: str, known: Sequence[str] = ()) -> None:
        there_are = f"; there are: {', '.join(known)}" if known else "; none is registered yet"
        super().__init__(f"unknown model {name!r}{there_are}")
        self.name = name
        self.known = tuple(known)


class TmdbError(MoovierError):
    """TMDB could not give details. Recommendations fall back to the catalogue."""


class ListsError(MoovierError):
    """The lists of all users cannot be read or written, or are not whole."""


class BadRequest(MoovierError):
    """What was asked for makes no sense; the message says what would."""


class UnknownMovie(MoovierError):
    """The catalogue has no movie of this MovieLens id."""

    def __init__(self, movie_id: int) -> None:
        super().__init__(f"no movie has the id {movie_id}; GET /movies finds ids by title")


class StackError(MoovierError):
    """A part of ``moovier up`` could not be started or stopped."""
