"""Parse the DAG files as Airflow does, and print their facts as JSON. Run as a script.

It runs in a process of its own, because the test process has already imported modules that a DAG
file must not import.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(folder: Path) -> dict[str, Any]:
    """Return import errors, imported modules, and the facts of each DAG."""
    from airflow.dag_processing.dagbag import BundleDagBag

    # Airflow puts the folder on the path, so that DAG files can import a common one.
    bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags")
    return {
        "errors": bag.import_errors,
        "modules": sorted({name.partition(".")[0] for name in sys.modules}),
        "moovier": sorted(name for name in sys.modules if name.startswith("moovier.")),
        "dags": {dag_id: facts(dag) for dag_id, dag in bag.dags.items()},
    }


def facts(dag: Any) -> dict[str, Any]:
    """Return the parts of a DAG that tests assert on, as JSON."""
    return {
        "params": {
            name: {"value": param.value, "description": param.description, **param.schema}
            for name in dag.params
            for param in [dag.params.get_param(name)]
        },
        "schedule": type(dag.timetable).__name__,
        "asset": getattr(dag.timetable.asset_condition, "name", None),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "doc_md": dag.doc_md,
        "tasks": {
            task.task_id: {
                "downstream": sorted(task.downstream_task_ids),
                "mapped": task.is_mapped,
                "retries": task.retries,
                "backoff": task.retry_exponential_backoff,
                "retry_delay_s": task.retry_delay.total_seconds(),
                "max_retry_delay_s": task.max_retry_delay.total_seconds(),
                "pool": task.pool,
                "doc_md": task.doc_md,
                "outlets": [outlet.name for outlet in task.outlets],
                "starts": triggered_run(task),
            }
            for task in dag.tasks
        },
    }


def triggered_run(task: Any) -> dict[str, str] | None:
    """Return the DAG run that a task triggers, or None."""
    if task.task_type != "TriggerDagRunOperator":
        return None
    return {
        "dag": task.trigger_dag_id,
        "run_id": str(task.trigger_run_id),
        "conf": str(task.conf),
        "again": "skips" if task.skip_when_already_exists and not task.reset_dag_run else "starts",
    }


if __name__ == "__main__":
    print("\n" + json.dumps(main(Path(sys.argv[1]))))  # noqa: T201
