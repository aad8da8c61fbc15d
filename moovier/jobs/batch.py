"""The best movies of all users, written down for those who serve them from a store of their own.

Each list is the one that `/predict` gives at that moment: the same scores, and what people said
since the model was trained counts in the same way. Without TensorFlow, MLflow's library or pandas.
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
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from threadpoolctl import threadpool_limits

from moovier.data.ratings import Ints
from moovier.errors import BadRequest, ListsError
from moovier.feedback import database
from moovier.feedback.store import FeedbackStore, UserFeedback
from moovier.jobs.batch_store import SCHEMA, ListStore, new_key, part_name
from moovier.models import bundle
from moovier.registry.client import Registry
from moovier.registry.version import CHAMPION, Version
from moovier.serving import live_users
from moovier.serving.recommender import LEAST_TOP_K, MOST_TOP_K, Answer, Recommender
from moovier.settings import Settings, load_settings

logger = logging.getLogger(__name__)

MOST_SHARDS = 256
#: People between two words about how far it is; also the rows that are held at a time.
_AT_ONCE = 1024
#: Users from which on processes beside each other save more than their start takes.
_WORTH_PROCESSES = 5_000


class BatchConfig(BaseModel):
    """What the trigger form and the command take. ``model``: name, alias or version number, None
    is the champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    top_k: Annotated[int, Field(ge=LEAST_TOP_K, le=MOST_TOP_K)] = 100
    shards: Annotated[int, Field(ge=1, le=MOST_SHARDS)] = 2
    model: str | None = None


class Plan(BaseModel):
    """What all parts of one run share. ``name``: of the set of lists. ``key``: of the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    key: str
    model: str
    version: int
    top_k: int
    shards: int


def configured(**values: object) -> BatchConfig:
    """
    Raises:
        BadRequest: the values make no sense.
    """
    try:
        return BatchConfig.model_validate(values)
    except ValidationError as error:
        reasons = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise BadRequest("; ".join(reasons)) from error


def prepare(
    config: BatchConfig | Mapping[str, Any], *, settings: Settings | None = None
) -> dict[str, Any]:
    """Decide on the version, once for all shards; returns the plan.

    Raises:
        BadRequest: the configuration makes no sense.
        UnknownModel, RegistryUnavailable, RegistryError: see :class:`Registry`.
        ListsError: the place for the lists cannot be used.
    """
    settings = settings or load_settings()
    config = config if isinstance(config, BatchConfig) else configured(**config)
    version = _registry(settings).resolve(config.model or CHAMPION)
    _store(settings).sweep()
    return Plan(
        name=f"{version.name}-v{version.number}",
        key=new_key(),
        model=version.name,
        version=version.number,
        top_k=config.top_k,
        shards=config.shards,
    ).model_dump()


def write(
    plan: Mapping[str, Any], shard: int, *, settings: Settings | None = None
) -> dict[str, Any]:
    """Write the part of one shard; returns its ``shard``, ``users`` and ``rows``. Doing it again
    replaces it.

    Raises:
        UnknownModel, RegistryError, BundleError: the model cannot be had.
        FeedbackUnavailable: lists without what people deleted or rated would not be theirs.
        ListsError: it cannot be written.
    """
    settings = settings or load_settings()
    recommender = _recommender(settings, int(plan["version"]))
    return _write(plan, shard, recommender, _said(settings), settings)


def _write(
    plan: Mapping[str, Any],
    shard: int,
    recommender: Recommender,
    said: Mapping[int, UserFeedback],
    settings: Settings,
) -> dict[str, Any]:
    found = Plan.model_validate(plan)
    users = _users(recommender, said, shard, found.shards)
    rows = 0
    # One person's list is too little to share among threads, as in the service; shards run beside
    # each other.
    with (
        threadpool_limits(1, user_api="blas"),
        _store(settings).writing(found.key, shard) as writer,
    ):
        for start in range(0, len(users), _AT_ONCE):
            part = users[start : start + _AT_ONCE]
            table = _table(
                live_users.recommend(recommender, part, found.top_k, said.get), found.version
            )
            writer.write_table(table)
            rows += table.num_rows
            done = start + len(part)
            logger.info("shard %d of %d: %d of %d users", shard, found.shards, done, len(users))
    return {"shard": shard, "users": len(users), "rows": rows}


def finish(
    plan: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Publish the set when all of its parts are there and whole; returns the manifest. Doing it
    again changes nothing.

    Raises:
        ListsError: a part is missing or has other rows than it should.
    """
    settings = settings or load_settings()
    found, store = Plan.model_validate(plan), _store(settings)
    parts = sorted(parts, key=lambda part: int(part["shard"]))
    if [int(part["shard"]) for part in parts] != list(range(found.shards)):
        raise ListsError(f"{len(parts)} of {found.shards} parts of {found.name} are there")
    settings.path().mkdir(parents=True, exist_ok=True)
    # Two runs about one model on one machine publish one after the other.
    with FileLock(settings.path("lists.lock")):
        before = store.manifest(found.name)
        if before is not None and before["key"] == found.key:
            return before
        for part in parts:
            there = store.rows(found.key, int(part["shard"]))
            if there != part["rows"]:
                raise ListsError(f"{part_name(part['shard'])} has {there} rows, not {part['rows']}")
        said = {
            **found.model_dump(exclude={"name", "shards"}),
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "users": sum(int(part["users"]) for part in parts),
            "rows": sum(int(part["rows"]) for part in parts),
            "columns": {field.name: str(field.type) for field in SCHEMA},
            "parts": [
                {"file": part_name(part["shard"]), "users": part["users"], "rows": part["rows"]}
                for part in parts
            ],
        }
        store.publish(found.name, found.key, [int(part["shard"]) for part in parts], said)
    return said


def batch_all(
    config: BatchConfig,
    on_progress: Callable[[str], None] = lambda _: None,
    *,
    settings: Settings,
) -> dict[str, Any]:
    """All of it here and now, many users' shards in processes beside each other; returns the
    manifest, and the set's place as ``url``."""
    plan = prepare(config, settings=settings)
    on_progress(f"{plan['model']} (version {plan['version']}): {config.shards} shards")
    parts = []
    for part in _written(plan, settings):
        parts.append(part)
        on_progress(f"{part_name(part['shard'])}: {part['users']:,} users, {part['rows']:,} rows")
    said = finish(plan, parts, settings=settings)
    return {**said, "url": f"{_place(settings)}/{plan['name']}"}


def _written(plan: Mapping[str, Any], settings: Settings) -> Iterator[dict[str, Any]]:
    shards = range(plan["shards"])
    workers = min(len(shards), os.cpu_count() or 1)
    recommender = _recommender(settings, plan["version"])
    if workers == 1 or recommender.bundle.index.users.size < _WORTH_PROCESSES:
        said = _said(settings)
        yield from (_write(plan, shard, recommender, said, settings) for shard in shards)
        return
    del recommender
    # Threads may run here already: a fork could find their locks held.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        yield from pool.map(partial(write, plan, settings=settings), shards)


def _users(
    recommender: Recommender, said: Mapping[int, UserFeedback], shard: int, shards: int
) -> list[int]:
    """Whom a shard is about: the model's users by row, and those who rated since by id."""
    index = recommender.bundle.index
    known: Ints = index.users[shard::shards]
    others = np.array(sorted(user for user in said if said[user].ratings), dtype=np.int64)
    others = others[(others % shards == shard) & (index.user_rows(others) < 0)]
    return [*known.tolist(), *others.tolist()]


def _table(answers: Sequence[Answer], version: int) -> pa.Table:
    lengths = np.array([len(answer.items) for answer in answers], dtype=np.int64)
    items = [item for answer in answers for item in answer.items]
    users = np.array([answer.user_id for answer in answers], dtype=np.int64)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return pa.table(
        {
            "user_id": np.repeat(users, lengths),
            "rank": (np.arange(len(items)) - starts + 1).astype(np.int32),
            "movie_id": np.array([item.movie.id for item in items], dtype=np.int64),
            "score": np.array([item.score for item in items], dtype=np.float32),
            "model_version": np.full(len(items), version, dtype=np.int32),
        },
        schema=SCHEMA,
    )


def _recommender(settings: Settings, number: int) -> Recommender:
    registry = _registry(settings)
    version: Version = registry.resolve(str(number))
    # The run's id tells versions of two registries apart that share a number.
    folder = settings.path("bundles", f"{version.number}-{version.run_id}")
    return Recommender(bundle.load(registry.download_bundle(version, folder)))


def _said(settings: Settings) -> dict[int, UserFeedback]:
    """What everybody said; nothing where no database was ever made."""
    if not database.exists(settings.database):
        return {}
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        return store.everything().by_user()


def _registry(settings: Settings) -> Registry:
    return Registry(settings.mlflow_tracking_uri, settings.registered_model)


def _store(settings: Settings) -> ListStore:
    return ListStore(_place(settings))


def _place(settings: Settings) -> str:
    return settings.lists or str(settings.path("lists"))
