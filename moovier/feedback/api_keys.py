"""API keys with scopes: revocable, shown once and stored only as a hash.

A key holds 32 random bytes. Nobody can try all of them, so SHA-256 without a salt is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select, update

from moovier.errors import BadRequest
from moovier.feedback import schema
from moovier.feedback.database import Database

#: ``write`` allows to store and delete ratings, ``train`` to fine-tune, ``movies`` to add, change
#: and delete new movies.
SCOPES = frozenset({"write", "train", "movies"})
PREFIX = "moo_"
_KEY = re.compile(r"moo_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@ -]{0,99}")


@dataclass(frozen=True)
class KeyInfo:
    """The facts about a key, without the key. ``revoked`` is None while the key is valid."""

    name: str
    scopes: frozenset[str]
    created: datetime
    revoked: datetime | None


class KeyStore:
    """The API keys in one database. Safe to share between threads.

    Every method raises :class:`FeedbackUnavailable` when the database does not answer in time.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    def open(cls, url: str) -> KeyStore:
        """Open the database at a SQLAlchemy URL and bring its tables up to date.

        Raises:
            FeedbackUnavailable: the database does not answer.
            SettingsError: the URL names neither a SQLite file nor Postgres.
        """
        return cls(Database.open(url))

    def make(self, name: str, scopes: Iterable[str]) -> str:
        """Create a key and return it; it cannot be read again later.

        Raises:
            BadRequest: no scope is given, a scope is unknown, or the name is invalid or taken.
        """
        allowed = frozenset(scopes)
        if not allowed or not allowed <= SCOPES:
            raise BadRequest(
                f"an API key needs one or more of the scopes {', '.join(sorted(SCOPES))}, not "
                f"{', '.join(sorted(allowed)) or 'none'}"
            )
        if not _NAME.fullmatch(name):
            raise BadRequest(
                f"invalid name {name[:100]!r} of an API key: give up to 100 letters, digits, "
                "spaces and . _ @ -, beginning with a letter or digit"
            )
        key = PREFIX + secrets.token_urlsafe(32)
        keys = schema.keys
        with self._database.writing() as connection:
            if self._database.is_postgres:
                connection.exec_driver_sql(f"LOCK TABLE {keys.name} IN SHARE ROW EXCLUSIVE MODE")
            same_name = select(keys.c.name).where(keys.c.name == name, keys.c.revoked_at.is_(None))
            if connection.execute(same_name).first() is not None:
                raise BadRequest(
                    f"an API key named {name!r} already exists: choose another name, or revoke it "
                    f"first (`moovier keys revoke {name!r}`)"
                )
            connection.execute(
                keys.insert().values(
                    key_hash=_hash(key),
                    name=name,
                    scopes=" ".join(sorted(allowed)),
                    created_at=int(self._clock()),
                )
            )
        return key

    def scopes_of(self, key: str) -> frozenset[str] | None:
        """Return the scopes of a key, None where it is unknown or revoked."""
        if not _KEY.fullmatch(key):
            return None
        keys, key_hash = schema.keys, _hash(key)
        with self._database.reading() as connection:
            row = connection.execute(
                select(keys.c.key_hash, keys.c.scopes, keys.c.revoked_at).where(
                    keys.c.key_hash == key_hash
                )
            ).first()
        # The duration of the look-up reveals nothing, since a caller cannot choose the hash.
        known = hmac.compare_digest(key_hash, row.key_hash if row else _hash(""))
        if row is None or not known or row.revoked_at is not None:
            return None
        return frozenset(row.scopes.split())

    def revoke(self, name: str) -> None:
        """Refuse the key of this name from now on.

        Raises:
            BadRequest: no valid key has this name.
        """
        keys = schema.keys
        with self._database.writing() as connection:
            update_result = connection.execute(
                update(keys)
                .where(keys.c.name == name, keys.c.revoked_at.is_(None))
                .values(revoked_at=int(self._clock()))
            )
            if update_result.rowcount == 0:
                names = connection.scalars(
                    select(keys.c.name).where(keys.c.revoked_at.is_(None)).order_by(keys.c.name)
                ).all()
                valid = f"valid keys: {', '.join(names)}" if names else "there are none"
                raise BadRequest(f"no API key named {name!r} ({valid})")

    def list(self) -> tuple[KeyInfo, ...]:
        """Return all keys, also revoked ones, oldest first."""
        keys = schema.keys
        with self._database.reading() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.created_at, keys.c.name)).all()
        return tuple(
            KeyInfo(
                name=row.name,
                scopes=frozenset(row.scopes.split()),
                created=datetime.fromtimestamp(row.created_at, UTC),
                revoked=None
                if row.revoked_at is None
                else datetime.fromtimestamp(row.revoked_at, UTC),
            )
            for row in rows
        )

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
