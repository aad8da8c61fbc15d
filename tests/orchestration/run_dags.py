"""Run DAGs with Airflow's own ``dag.test()``, and print what became of their tasks as JSON.

Run as a script: ``run_dags.py DAGS_FOLDER CASES``. ``CASES``: a JSON list of objects with ``dag``,
``conf`` and ``marked``, a pattern of the tasks that count as marked successful by hand, and perhaps
``returns``, the results of functions that are replaced, by their full names. After the log of each
case, a line starts with :data:`MARK` and holds the states and tries of its tasks.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

MARK = "RESULT "


def main(folder: Path, cases: list[dict[str, Any]]) -> None:
    """Run all cases, one after the other."""
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")
    for case in cases:
        with contextlib.ExitStack() as replaced:
            for function, result in case.get("returns", {}).items():
                replaced.enter_context(mock.patch(function, return_value=result))
            dag_run = bag.dags[case["dag"]].test(
                run_conf=case["conf"], mark_success_pattern=case["marked"]
            )
        instances = dag_run.get_task_instances()
        states = {instance.task_id: str(instance.state) for instance in instances}
        print(f"\n{MARK}{json.dumps(states)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
