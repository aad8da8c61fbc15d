"""Settings that the tasks of all DAGs share."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar, cast

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

#: A pool with no more slots than the executor has workers, so that no queued task lacks a worker.
POOL = "moovier"

#: The retries take at least seven and a half minutes, long enough for a restart of MLflow or of a
#: database, or a move to another machine. Permanent errors fail at once: see :func:`failing_fast`.
DEFAULTS: dict[str, Any] = {
    "retries": 5,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "pool": POOL,
}


@contextlib.contextmanager
def failing_fast() -> Iterator[None]:
    """Fail the task without retries on an error that no retry can mend.

    Only what may get better by itself, such as an outage, is retried.
    """
    from airflow.sdk.exceptions import AirflowFailException

    from moovier.errors import MoovierError

    try:
        yield
    except MoovierError as error:
        if error.is_transient:
            raise
        # Invalid data have one problem per row.
        reasons = [str(error), *getattr(error, "problems", ())]
        raise AirflowFailException("\n".join(reasons)) from error


def log_lines(text: str) -> None:
    """Write a text to the task's log, one record per line."""
    for line in text.splitlines():
        _log.info(line)


def result_of(task_id: str, result: _T | None, *keys: str) -> _T:
    """Return another task's result, or fail if that task stored none, or one without ``keys``.

    A task that a person marks as successful stores no result. A task that ran before an update of
    Moovier may have stored a result of another form.
    """
    from airflow.sdk.exceptions import AirflowFailException

    if result is None:
        raise AirflowFailException(
            f"the task `{task_id}` has no result, probably because it was marked as successful by "
            f"hand: clear `{task_id}`, so that it runs again with the tasks after it"
        )
    if keys:
        from moovier.jobs.stage_results import with_keys

        with failing_fast():
            with_keys(cast("Mapping[str, Any]", result), keys, task_id, "start a new run")
    return result


def results_of(task_id: str, results: Iterable[_T | None] | None, count: int) -> list[_T]:
    """Return the results of ``count`` mapped tasks, or fail if any of them stored none.

    Airflow leaves out the results of mapped tasks that stored none.
    """
    complete = [result_of(task_id, result) for result in result_of(task_id, results)]
    if len(complete) < count:
        result_of(task_id, None)
    return complete
