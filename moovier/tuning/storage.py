"""Where studies are kept, and what is done while that place is away.

A journal file serves the workers of one machine, a database those of many. In a database a worker
shows that it is alive: it beats while a trial runs, and a trial whose worker has not beaten for
``GRACE_S`` is failed by whoever asks next, and tried once more.
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

_T = TypeVar("_T")

#: Seconds between two signs of life, and without one until a trial is given up: longer than an
#: outage of the database that is sat out, or its end would find everybody dead.
HEARTBEAT_S, GRACE_S = 30, 180
#: How long the database may be away in the middle of the work before a worker gives up.
PATIENCE_S = 150.0
#: What is raised while a database is away.
AWAY = (StorageInternalError, OperationalError, InterfaceError)
#: A trial that was killed is tried once more. One that kills its workers, say by the memory it
#: wants, must not do so forever.
_TRIES_AGAIN = 1
#: A connection on which nothing is heard any more is given up after about a minute.
_POSTGRES = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class StudyError(MoovierError):
    """The study cannot be opened or written to."""


def storage_of(place: str | Path) -> BaseStorage:
    """A database for a URL, a journal file for a path (its folder is made).

    Raises:
        StudyError: it cannot be opened or written to.
    """
    try:
        if isinstance(place, str) and "://" in place:
            return _database(place)
        path = Path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # each database driver has errors of its own
        raise StudyError(f"the study at {_masked(place)} cannot be opened: {error}") from error


def beats(study: Study) -> bool:
    """Whether workers of this study can be seen to be alive."""
    return _interval(study) is not None


@contextlib.contextmanager
def heartbeat(study: Study, trial: optuna.Trial) -> Iterator[None]:
    """Show that the trial's worker is alive, where others can see it.

    Optuna's own thread for this ends at the first error, so that a short outage would let the
    others take a living worker for a dead one.
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
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(interval):
            with contextlib.suppress(*AWAY):
                storage.record_heartbeat(trial_id)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def fail_stale_trials(study: Study) -> None:
    """Fail the trials whose workers were not heard of for long, and queue them again."""
    if beats(study):
        optuna.storages.fail_stale_trials(study)


def requeue(study: Study, trial: FrozenTrial) -> None:
    """Queue a failed trial's parameters again, unless that was done before."""
    _without_warnings()
    RetryHeartbeatStaleTrialCallback(max_retry=_TRIES_AGAIN)(study, trial)


def retry(step: Callable[[], _T]) -> _T:
    """``step``, tried again while the database is away."""
    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(AWAY),
        stop=tenacity.stop_after_delay(PATIENCE_S),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=10),
        reraise=True,
    )
    return tries(step)


def _database(url: str) -> RDBStorage:
    _without_warnings()
    engine: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgres"):
        engine["connect_args"] = _POSTGRES
    made = tenacity.Retrying(
        # Another worker may make the tables at this very moment.
        retry=tenacity.retry_if_exception_type((IntegrityError, ProgrammingError)),
        stop=tenacity.stop_after_attempt(5),
        wait=tenacity.wait_random(0.1, 1.0),
        reraise=True,
    )
    return made(
        RDBStorage,
        url,
        engine_kwargs=engine,
        heartbeat_interval=HEARTBEAT_S,
        grace_period=GRACE_S,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=_TRIES_AGAIN),
    )


def _without_warnings() -> None:
    """Heartbeats are experimental in Optuna, and meant for its own loop; here `beating` makes
    them."""
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")


def _interval(study: Study) -> int | None:
    # Journals have no heartbeat and lack the method.
    asked = getattr(study._storage, "get_heartbeat_interval", None)
    return None if asked is None else asked()


def _masked(place: str | Path) -> str:
    """Without user and password."""
    text = str(place)
    scheme, found, rest = text.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if found else text
