"""Send a message and write a note as a task does. Run as a script with the folder of the DAGs."""

from __future__ import annotations

import sys
from types import SimpleNamespace

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    from moovier_notify import notify_failure, set_run_note

    task = SimpleNamespace(
        dag_id="moovier_retrain", task_id="gate", run_id="scheduled__2026+00:00", log_url="log"
    )
    notify_failure({"ti": task, "exception": ValueError("no data")})
    set_run_note({"ti": task}, "promoted")
