"""Storages of studies, with heartbeats and retries for databases.

A journal file serves the workers of one machine, a database the workers of several. With a
database, a worker sends heartbeats while a trial runs. When a trial has had no heartbeat for
:data:`GRACE_S`, the next worker fails it and queues its parameters once more.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import optuna
import tenacity
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import (
    BaseStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
)
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, ProgrammingError

from moovier.errors import MoovierError
from moovier.urls import is_refused_login, study_storage

_T = TypeVar("_T")

#: Seconds between two heartbeats, and without heartbeat until a trial is failed. The second is
#: longer than :data:`PATIENCE_S`, or all workers would count as dead after an outage.
HEARTBEAT_S, GRACE_S = 30, 180
#: Longest outage of the database that a worker waits for, in seconds.
PATIENCE_S = 150.0
#: Errors of a database that is unavailable.
OUTAGE_ERRORS = (StorageInternalError, OperationalError, InterfaceError)
#: Retries of a trial whose worker died: a trial that kills its workers, for example by its memory,
#: must not do so forever.
_RETRIES = 1
#: Closes a dead connection after about a minute.
_POSTGRES = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class StudyError(MoovierError):
    """The study cannot be opened or written to."""

    is_transient = True


def storage_of(place: str | Path) -> BaseStorage:
    """Open a database for a URL, or a journal file for a path.

    The folder of a journal file is created if it is missing.

    Raises:
        StudyError: The storage cannot be opened or written to.
    """
    try:
        if isinstance(place, str) and "://" in place:
            return _database(study_storage(place))
        path = Path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # each database driver has errors of its own
        unavailable = StudyError(
            f"the study storage {_masked(place)} cannot be opened: {error}; check its address and "
            "permissions"
        )
        unavailable.is_transient = not is_refused_login(error)
        raise unavailable from error


def has_heartbeat(study: Study) -> bool:
    """Return whether the study's storage records heartbeats."""
    return _interval(study) is not None


@contextlib.contextmanager
def heartbeat(study: Study, trial: optuna.Trial) -> Iterator[None]:
    """Send heartbeats of the trial, if the storage records them.

    Optuna's own thread ends at the first error, so after a short outage the other workers would
    take a living worker for a dead one.
    """
    interval = _interval(study)
    if interval is None:
        yield
        return
    storage: Any = trial.storage
    trial_id = storage.get_trial_id_from_study_id_trial_number(
        storage.get_study_id_from_name(study.study_name), trial.number
    )
    storage.record_heartbeat(trial_id)
    end = threading.Event()

    def send() -> None:
        while not end.wait(interval):
            with contextlib.suppress(*OUTAGE_ERRORS):
                storage.record_heartbeat(trial_id)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def fail_stale_trials(study: Study) -> None:
    """Fail the trials without heartbeat for :data:`GRACE_S`, and queue them again."""
    if has_heartbeat(study):
        optuna.storages.fail_stale_trials(study)


def requeue(study: Study, trial: FrozenTrial) -> None:
    """Queue a failed trial's parameters again, unless they are a retry already."""
    _ignore_warnings()
    RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES)(study, trial)


def retry(step: Callable[[], _T]) -> _T:
    """Return the result of ``step``, retried while the database is unavailable."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(OUTAGE_ERRORS),
        stop=tenacity.stop_after_delay(PATIENCE_S),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=10),
        reraise=True,
    )
    return retrying(step)


def _database(url: str) -> RDBStorage:
    _ignore_warnings()
    engine: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgres"):
        engine["connect_args"] = _POSTGRES
    retrying = tenacity.Retrying(
        # Another worker may create the tables at the same time.
        retry=tenacity.retry_if_exception_type((IntegrityError, ProgrammingError)),
        stop=tenacity.stop_after_attempt(5),
        wait=tenacity.wait_random(0.1, 1.0),
        reraise=True,
    )
    return retrying(
        RDBStorage,
        url,
        engine_kwargs=engine,
        heartbeat_interval=HEARTBEAT_S,
        grace_period=GRACE_S,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES),
    )


def _ignore_warnings() -> None:
    """Ignore Optuna's warnings about heartbeats.

    They are experimental in Optuna and meant for its own loop; here :func:`heartbeat` sends them.
    """
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")


def _interval(study: Study) -> int | None:
    # Journals have no heartbeat and lack the method.
    get_interval = getattr(study._storage, "get_heartbeat_interval", None)
    return None if get_interval is None else get_interval()


def _masked(place: str | Path) -> str:
    """Return a path, or a URL without user and password."""
    text = str(place)
    scheme, separator, rest = text.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else text
