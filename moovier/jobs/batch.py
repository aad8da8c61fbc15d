"""Write the best movies of all users to files, for other systems.

Each list equals that of `/predict` at the same time: the same scores, and the same handling of
feedback since the training and of new movies. This module needs neither TensorFlow nor the MLflow
library nor pandas.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field
from threadpoolctl import threadpool_limits

from moovier.data.ratings import Floats, Ints
from moovier.errors import ListsError
from moovier.event_weights import parse_event_weights
from moovier.feedback import database
from moovier.feedback.events import with_implicit
from moovier.feedback.ratings import UserFeedback
from moovier.feedback.store import FeedbackStore
from moovier.ids import MOVIE, USER, Kind
from moovier.jobs import engine
from moovier.jobs.batch_defaults import DEFAULT_SHARDS, DEFAULT_TOP_K
from moovier.jobs.batch_store import SCHEMA, BatchStore, new_key, part_name, with_texts
from moovier.jobs.config import parse_config
from moovier.jobs.recommend import with_new_movies
from moovier.jobs.registration import open_registry
from moovier.jobs.stage_results import parse_result, with_keys
from moovier.jobs.text_ids import OutsideIds
from moovier.registry.version import CHAMPION
from moovier.serving import live_users
from moovier.serving.recommender import MAX_TOP_K, MIN_TOP_K, Recommender
from moovier.settings import Settings, load_settings

logger = logging.getLogger(__name__)

MAX_SHARDS = 256
#: Users per progress message, and the number of lists in memory.
_USERS_PER_STEP = 1024
#: Number of users from which parallel processes save more time than they take to start.
_MIN_USERS_FOR_PROCESSES = 5_000
#: What a person does about an unreadable plan.
_AGAIN = "start a new run"
WHOLE_NUMBERS = OutsideIds()
_ID_COLUMNS: dict[str, Kind] = {"user_id": USER, "movie_id": MOVIE}


class BatchConfig(BaseModel):
    """Options of a run.

    ``model``: name, alias or version number; None means the champion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    top_k: Annotated[int, Field(ge=MIN_TOP_K, le=MAX_TOP_K)] = DEFAULT_TOP_K
    shards: Annotated[int, Field(ge=1, le=MAX_SHARDS)] = DEFAULT_SHARDS
    model: str | None = None


class BatchPlan(BaseModel):
    """What the shards of one run share.

    ``name``: of the set of lists. ``key``: of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    key: str
    model: str
    version: int
    top_k: int
    shards: int


def configured(**values: object) -> BatchConfig:
    """Return a validated configuration.

    Raises:
        BadRequest: a value is unknown or out of range.
    """
    return parse_config(BatchConfig, values, "batch")


def prepare(
    config: BatchConfig | Mapping[str, Any], *, settings: Settings | None = None
) -> dict[str, Any]:
    """Resolve the model's version, once for all shards; return the plan as JSON.

    Raises:
        BadRequest: the configuration is invalid.
        UnknownModel, RegistryUnavailable, RegistryError: see :class:`Registry`.
        ListsError: the store for the lists cannot be used.
    """
    settings = settings or load_settings()
    config = parse_config(BatchConfig, config, "batch")
    version = open_registry(settings).resolve(config.model or CHAMPION)
    _store(settings).sweep()
    return BatchPlan(
        name=f"{version.name}-v{version.number}",
        key=new_key(),
        model=version.name,
        version=version.number,
        top_k=config.top_k,
        shards=config.shards,
    ).model_dump()


def write(
    plan_json: Mapping[str, Any], shard: int, *, settings: Settings | None = None
) -> dict[str, Any]:
    """Write the file of one shard, replacing an earlier one.

    Returns ``shard``, ``users`` and ``rows``.

    Raises:
        UnknownModel, RegistryError, BundleError: the model cannot be loaded.
        FeedbackUnavailable: without feedback the lists would be wrong.
        ListsError: the file cannot be written.
    """
    settings = settings or load_settings()
    recommender = _recommender(settings, _plan(plan_json).version)
    return _write(plan_json, shard, recommender, _feedback(settings), settings)


def _write(
    plan_json: Mapping[str, Any],
    shard: int,
    recommender: Recommender,
    feedback: Mapping[int, UserFeedback],
    settings: Settings,
) -> dict[str, Any]:
    plan = _plan(plan_json)
    users = _users(recommender, feedback, shard, plan.shards)
    ids = OutsideIds.of(recommender.bundle.ids, settings)
    rows = 0
    # One user's list is too small for several threads; the shards run in parallel instead.
    with (
        threadpool_limits(1, user_api="blas"),
        _store(settings).writing(plan.key, shard, schema_of(ids)) as writer,
    ):
        for start in range(0, len(users), _USERS_PER_STEP):
            step_users = users[start : start + _USERS_PER_STEP]
            lists = live_users.ranking_ids(recommender, step_users, plan.top_k, feedback.get)
            table = lists_table(step_users, lists, plan.version, ids)
            writer.write_table(table)
            rows += table.num_rows
            done = start + len(step_users)
            logger.info("shard %d of %d: %d of %d users", shard, plan.shards, done, len(users))
    return {"shard": shard, "users": len(users), "rows": rows}


def finish(
    plan_json: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Publish the set of lists if all parts are complete; return the manifest.

    A second call changes nothing.

    Raises:
        ListsError: a part is missing or has a wrong number of rows.
    """
    settings = settings or load_settings()
    plan, store = _plan(plan_json), _store(settings)
    parts = [with_keys(part, ("shard", "users", "rows"), "write", _AGAIN) for part in parts]
    parts = sorted(parts, key=lambda part: int(part["shard"]))
    if [int(part["shard"]) for part in parts] != list(range(plan.shards)):
        raise ListsError(
            f"{len(parts)} of {plan.shards} parts of {plan.name} are written; write the others "
            "before publishing"
        )
    settings.path().mkdir(parents=True, exist_ok=True)
    # Two runs of one model on one machine publish one after the other.
    with FileLock(settings.path("lists.lock")):
        published = store.manifest(plan.name)
        if published is not None and published["key"] == plan.key:
            return published
        for part in parts:
            rows = store.rows(plan.key, int(part["shard"]))
            if rows != part["rows"]:
                raise ListsError(f"{part_name(part['shard'])} has {rows} rows, not {part['rows']}")
        manifest = {
            **plan.model_dump(exclude={"name", "shards"}),
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "users": sum(int(part["users"]) for part in parts),
            "rows": sum(int(part["rows"]) for part in parts),
            "columns": {field.name: str(field.type) for field in store.schema(plan.key, 0)},
            "parts": [
                {"file": part_name(part["shard"]), "users": part["users"], "rows": part["rows"]}
                for part in parts
            ],
        }
        store.publish(plan.name, plan.key, [int(part["shard"]) for part in parts], manifest)
    return manifest


def batch_all(
    config: BatchConfig,
    on_progress: Callable[[str], None] = lambda _: None,
    *,
    settings: Settings,
) -> dict[str, Any]:
    """Write and publish all lists, in parallel processes if there are many users.

    Returns the manifest, with the location of the set as ``url``.
    """
    plan = prepare(config, settings=settings)
    on_progress(f"{plan['model']} (version {plan['version']}): {config.shards} shards")
    parts = []
    for part in _write_all(plan, settings):
        parts.append(part)
        on_progress(f"{part_name(part['shard'])}: {part['users']:,} users, {part['rows']:,} rows")
    manifest = finish(plan, parts, settings=settings)
    return {**manifest, "url": f"{_store_url(settings)}/{plan['name']}"}


def _write_all(plan_json: Mapping[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    """Write all shards; yield the result of each."""
    shards = range(plan_json["shards"])
    if engine.uses_spark(settings):
        yield from _run_on_cluster(plan_json, settings)
        return
    workers = min(len(shards), os.cpu_count() or 1)
    recommender = _recommender(settings, plan_json["version"])
    if workers == 1 or recommender.bundle.index.users.size < _MIN_USERS_FOR_PROCESSES:
        feedback = _feedback(settings)
        yield from (_write(plan_json, shard, recommender, feedback, settings) for shard in shards)
        return
    del recommender
    # This process may have threads; a forked process could inherit their locks.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        yield from pool.map(partial(write, plan_json, settings=settings), shards)


def write_on_cluster(plan_json: Mapping[str, Any], *, settings: Settings) -> None:
    """Write the files of all shards on the Spark cluster, for :func:`finish_on_cluster`.

    Raises:
        ClusterError: the cluster failed, or a shard cannot be written.
    """
    parts = list(_run_on_cluster(plan_json, settings))
    engine.write_result(f"lists-{_plan(plan_json).key}", parts, settings)


def finish_on_cluster(
    plan_json: Mapping[str, Any], *, settings: Settings | None = None
) -> dict[str, Any]:
    """Publish what :func:`write_on_cluster` wrote; see :func:`finish`.

    Raises:
        ListsError: it has not written the lists.
    """
    settings = settings or load_settings()
    parts = engine.read_result(f"lists-{_plan(plan_json).key}", settings)
    if parts is None:
        raise ListsError("the cluster has not written these lists; write them before publishing")
    return finish(plan_json, parts, settings=settings)


def _run_on_cluster(plan_json: Mapping[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    write_shard = partial(write, plan_json, settings=settings)
    return engine.run_shards(write_shard, _plan(plan_json).shards, settings)


def _plan(plan_json: Mapping[str, Any]) -> BatchPlan:
    return parse_result(BatchPlan, plan_json, "prepare", _AGAIN)


def _users(
    recommender: Recommender, feedback: Mapping[int, UserFeedback], shard: int, shards: int
) -> list[int]:
    """Return a shard's users.

    The model's users come first, by row, then those who gave feedback since the training, by id.
    """
    index = recommender.bundle.index
    known: Ints = index.users[shard::shards]
    new = np.array(
        sorted(user for user, own in feedback.items() if own.ratings or own.events), dtype=np.int64
    )
    new = new[(new % shards == shard) & (index.user_rows(new) < 0)]
    return [*known.tolist(), *new.tolist()]


def lists_table(
    users: Sequence[int],
    lists: Sequence[tuple[Ints, Floats]],
    version: int,
    ids: OutsideIds = WHOLE_NUMBERS,
) -> pa.Table:
    """Return the lists, movie ids and scores of each user, as rows of :func:`schema_of`."""
    lengths = np.array([movies.size for movies, _ in lists], dtype=np.int64)
    n_rows = int(lengths.sum())
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return pa.table(
        {
            "user_id": _shown(np.repeat(np.array(users, dtype=np.int64), lengths), USER, ids),
            "rank": (np.arange(n_rows) - starts + 1).astype(np.int32),
            "movie_id": _shown(
                np.concatenate([movies for movies, _ in lists]).astype(np.int64), MOVIE, ids
            ),
            "score": np.concatenate([scores for _, scores in lists]).astype(np.float32),
            "model_version": np.full(n_rows, version, dtype=np.int32),
        },
        schema=schema_of(ids),
    )


def schema_of(ids: OutsideIds) -> pa.Schema:
    """Return :data:`SCHEMA` with strings for ids that are texts."""
    text_columns = [name for name, kind in _ID_COLUMNS.items() if ids.is_text(kind)]
    return with_texts(SCHEMA, text_columns)


def _shown(numbers: Ints, kind: Kind, ids: OutsideIds) -> Any:
    """Return ids as they are outside: the same array, or strings."""
    if not ids.is_text(kind):
        return numbers
    distinct, places = np.unique(numbers, return_inverse=True)
    texts = pa.array([str(ids.shown(kind, number)) for number in distinct.tolist()], pa.string())
    return texts.take(pa.array(places))


def _recommender(settings: Settings, number: int) -> Recommender:
    registry = open_registry(settings)
    version = registry.resolve(str(number))
    # The run id distinguishes versions of two registries that have the same number.
    folder = settings.path("bundles", f"{version.number}-{version.run_id}")
    return with_new_movies(Recommender(registry.load_bundle(version, folder)), settings)


def _feedback(settings: Settings) -> dict[int, UserFeedback]:
    """Return the feedback by user; empty if there is no database."""
    if not database.exists(settings.database):
        return {}
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        users = store.everything().by_user()
    weights = parse_event_weights(settings.event_weights)
    return {user: with_implicit(feedback, weights) for user, feedback in users.items()}


def _store(settings: Settings) -> BatchStore:
    return BatchStore(_store_url(settings))


def _store_url(settings: Settings) -> str:
    return settings.lists or str(settings.path("lists"))
