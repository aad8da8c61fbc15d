"""What the tasks of every workflow here have in common."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

#: Has as many slots as LocalExecutor has workers, so that no task is queued without a worker.
POOL = "moovier"

#: Together the waits are seven minutes and a half at least: MLflow or a database that restarts, or
#: moves to another machine, is back by then. What no waiting mends fails at once, by
#: AirflowFailException.
DEFAULTS: dict[str, Any] = {
    "retries": 5,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "pool": POOL,
}
