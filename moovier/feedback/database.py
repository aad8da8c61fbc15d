"""The database behind feedback and keys: one SQLite file, or Postgres by URL.

Every operation has a time-out, every error of the driver comes out as
:class:`FeedbackUnavailable`, and no message holds the URL's password.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tenacity
from filelock import FileLock
from sqlalchemy import URL, Connection, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from moovier.errors import SettingsError
from moovier.feedback.change_notification import WriteCounter
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.schema import HEAD, VERSION_TABLE

if TYPE_CHECKING:
    from sqlalchemy import Engine

CONNECT_TIMEOUT_S = 3
#: Also how long a write waits for another's to end.
STATEMENT_TIMEOUT_S = 5
#: Reading all there is, once a day, may take longer than a request may.
READ_ALL_TIMEOUT_S = 300
#: How long a start waits for another process that migrates.
MIGRATION_TIMEOUT_S = 60

_SQLITE, _POSTGRES = "sqlite", "postgresql"
#: Keys of Postgres' advisory locks: no other program's, and told apart from each other.
_MIGRATION_LOCK, _USER_LOCKS = 0x6D6F6F76696572, 0x6D6F6F
_WRITES = "moovier_writes"
_ERRORS = (SQLAlchemyError, sqlite3.Error, ImportError, OSError)


def exists(url: str) -> bool:
    """Whether there can be anything in the database: False for a SQLite file that is not there.

    Raises:
        SettingsError: as :meth:`Database.open`.
    """
    parsed = _parsed(url)
    return parsed.get_backend_name() != _SQLITE or _file(parsed).exists()


class Database:
    """An open database whose tables are up to date. Safe to share between threads; a process that
    forks opens its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.is_postgres = engine.dialect.name == _POSTGRES
        self.journal = WriteCounter()

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect and bring the tables up to date; a SQLite file is made where there is none.

        Any number of processes may do so at once.

        Raises:
            FeedbackUnavailable: it does not answer, or was migrated by a newer Moovier.
            SettingsError: the URL is not one of a SQLite file or of Postgres.
        """
        parsed = _parsed(url)
        on_sqlite = parsed.get_backend_name() == _SQLITE
        with _as_unavailable(parsed):
            engine = _sqlite(parsed) if on_sqlite else _postgres(parsed)
            database = cls(engine)
            try:
                if database._version() != HEAD:
                    database._migrate()
            except BaseException:
                engine.dispose()
                raise
        return database

    @contextlib.contextmanager
    def reading(self, *, timeout_s: int = STATEMENT_TIMEOUT_S) -> Iterator[Connection]:
        """A connection whose statements all see one and the same state."""
        self._check_there()
        with _as_unavailable(self._engine.url), self._engine.connect() as connection:
            if self.is_postgres:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                if self.is_postgres and timeout_s != STATEMENT_TIMEOUT_S:
                    connection.execute(text(f"SET LOCAL statement_timeout = '{timeout_s}s'"))
                yield connection

    @contextlib.contextmanager
    def writing(
        self, user_id: int | None = None, *, beside: Collection[int] = ()
    ) -> Iterator[Connection]:
        """A connection whose changes are on the disk when this ends, all or none.

        One writer of a person's feedback follows the other; SQLite has one writer altogether.
        Other processes hear of changes to a person's feedback (``user_id``); not of what is written
        ``beside`` that of other people, whose turn is waited for as well.
        """
        self._check_there()
        with _as_unavailable(self._engine.url), self._engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            if user_id is None:
                with connection.begin():
                    self._take_turns(connection, beside)
                    yield connection
                return
            with self.journal.writing() as own, connection.begin():
                self._take_turns(connection, (user_id, *beside))
                own.begin(connection)
                yield connection
                own.announce(connection, user_id)

    def _take_turns(self, connection: Connection, user_ids: Collection[int]) -> None:
        if not self.is_postgres:
            return
        # Two people may share a lock: then one waits for the other, that is all. Always in the same
        # order: of two writers about the same people none waits for ever.
        for lock in sorted({user_id % 2**31 for user_id in user_ids}):
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:kind, :user)"),
                {"kind": _USER_LOCKS, "user": lock},
            )

    @contextlib.contextmanager
    def listening(self, channel: str) -> Iterator[Any]:
        """A connection of Postgres' driver, apart from all others, that is notified on ``channel``
        from now on."""
        driver_errors: Any = self._engine.dialect.loaded_dbapi
        with _as_unavailable(self._engine.url, (*_ERRORS, driver_errors.Error)):
            own = self._engine.raw_connection()
            try:
                driver: Any = own.driver_connection
                # The pool makes another in its place: this one is never given back.
                own.detach()
                driver.rollback()
                driver.autocommit = True
                with driver.cursor() as cursor:
                    cursor.execute(f"LISTEN {channel}")
                yield driver
            finally:
                own.close()

    def close(self) -> None:
        self._engine.dispose()

    def _check_there(self) -> None:
        """SQLite goes on writing to a file that somebody has deleted, and nobody would find it."""
        url = self._engine.url
        if not exists(url.render_as_string(hide_password=False)):
            raise FeedbackUnavailable(
                f"the database of feedback {_shown(url)} was deleted while it was in use: "
                "start again"
            )

    def _version(self, connection: Connection | None = None) -> str | None:
        """The migration that the tables are at, None where there are none."""
        if connection is None:
            with self._engine.connect() as own:
                return self._version(own)
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        return None if found is None else str(found)

    def _migrate(self) -> None:
        """Bring the tables up to date while every other process that wants to waits."""
        if self.is_postgres:
            with self._engine.begin() as connection:
                connection.execute(text(f"SET LOCAL statement_timeout = '{MIGRATION_TIMEOUT_S}s'"))
                connection.execute(text(f"SET LOCAL lock_timeout = '{MIGRATION_TIMEOUT_S}s'"))
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK}
                )
                self._upgrade(connection)
            return
        file = _file(self._engine.url)
        with FileLock(file.with_name(file.name + ".lock"), timeout=MIGRATION_TIMEOUT_S):
            self._write_ahead()
            with self._engine.connect() as connection:
                connection = connection.execution_options(**{_WRITES: True})
                with connection.begin():
                    self._upgrade(connection)

    def _write_ahead(self) -> None:
        """Let readers and the writer of a SQLite file not wait for each other; kept in the file."""
        patiently = tenacity.Retrying(
            # The change of mode does not wait for readers as everything else does.
            retry=tenacity.retry_if_exception_type(sqlite3.OperationalError),
            wait=tenacity.wait_fixed(0.05),
            stop=tenacity.stop_after_delay(STATEMENT_TIMEOUT_S),
            reraise=True,
        )
        with self._engine.connect() as connection:
            # It must not be within a transaction, hence past SQLAlchemy.
            driver: Any = connection.connection.driver_connection
            patiently(driver.execute, "PRAGMA journal_mode = WAL")

    def _upgrade(self, connection: Connection) -> None:
        if self._version(connection) == HEAD:
            return
        # Only here: most starts find the tables as they should be.
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        folder = Path(__file__).parent / "migrations"
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, HEAD)
        except CommandError as error:
            raise FeedbackUnavailable(
                f"the database of feedback {_shown(self._engine.url)} cannot be brought to version "
                f"{HEAD} ({error}): it was probably used by a newer Moovier"
            ) from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # What SQLAlchemy says may hold the password.
        raise SettingsError(_not_a_database("is not a URL")) from None
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg2"):
        return parsed.set(drivername="postgresql+psycopg2")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise SettingsError(_not_a_database(f"names {parsed.drivername}"))
    if parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:"):
        raise SettingsError(_not_a_database("names no file"))
    return parsed


def _not_a_database(problem: str) -> str:
    return (
        f"MOOVIER_DATABASE_URL {problem}: give sqlite:////folder/file.db or "
        "postgresql://user:password@host/database"
    )


def _file(url: URL) -> Path:
    return Path(str(url.database)).absolute()


def _shown(url: URL) -> str:
    """The URL without its password, wherever in it that stands."""
    return url.set(query={}).render_as_string(hide_password=True)


def _sqlite(url: URL) -> Engine:
    try:
        _file(url).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FeedbackUnavailable(f"the database of feedback cannot be made: {error}") from error
    engine = create_engine(
        url,
        connect_args={"timeout": STATEMENT_TIMEOUT_S},
        pool_timeout=STATEMENT_TIMEOUT_S,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # The driver begins transactions when it sees fit; the listener below does it instead.
        connection.isolation_level = None
        # With NORMAL, what was committed last may be gone after a power cut.
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later would fail at once, without waiting,
        # where another wrote in between: https://sqlite.org/isolation.html
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres(url: URL) -> Engine:
    milliseconds = STATEMENT_TIMEOUT_S * 1000
    defaults: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "moovier",
        "options": f"-c statement_timeout={milliseconds} "
        f"-c idle_in_transaction_session_timeout={6 * milliseconds}",
        # The server's time-out does not end a wait for a server that has vanished.
        "tcp_user_timeout": milliseconds,
        "keepalives_idle": 3,
        "keepalives_interval": 2,
        "keepalives_count": 2,
    }
    return create_engine(
        url,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        pool_size=4,
        max_overflow=4,
        pool_timeout=STATEMENT_TIMEOUT_S,
        pool_pre_ping=True,
        hide_parameters=True,
    )


@contextlib.contextmanager
def _as_unavailable(url: URL, errors: tuple[type[Exception], ...] = _ERRORS) -> Iterator[None]:
    try:
        yield
    except errors as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        for secret in {url.password, *map(str, url.query.values())}:
            if secret:
                reason = reason.replace(str(secret), "***")
        raise FeedbackUnavailable(
            f"the database of feedback {_shown(url)} cannot be used: {reason}"
        ) from error
