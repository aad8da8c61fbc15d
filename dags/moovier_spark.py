"""Tasks that run on a Spark cluster, with ``MOOVIER_ENGINE=spark``."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow.sdk import task

_CONNECTION = "moovier_spark"
#: Spark Connect has no `spark-submit`: the task itself is the client.
_CONNECT = "sc://"


def on_cluster() -> bool:
    """Return whether the settings name the engine `spark`, read without importing Moovier."""
    return os.environ.get("MOOVIER_ENGINE") == "spark"


def cluster_task(task_id: str, stage: str, after: str, doc_md: str) -> Any:
    """Return a task that runs a stage of `moovier.jobs.cluster_app` on the cluster.

    ``after``: id of the task whose result is the stage's argument.
    """
    master = os.environ.get("MOOVIER_SPARK_MASTER", "")
    if master.startswith(_CONNECT):
        return _connect_task(task_id, stage, after, doc_md)
    return _submit_task(task_id, stage, after, doc_md, master)


def _submit_task(task_id: str, stage: str, after: str, doc_md: str, master: str) -> Any:
    from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

    class MoovierSparkSubmit(SparkSubmitOperator):  # type: ignore[misc]
        """A `SparkSubmitOperator` whose connection is made from `MOOVIER_SPARK_MASTER`."""

        def execute(self, context: Any) -> None:
            """Submit the application and wait for its end."""
            # With the port in the host, the provider takes it as the master unchanged.
            connection = json.dumps({"conn_type": "spark", "host": master})
            os.environ.setdefault(f"AIRFLOW_CONN_{_CONNECTION.upper()}", connection)
            # `spark-submit` as it was installed with this Python, which runs the application too.
            os.environ.setdefault("SPARK_HOME", str(_folder("pyspark")))
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
            programs = [str(Path(os.environ["SPARK_HOME"]) / "bin"), os.environ.get("PATH", "")]
            os.environ["PATH"] = os.pathsep.join(programs)
            super().execute(context)

    return MoovierSparkSubmit(
        task_id=task_id,
        conn_id=_CONNECTION,
        application=str(_folder("moovier") / "jobs" / "cluster_app.py"),
        application_args=[stage, f"{{{{ ti.xcom_pull(task_ids='{after}') | tojson }}}}"],
        name=f"moovier {task_id}",
        doc_md=doc_md,
    )


def _folder(package: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed")
    return Path(spec.origin).parent


def _connect_task(task_id: str, stage: str, after: str, doc_md: str) -> Any:
    @task(task_id=task_id, doc_md=doc_md)
    def run() -> None:
        from airflow.sdk import get_current_context
        from moovier_tasks import failing_fast, result_of

        from moovier.jobs import cluster_app

        argument = get_current_context()["ti"].xcom_pull(task_ids=after)
        with failing_fast():
            cluster_app.main(stage, json.dumps(result_of(after, argument)))

    return run()
