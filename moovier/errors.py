"""The errors of Moovier, in one tree.

    MoovierError
    ├── SettingsError            a setting is unknown, missing or out of range
    ├── DataError                the data set is unavailable or must not be used
    │   ├── DataUnavailable      neither the DVC remote nor GroupLens has the data set
    │   │   └── UnknownData      the setting names neither a data set nor a folder
    │   ├── HashMismatch         the data have another hash than the DVC pointer
    │   └── InvalidData          a file breaks the MovieLens layout (file, row, reason)
    ├── BundleError              a saved model is incomplete, changed or of another format
    ├── RegistryError            the model registry refused a request or answered unexpectedly
    │   ├── RegistryUnavailable  MLflow does not answer
    │   └── UnknownModel         no model has this name, alias or version
    │       └── UnusableModel    the version cannot be used, as when it was registered by hand
    ├── FeedbackUnavailable      the database of feedback and keys is down (moovier/feedback)
    ├── IdempotencyConflict      an idempotency key came with other content (moovier/feedback)
    ├── MovieConflict            the data set has this id for another movie (moovier/feedback)
    ├── TmdbError                TMDB returned no details (never reaches a client of the API)
    ├── ListsError               the lists of all users cannot be read or written
    ├── ClusterError             the Spark cluster is unreachable, or a job on it failed
    ├── StaleResult              a stage's result has the form of another version of Moovier
    ├── BadRequest               a request is invalid (HTTP 422)
    ├── UnknownMovie             the catalogue lacks the movie (HTTP 404)
    └── StackError               a process of `moovier up` could not be started or stopped

Errors of libraries are mapped once, where they enter, with ``raise ... from``. A message says what
is wrong and what to do. ``is_transient`` says whether the same call may succeed later without a
change by a person; Airflow's tasks retry only such errors.
"""

from __future__ import annotations

from collections.abc import Sequence


class MoovierError(Exception):
    """Base class of every error that Moovier raises on purpose."""

    #: Whether the same call may succeed later, as when a server is down.
    is_transient = False


class SettingsError(MoovierError):
    """A setting is unknown, missing or out of range."""


class DataError(MoovierError):
    """The data set is unavailable or must not be used."""


class DataUnavailable(DataError):
    """Neither the DVC remote nor GroupLens has the data set."""

    is_transient = True


class UnknownData(DataUnavailable):
    """The setting names neither a known data set nor an existing folder."""

    is_transient = False


class HashMismatch(DataError):
    """The data have another hash than the DVC pointer."""


class InvalidData(DataError):
    """A file breaks the MovieLens layout.

    ``problems`` has one line per problem: file, row (1 is the header) and reason.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        """Make the error with a message for all ``problems``."""
        super().__init__(message)
        self.problems = tuple(problems)


class BundleError(MoovierError):
    """A saved model is incomplete, changed, or of a format that this version cannot read."""


class RegistryError(MoovierError):
    """The model registry refused a request or answered unexpectedly."""


class RegistryUnavailable(RegistryError):
    """MLflow does not answer."""

    is_transient = True


class UnknownModel(RegistryError):
    """No model has this name, alias or version; ``known`` lists the registered names."""

    def __init__(self, name: str, known: Sequence[str] = ()) -> None:
        """Make the error for ``name``, with the ``known`` names in its message."""
        models = f"registered models: {', '.join(known)}" if known else "none is registered yet"
        super().__init__(f"unknown model {name!r}; {models}")
        self.name = name
        self.known = tuple(known)


class UnusableModel(UnknownModel):
    """The version with this name, alias or number has no model that can be loaded."""

    def __init__(self, name: str, reason: str, known: Sequence[str] = ()) -> None:
        """Make the error for ``name``, with the ``known`` names in its message."""
        super().__init__(name, known)
        models = f"registered models: {', '.join(known)}" if known else "no other is registered"
        self.args = (f"model {name!r} cannot be used: {reason}; {models}",)


class TmdbError(MoovierError):
    """TMDB returned no details; recommendations then have those of the catalogue."""

    is_transient = True


class ListsError(MoovierError):
    """The lists of all users are incomplete, or cannot be read or written."""

    is_transient = True


class ClusterError(MoovierError):
    """The Spark cluster cannot be reached, or a job on it failed."""

    is_transient = True


class StaleResult(MoovierError):
    """The result of an earlier stage has the form of another version of Moovier."""


class BadRequest(MoovierError):
    """A request is invalid; the message says which values are valid."""


class UnknownMovie(MoovierError):
    """The catalogue has no movie with this MovieLens id."""

    def __init__(self, movie_id: int, message: str | None = None) -> None:
        """Make the error for ``movie_id``, with a message of its own if one is given."""
        super().__init__(
            message or f"no movie has the id {movie_id}; GET /movies finds ids by title"
        )


class StackError(MoovierError):
    """A process of ``moovier up`` could not be started or stopped."""
