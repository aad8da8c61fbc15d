"""Sorted histories as Parquet files that the cluster and the driver share.

::

    <spark_folder>/histories/<key>/
        part-00000.parquet   one row per user: user_id, movie_ids, stars, timestamps
        ...
        manifest.json        written last: if it exists, the parts are complete

Users ascend within a part and from part to part; each user's ratings are oldest first, ties in the
order of the ratings' file. All ids are those of the data set, so that a part can be read without
the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from moovier.data.ratings import Histories, Index, Ints
from moovier.errors import BundleError
from moovier.spark.shared_folder import SharedFolder

#: Ratings of one part, about: what a worker holds at a time.
PART_RATINGS = 1_000_000
MANIFEST = "manifest.json"
_SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("movie_ids", pa.list_(pa.int64())),
        ("stars", pa.list_(pa.float32())),
        ("timestamps", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True)
class HistoryParts:
    """The parts of one data set.

    ``numbers``: of the parts, ascending. ``n_ratings``, ``n_users``: of all parts together.
    ``set_aside``: bad rows that were left out, each "file, row N: reason".
    """

    folder: SharedFolder
    numbers: tuple[int, ...]
    n_ratings: int
    n_users: int
    set_aside: tuple[str, ...] = ()


def folder_of(shared: SharedFolder, data_hash: str, bad_rows_share: float) -> SharedFolder:
    """Return the folder of a data set's parts."""
    return shared.folder("histories", f"{data_hash.removesuffix('.dir')}-{bad_rows_share:g}")


def find(folder: SharedFolder) -> HistoryParts | None:
    """Return the parts in ``folder``, or None if they are not complete."""
    try:
        head = orjson.loads(folder.read(MANIFEST))
        return HistoryParts(
            folder,
            tuple(head["parts"]),
            head["ratings"],
            head["users"],
            tuple(head["set_aside"]),
        )
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder.url}/{MANIFEST} cannot be used: {error}; delete it") from error


def complete(parts: HistoryParts) -> None:
    """Write the manifest of parts that are all written."""
    head = {
        "parts": list(parts.numbers),
        "ratings": parts.n_ratings,
        "users": parts.n_users,
        "set_aside": list(parts.set_aside),
    }
    with parts.folder.writing(MANIFEST) as file:
        file.write(orjson.dumps(head, option=orjson.OPT_INDENT_2))


def write_part(
    folder: SharedFolder, number: int, users: Ints, offsets: Ints, columns: dict[str, Any]
) -> None:
    """Write one part, replacing an older one.

    ``users``: (k,) ids. ``offsets``: (k + 1,) from 0. ``columns``: ``movie_ids``, ``stars`` and
    ``timestamps``, (n,) each.
    """
    ends = pa.array(offsets.astype(np.int32))
    lists = {
        name: pa.ListArray.from_arrays(
            ends, pa.array(values).cast(_SCHEMA.field(name).type.value_type)
        )
        for name, values in columns.items()
    }
    table = pa.table({"user_id": pa.array(users, pa.int64()), **lists}, schema=_SCHEMA)
    with folder.writing(_name(number)) as file:
        pq.write_table(table, file, compression="zstd")


def read_part(folder: SharedFolder, number: int, movies: Ints) -> tuple[Ints, Histories]:
    """Return the users of one part, (k,) ids, and their histories over the rows of ``movies``.

    ``movies``: (n_movies,) ids of the catalogue, ascending.

    Raises:
        BundleError: a movie is not in the catalogue.
    """
    with folder.reading(_name(number)) as file:
        table = pq.read_table(file).combine_chunks()
    lists = table["movie_ids"].chunk(0) if len(table) else pa.array([], _SCHEMA.field(1).type)
    offsets = np.asarray(lists.offsets.to_numpy(), dtype=np.int64)
    ids, stars, timestamps = (
        table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        for name in ("movie_ids", "stars", "timestamps")
    )
    rows = Index(np.zeros(0, dtype=np.int64), movies).movie_rows(ids)
    if rows.size and rows.min() < 0:
        raise BundleError(f"{folder.url}/{_name(number)} has movies of another catalogue")
    histories = Histories(
        offsets - offsets[:1], rows.astype(np.int32), stars, timestamps, n_movies=movies.size
    )
    return table["user_id"].to_numpy(), histories


def store(folder: SharedFolder, index: Index, histories: Histories) -> HistoryParts:
    """Write histories that this machine has as parts, unless they exist."""
    found = find(folder)
    if found is not None:
        return found
    starts = list(_starts(histories.offsets))
    for number, (first, last) in enumerate(
        zip(starts, [*starts[1:], histories.n_users], strict=True)
    ):
        rows = slice(int(histories.offsets[first]), int(histories.offsets[last]))
        offsets = np.asarray(histories.offsets[first : last + 1] - histories.offsets[first])
        columns = {
            "movie_ids": index.movies[histories.movies[rows]],
            "stars": np.asarray(histories.stars[rows]),
            "timestamps": np.asarray(histories.timestamps[rows]),
        }
        write_part(folder, number, index.users[first:last], offsets, columns)
    parts = HistoryParts(
        folder, tuple(range(len(starts))), int(histories.movies.size), histories.n_users
    )
    complete(parts)
    return parts


def _starts(offsets: Ints) -> Iterator[int]:
    """Return the first user of each part."""
    user, n_users = 0, offsets.size - 1
    while user < n_users:
        yield user
        end = int(np.searchsorted(offsets, offsets[user] + PART_RATINGS, side="left"))
        user = min(max(end, user + 1), n_users)


def read_all(parts: HistoryParts, movies: Ints) -> tuple[Index, Histories]:
    """Return the index and the histories of all parts; users in ascending order.

    Raises:
        BundleError: the parts are not those of the manifest.
    """
    users = np.empty(parts.n_users, dtype=np.int64)
    counts = np.empty(parts.n_users, dtype=np.int64)
    rated = np.empty(parts.n_ratings, dtype=np.int32)
    stars = np.empty(parts.n_ratings, dtype=np.float32)
    timestamps = np.empty(parts.n_ratings, dtype=np.int64)
    user = rating = 0
    for number in parts.numbers:
        ids, part = read_part(parts.folder, number, movies)
        rows = slice(rating, rating + part.movies.size)
        if user + ids.size > users.size or rows.stop > rated.size:
            break
        users[user : user + ids.size], counts[user : user + ids.size] = ids, part.counts()
        rated[rows], stars[rows], timestamps[rows] = part.movies, part.stars, part.timestamps
        user, rating = user + ids.size, rows.stop
    if (user, rating) != (parts.n_users, parts.n_ratings) or (np.diff(users) <= 0).any():
        raise BundleError(f"the parts in {parts.folder.url} are not those of {MANIFEST}; delete it")
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Index(users, movies), Histories(offsets, rated, stars, timestamps, n_movies=movies.size)


def _name(number: int) -> str:
    return f"part-{number:05d}.parquet"
