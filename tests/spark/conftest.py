"""One cluster for the session, and one Spark session on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from moovier.settings import Settings
from moovier.spark.session import cluster
from tests.s3_server import s3_server
from tests.spark.standalone import Cluster, standalone


@pytest.fixture(scope="session", autouse=True)
def _driver() -> None:
    if find_spec("pyspark") is None:
        pytest.fail("Apache Spark is not installed: run make test-spark")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", "--driver-memory 512m pyspark-shell")


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an S3 server's buckets, two; AWS's variables lead to the server."""
    folder = tmp_path_factory.mktemp("buckets")
    # The server does not see buckets that are made in the folder later.
    for bucket in ("bucket-true", "bucket-false"):
        (folder / bucket).mkdir()
    with s3_server(folder) as variables, pytest.MonkeyPatch.context() as patch:
        # rclone answers the request of a part with the checksum of the whole.
        patch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
        for name, value in variables.items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture(scope="session")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory, buckets: Path) -> Iterator[Cluster]:
    """A master and two workers of one core and 1 GB each; their tasks reach the S3 server."""
    with standalone(tmp_path_factory.mktemp("spark")) as running:
        yield running


@pytest.fixture
def settings(spark_cluster: Cluster, tmp_path: Path) -> Settings:
    """Settings of the cluster with a home of their own."""
    return Settings(home=tmp_path / "home", engine="spark", spark_master=spark_cluster.url)


@pytest.fixture(scope="module")
def spark(spark_cluster: Cluster) -> Iterator[Any]:
    """A session for the tests of a file: starting one takes longer than most tests."""
    with cluster(Settings(spark_master=spark_cluster.url), "tests") as session:
        yield session


@pytest.fixture
def open_session(spark: Any) -> Callable[[], Any]:
    """A function that yields the session of the file and leaves it open."""
    return lambda: nullcontext(spark)
