"""Lists of all users from the cluster equal those of the single machine."""

from __future__ import annotations

import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from moovier.errors import ClusterError
from moovier.jobs import batch, engine
from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server

pytestmark = pytest.mark.spark
NAME = "moovier_popular_1_trained_0"


def read_lists(settings: Settings) -> pa.Table:
    folder = settings.path("lists", f"{NAME}-v1")
    return ds.dataset(folder, format="parquet").to_table().sort_by("user_id")


def test_lists_equal_those_of_one_machine(
    settings: Settings, mlflow: Server, tmp_path: Path
) -> None:
    own = {"mlflow_tracking_uri": mlflow.address, "registered_model": f"spark-{uuid.uuid4().hex}"}
    settings = settings.model_copy(update=own)
    version = register(settings, tmp_path / "models", toy_bundle(NAME))
    open_registry(settings).promote(version, "the only one")
    config = batch.configured(top_k=3, shards=3)
    batch.batch_all(config, settings=settings.model_copy(update={"engine": "local"}))
    expected = read_lists(settings)
    assert expected.num_rows > 3
    manifest = batch.batch_all(config, settings=settings)
    assert manifest["users"] == 3
    assert read_lists(settings).equals(expected)


def test_error_of_a_shard_is_permanent_and_has_its_message(
    settings: Settings, mlflow: Server
) -> None:
    settings = settings.model_copy(update={"mlflow_tracking_uri": mlflow.address})
    plan = {"name": "x", "key": "x", "model": "x", "version": 99, "top_k": 1, "shards": 1}
    with pytest.raises(ClusterError, match="unknown model '99'") as caught:
        list(engine.run_shards(_Write(plan, settings), 1, settings))
    assert not caught.value.is_transient


class _Write:
    """`batch.write` of a plan, picklable by its module."""

    def __init__(self, plan: dict[str, object], settings: Settings) -> None:
        self.plan, self.settings = plan, settings

    def __call__(self, shard: int) -> dict[str, object]:
        return batch.write(self.plan, shard, settings=self.settings)
