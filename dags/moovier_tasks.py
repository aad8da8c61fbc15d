"""Settings that the tasks of all DAGs share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

#: A pool with as many slots as LocalExecutor has workers, so that no queued task lacks a worker.
POOL = "moovier"

#: The retries take at least seven and a half minutes, long enough for a restart of MLflow or of a
#: database, or a move to another machine. Permanent errors raise AirflowFailException at once.
DEFAULTS: dict[str, Any] = {
    "retries": 5,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "pool": POOL,
}
