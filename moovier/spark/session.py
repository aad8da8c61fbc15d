"""Sessions on the Spark cluster that the settings name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from moovier.errors import ClusterError, SettingsError
from moovier.settings import Settings

#: Rows of an Arrow batch between Spark and Python.
_BATCH_ROWS = 100_000
_CONNECT = "sc://"
#: Most characters of Spark's own message in an error.
_SHOWN_CHARACTERS = 2000


@contextlib.contextmanager
def cluster(settings: Settings, name: str) -> Iterator[Any]:
    """Yield a ``SparkSession`` on the cluster; stop it at the end.

    ``name``: of the application, shown on the master's page.

    Raises:
        SettingsError: no master is set, or Spark is not installed.
        ClusterError: the master does not answer, or a job failed.
    """
    if settings.spark_master is None:
        raise SettingsError(
            "MOOVIER_SPARK_MASTER is not set: name the master, such as spark://host:7077"
        )
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SettingsError(
            f"Apache Spark is not installed ({error}): install Moovier with the extra `spark`"
        ) from error
    failures: list[type[Exception]] = [PySparkException]
    with contextlib.suppress(ImportError):
        from py4j.protocol import Py4JError

        failures.append(Py4JError)
    try:
        session = _configured(SparkSession.builder.appName(name), settings.spark_master)
        try:
            yield session
        finally:
            session.stop()
    except tuple(failures) as error:
        text = str(error).strip()[:_SHOWN_CHARACTERS]
        raise ClusterError(
            f"the Spark cluster at {settings.spark_master} failed: {text}"
        ) from error


def _configured(builder: Any, master: str) -> Any:
    """Return the session of a master; a session of ``spark-submit`` keeps its own options."""
    options = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": _BATCH_ROWS,
    }
    if master.startswith(_CONNECT):
        builder = builder.remote(master)
    else:
        builder = builder.master(master)
        options |= {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
        # All machines run one image; otherwise the workers would take any `python3`. Spark reads
        # the option `spark.pyspark.python` only in `spark-submit`.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for option, value in options.items():
        builder = builder.config(option, value)
    return builder.getOrCreate()
