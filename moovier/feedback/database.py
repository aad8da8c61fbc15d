"""The database of feedback and API keys: one SQLite file, or Postgres by URL.

Every operation has a time-out. Every error of the driver is raised as
:class:`FeedbackUnavailable`, and no message contains the URL's password.
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
from sqlalchemy.exc import SQLAlchemyError

from moovier.errors import SettingsError
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.schema import HEAD, VERSION_TABLE
from moovier.feedback.write_counter import WriteCounter
from moovier.urls import database_url, is_refused_login

if TYPE_CHECKING:
    from sqlalchemy import Engine

CONNECT_TIMEOUT_S = 3
#: Also the longest that a write waits for another write.
STATEMENT_TIMEOUT_S = 5
#: Reading all feedback, once a day, may take longer than a request.
READ_ALL_TIMEOUT_S = 300
#: The longest that a start waits for another process that migrates.
MIGRATION_TIMEOUT_S = 60

_SQLITE, _POSTGRES = "sqlite", "postgresql"
#: Keys of the advisory locks on Postgres: they collide neither with each other nor with those of
#: other programs ("moovier" and "moo" in ASCII).
_MIGRATION_LOCK, _USER_LOCKS = 0x6D6F6F76696572, 0x6D6F6F
_WRITES = "moovier_writes"
_ERRORS = (SQLAlchemyError, sqlite3.Error, ImportError, OSError)


def exists(url: str) -> bool:
    """Return False for a SQLite file that does not exist; Postgres is not asked.

    Raises:
        SettingsError: the URL names neither a SQLite file nor Postgres.
    """
    parsed = _parse(url)
    return parsed.get_backend_name() != _SQLITE or _file(parsed).exists()


class Database:
    """An open database whose tables are up to date.

    Safe to share between threads. A forked process must open its own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.is_postgres = engine.dialect.name == _POSTGRES
        self.write_counter = WriteCounter()

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect and bring the tables up to date; create a missing SQLite file.

        Any number of processes may call this at once.

        Raises:
            FeedbackUnavailable: the database does not answer, or a newer Moovier migrated it.
            SettingsError: the URL names neither a SQLite file nor Postgres.
        """
        parsed = _parse(url)
        on_sqlite = parsed.get_backend_name() == _SQLITE
        with _as_unavailable(parsed):
            engine = _sqlite_engine(parsed) if on_sqlite else _postgres_engine(parsed)
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
        """Open a connection whose statements all see the same state of the database."""
        self._check_file()
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
        """Open a transaction; its changes are on the disk when the block ends, all or none.

        Writers of the same user's feedback take turns; on SQLite all writers do.

        ``user_id``: the user whose feedback changes; other processes are notified. ``beside``:
        users about whom something else is written: their writers take turns too, but no process
        is notified.
        """
        self._check_file()
        with _as_unavailable(self._engine.url), self._engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            if user_id is None:
                with connection.begin():
                    self._take_turns(connection, beside)
                    yield connection
                return
            with self.write_counter.writing() as write, connection.begin():
                self._take_turns(connection, (user_id, *beside))
                write.begin(connection)
                yield connection
                write.announce(connection, user_id)

    def _take_turns(self, connection: Connection, user_ids: Collection[int]) -> None:
        if not self.is_postgres:
            return
        # Two users may share a lock, which only costs a wait. The order is always the same, so
        # that two writers about the same users never deadlock.
        for lock in sorted({user_id % 2**31 for user_id in user_ids}):
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:kind, :user)"),
                {"kind": _USER_LOCKS, "user": lock},
            )

    @contextlib.contextmanager
    def listening(self, channel: str) -> Iterator[Any]:
        """Open a connection of the Postgres driver that is notified on ``channel``."""
        driver_errors: Any = self._engine.dialect.loaded_dbapi
        with _as_unavailable(self._engine.url, (*_ERRORS, driver_errors.Error)):
            connection = self._engine.raw_connection()
            try:
                driver: Any = connection.driver_connection
                # It must not return to the pool, where it would go on being notified.
                connection.detach()
                driver.rollback()
                driver.autocommit = True
                with driver.cursor() as cursor:
                    cursor.execute(f"LISTEN {channel}")
                yield driver
            finally:
                connection.close()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _check_file(self) -> None:
        """Refuse a deleted SQLite file, which SQLite would go on writing to."""
        url = self._engine.url
        if not exists(url.render_as_string(hide_password=False)):
            raise FeedbackUnavailable(
                f"the feedback database {_masked(url)} was deleted while it was in use: restart "
                "this process"
            )

    def _version(self, connection: Connection | None = None) -> str | None:
        """Return the last migration of the tables, None where no table exists."""
        if connection is None:
            with self._engine.connect() as new_connection:
                return self._version(new_connection)
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        return None if version is None else str(version)

    def _migrate(self) -> None:
        """Bring the tables up to date; other processes that want to do so wait."""
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
            self._enable_write_ahead()
            with self._engine.connect() as connection:
                connection = connection.execution_options(**{_WRITES: True})
                with connection.begin():
                    self._upgrade(connection)

    def _enable_write_ahead(self) -> None:
        """Let readers and the writer of a SQLite file work at once; the file keeps this mode."""
        retrying = tenacity.Retrying(
            # Unlike other statements, the change of mode does not wait for readers.
            retry=tenacity.retry_if_exception_type(sqlite3.OperationalError),
            wait=tenacity.wait_fixed(0.05),
            stop=tenacity.stop_after_delay(STATEMENT_TIMEOUT_S),
            reraise=True,
        )
        with self._engine.connect() as connection:
            # SQLAlchemy would begin a transaction, in which the mode cannot be changed.
            driver: Any = connection.connection.driver_connection
            retrying(driver.execute, "PRAGMA journal_mode = WAL")

    def _upgrade(self, connection: Connection) -> None:
        if self._version(connection) == HEAD:
            return
        # Imported late: most starts need no migration, and Alembic takes long to import.
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
                f"the feedback database {_masked(self._engine.url)} cannot be migrated to version "
                f"{HEAD} ({error}): a newer Moovier has probably used it; run that version"
            ) from error


def _parse(url: str) -> URL:
    try:
        return make_url(database_url(url))
    except ValueError as error:
        # SQLAlchemy's message, the cause of this one, may contain the password.
        raise SettingsError(f"MOOVIER_DATABASE_URL {error}") from None


def _file(url: URL) -> Path:
    return Path(str(url.database)).absolute()


def _masked(url: URL) -> str:
    """Return the URL without its password and its query, which may repeat the password."""
    return url.set(query={}).render_as_string(hide_password=True)


def _sqlite_engine(url: URL) -> Engine:
    try:
        _file(url).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FeedbackUnavailable(f"the feedback database cannot be created: {error}") from error
    engine = create_engine(
        url,
        connect_args={"timeout": STATEMENT_TIMEOUT_S},
        pool_timeout=STATEMENT_TIMEOUT_S,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # Stops the driver from beginning transactions; the listener below begins them.
        connection.isolation_level = None
        # NORMAL may lose the last commits in a power cut.
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later fails without waiting where another
        # process wrote in between: https://sqlite.org/isolation.html
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    milliseconds = STATEMENT_TIMEOUT_S * 1000
    defaults: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "moovier",
        "options": f"-c statement_timeout={milliseconds} "
        f"-c idle_in_transaction_session_timeout={6 * milliseconds}",
        # The server's own time-outs do not help where the server has vanished.
        "tcp_user_timeout": milliseconds,
        "keepalives_idle": 3,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        # A pooler in front of Postgres may give each transaction another connection, which lacks
        # the statements that psycopg prepared: https://www.psycopg.org/psycopg3/docs/advanced/prepare.html
        "prepare_threshold": None,
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
    """Raise the driver's errors as :class:`FeedbackUnavailable`, without the password."""
    try:
        yield
    except errors as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        for secret in {url.password, *map(str, url.query.values())}:
            if secret:
                reason = reason.replace(str(secret), "***")
        unavailable = FeedbackUnavailable(
            f"the feedback database {_masked(url)} cannot be used: {reason}"
        )
        # A wrong password or an unknown database stays wrong.
        unavailable.is_transient = not is_refused_login(error)
        raise unavailable from error
