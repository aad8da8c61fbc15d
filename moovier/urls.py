"""Check the addresses of servers and databases, before anything connects to them.

No message contains the URL, since it may contain a password.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_POSTGRES = re.compile(r"(postgres|postgresql)(\+psycopg2?)?(?=://)")
#: SQLAlchemy's name of psycopg 3.
_DRIVER = "postgresql+psycopg"
_EXAMPLES = "give sqlite:////folder/file.db or postgresql://user:password@host/database"
#: Parts of Postgres's messages about a login that it refuses: no retry gets another answer.
_REFUSALS = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf")


def server_url(url: str) -> str:
    """Return the address of an HTTP server.

    Raises:
        ValueError: it is not an http:// or https:// address with a host.
    """
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(f"is not an address ({error}); give http://host:port") from None
    if parts.scheme not in ("http", "https") or not has_host:
        start = f", not {parts.scheme}://" if parts.scheme and "://" in url else ""
        raise ValueError(f"must be a server's address such as http://host:port{start}")
    return url


def spark_url(url: str) -> str:
    """Return the URL of a Spark master or of a Spark Connect server.

    Raises:
        ValueError: it is neither.
    """
    if not re.match(r"(spark|sc)://[^/\s]+|k8s://(https?://)?[^/\s]+", url):
        raise ValueError(
            "is not a Spark master: give spark://host:7077, k8s://https://host:443, or "
            "sc://host:15002 for Spark Connect"
        )
    return url


def database_url(url: str) -> str:
    """Return the URL of a SQLite file or of Postgres, in the spelling that SQLAlchemy takes.

    ``postgres://`` is how Heroku and others spell ``postgresql://``. The driver is named, because
    SQLAlchemy's own choice differs between its versions; psycopg2 of older settings becomes
    psycopg 3.

    Raises:
        ValueError: it is no such URL.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    url = _POSTGRES.sub(_DRIVER, url, count=1)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(f"is not a URL: {_EXAMPLES}") from None
    if parsed.drivername == _DRIVER:
        return url
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ValueError(f"names {parsed.drivername}: {_EXAMPLES}")
    if parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:"):
        raise ValueError(f"names no file: {_EXAMPLES}")
    return url


def study_storage(place: str) -> str:
    """Return Optuna's storage: the path of a journal file, or a database's URL.

    Raises:
        ValueError: it starts like a URL, and no database can be opened with it.
    """
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", place):
        return place
    if "://" not in place:
        raise ValueError(f"is not a URL: {_EXAMPLES}, or the path of a journal file")
    if not place.startswith(("mysql", "mariadb")):
        return database_url(place)
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        make_url(place).get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ValueError(f"is not a URL: {_EXAMPLES}") from None
    except ImportError as error:
        raise ValueError(f"needs a driver that is not installed ({error}): {_EXAMPLES}") from None
    return place


def is_refused_login(error: BaseException) -> bool:
    """Return whether a database refused user, password or database name."""
    return any(part in str(error) for part in _REFUSALS)
