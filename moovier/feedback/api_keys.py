"""API keys: several, each with scopes, revocable, shown once and never stored.

A key is 32 random bytes, so that its SHA-256 needs neither salt nor a slow hash: nobody can try
them all.
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

#: What a key may allow: to give and delete ratings, and to fine-tune.
SCOPES = frozenset({"write", "train"})
PREFIX = "moo_"
_KEY = re.compile(r"moo_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@ -]{0,99}")


@dataclass(frozen=True)
class KeyInfo:
    """A key without anything of the key itself; ``revoked`` is None while it is good."""

    name: str
    scopes: frozenset[str]
    created: datetime
    revoked: datetime | None


class KeyStore:
    """The keys in one database. Safe to share between threads.

    Every method raises :class:`FeedbackUnavailable` where the database does not answer in time.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    @classmethod
    def open(cls, url: str) -> KeyStore:
        """The keys at a SQLAlchemy URL, the tables brought up to date.

        Raises:
            FeedbackUnavailable: the database does not answer.
            SettingsError: the URL is neither one of a SQLite file nor of Postgres.
        """
        return cls(Database.open(url))

    def make(self, name: str, scopes: Iterable[str]) -> str:
        """A new key, which nobody can be shown again.

        Raises:
            BadRequest: no or unknown scopes, an odd name, or a good key has this name already.
        """
        allowed = frozenset(scopes)
        if not allowed or not allowed <= SCOPES:
            raise BadRequest(
                f"a key needs one or more of the scopes {', '.join(sorted(SCOPES))}; given: "
                f"{', '.join(sorted(allowed)) or 'none'}"
            )
        if not _NAME.fullmatch(name):
            raise BadRequest(
                "a key's name is up to 100 letters, digits, spaces and . _ @ -, a letter or digit "
                "first"
            )
        key = PREFIX + secrets.token_urlsafe(32)
        keys = schema.keys
        with self._database.writing() as connection:
            if self._database.is_postgres:
                connection.exec_driver_sql(f"LOCK TABLE {keys.name} IN SHARE ROW EXCLUSIVE MODE")
            same = select(keys.c.name).where(keys.c.name == name, keys.c.revoked_at.is_(None))
            if connection.execute(same).first() is not None:
                raise BadRequest(
                    f"there is a key {name!r} already: choose another name, or revoke it first "
                    f"(`moovier keys revoke {name!r}`)"
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
        """What the key allows; None where it is unknown or revoked."""
        if not _KEY.fullmatch(key):
            return None
        keys, wanted = schema.keys, _hash(key)
        with self._database.reading() as connection:
            row = connection.execute(
                select(keys.c.key_hash, keys.c.scopes, keys.c.revoked_at).where(
                    keys.c.key_hash == wanted
                )
            ).first()
        # The time of the look-up by hash tells nothing: whoever sends keys cannot choose hashes.
        known = hmac.compare_digest(wanted, row.key_hash if row else _hash(""))
        if row is None or not known or row.revoked_at is not None:
            return None
        return frozenset(row.scopes.split())

    def revoke(self, name: str) -> None:
        """The key of this name is refused from now on.

        Raises:
            BadRequest: there is no good key of this name.
        """
        keys = schema.keys
        with self._database.writing() as connection:
            changed = connection.execute(
                update(keys)
                .where(keys.c.name == name, keys.c.revoked_at.is_(None))
                .values(revoked_at=int(self._clock()))
            )
            if changed.rowcount == 0:
                there_are = connection.scalars(
                    select(keys.c.name).where(keys.c.revoked_at.is_(None)).order_by(keys.c.name)
                ).all()
                raise BadRequest(
                    f"there is no key {name!r} to revoke; there are: {', '.join(there_are)}"
                    if there_are
                    else f"there is no key {name!r} to revoke, nor any other"
                )

    def list(self) -> tuple[KeyInfo, ...]:
        """All keys that were ever made, oldest first."""
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
        self._database.close()


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
