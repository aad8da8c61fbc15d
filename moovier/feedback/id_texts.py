"""The texts of ids in feedback, where the ids of a data set are texts.

All other tables have the numbers of :func:`moovier.ids.number_of`. This one turns them back into
texts for the next ingest, and for lists of users and movies that no model knows yet.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from moovier.feedback import schema
from moovier.feedback.database import Database
from moovier.feedback.errors import IdConflict
from moovier.feedback.upsert import in_parts, insert_into
from moovier.ids import MOVIE, USER, Kind


class IdTextStore:
    """The texts of one database. Safe to share between threads.

    Every method raises :class:`FeedbackUnavailable` when the database does not answer in time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, kind: Kind, texts: Mapping[int, str]) -> None:
        """Store texts by number; those that are stored stay as they are.

        Raises:
            IdConflict: another text with one of these numbers is stored.
        """
        table = schema.id_texts
        rows = [{"kind": kind, "id": number, "text": text} for number, text in texts.items()]
        with self._database.writing() as connection:
            for part in in_parts(rows):
                new = insert_into(connection, table).values(part)
                connection.execute(new.on_conflict_do_nothing())
                numbers = [row["id"] for row in part]
                stored = connection.execute(
                    select(table.c.id, table.c.text).where(
                        table.c.kind == kind, table.c.id.in_(numbers)
                    )
                )
                for number, text in stored:
                    if text != texts[number]:
                        raise IdConflict(
                            f"the {kind} id {texts[number]!r} has the same number inside as "
                            "another one, a very rare coincidence: choose another id"
                        )

    def all(self) -> dict[Kind, dict[int, str]]:
        """Return all texts by kind and number."""
        texts: dict[Kind, dict[int, str]] = {USER: {}, MOVIE: {}}
        with self._database.reading() as connection:
            for row in connection.execute(select(schema.id_texts)):
                if row.kind in texts:
                    texts[row.kind][row.id] = row.text
        return texts

    def movies(self) -> dict[int, str]:
        """Return the texts of movies by number."""
        table = schema.id_texts
        with self._database.reading() as connection:
            rows = connection.execute(select(table.c.id, table.c.text).where(table.c.kind == MOVIE))
            return {row.id: row.text for row in rows}
