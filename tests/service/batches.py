"""Compares the batch job's lists with the answers of the service."""

from __future__ import annotations

import httpx
import pyarrow.dataset as ds

from moovier.data.catalogue import Catalogue
from moovier.jobs import batch
from moovier.jobs.registration import open_registry
from moovier.models import bundle
from moovier.settings import Settings

#: Users in one request to the service.
_AT_ONCE = 100


def written_lists(
    settings: Settings, *, top_k: int, shards: int
) -> tuple[dict[int, list[int]], Catalogue]:
    """Run the batch job and return the movie ids of each user, best first, and the catalogue."""
    result = batch.batch_all(batch.configured(top_k=top_k, shards=shards), settings=settings)
    table = ds.dataset(result["url"], format="parquet").to_table()
    lists: dict[int, list[int]] = {}
    for row in table.sort_by([("user_id", "ascending"), ("rank", "ascending")]).to_pylist():
        lists.setdefault(row["user_id"], []).append(row["movie_id"])
    version = open_registry(settings).resolve("champion")
    folder = settings.path("bundles", f"{version.number}-{version.run_id}")
    return lists, bundle.load(folder).catalogue


def compare_with_predict(
    client: httpx.Client, lists: dict[int, list[int]], catalogue: Catalogue, *, top_k: int
) -> int:
    """Check that `/predict` gives each list, and return the number of lists.

    The ids in an answer are TMDB's, with or without TMDB.
    """
    tmdb_ids = {movie.id: movie.tmdb_id for movie in catalogue}
    users, compared = sorted(lists), 0
    for start in range(0, len(users), _AT_ONCE):
        part = users[start : start + _AT_ONCE]
        answer = client.post(f"/predict?top_k={top_k}", json=part)
        assert answer.status_code == 200
        shown = {int(user): [one["id"] for one in movies] for user, movies in answer.json().items()}
        assert shown == {user: [tmdb_ids[movie] for movie in lists[user]] for user in part}
        compared += len(part)
    return compared
