"""Optuna studies: one per family and retraining, resumable and shared by workers.

The storage is a journal file by default, or a database by URL. A worker runs many trials, because
its start costs an import of TensorFlow. When a killed worker leaves a trial running, the next
worker of the same number fails the trial and queues it again. In a database the other workers do
so too, after a time without heartbeat (:mod:`moovier.tuning.storage`).

The objective of ranking families is :attr:`moovier.training.fit.Trained.validation_ndcg`, the
objective of rating families is the mean absolute error on validation rows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from moovier.data.catalogue import Catalogue
from moovier.data.split import Development
from moovier.models.families import family
from moovier.models.family import HyperParameters, OnEpoch
from moovier.models.item_statistics import ItemStatistics
from moovier.training.cluster import Cluster
from moovier.training.fit import Trained, train
from moovier.tuning import storage as study_storage
from moovier.tuning.grids import DefaultTrial, Grids, OnGrids, on_grid
from moovier.tuning.storage import (
    OUTAGE_ERRORS,
    StudyError,
    fail_stale_trials,
    has_heartbeat,
    heartbeat,
    requeue,
    retry,
    storage_of,
)

__all__ = [
    "OBJECTIVES",
    "StudyError",
    "TrialReport",
    "best",
    "default_values",
    "enqueue_defaults",
    "finished_trials",
    "open_study",
    "run_worker",
    "storage_of",
]

#: The metric that a family's trials report after each epoch, and its direction.
OBJECTIVES = {"ranking": ("val_ndcg_at_10", "maximize"), "rating": ("val_loss", "minimize")}
#: Trials before pruning starts, and epochs of a trial before it can be pruned.
STARTUP_TRIALS, WARM_UP_EPOCHS = 4, 2
#: A worker signs its trial at once; a trial without a signature after this time is abandoned.
SIGNED_WITHIN_S = 60.0
#: Seconds between two attempts of an idle worker to get a trial.
_POLL_S = 1.0
#: Distance of the seeds of a worker's sessions: a prime above the number of workers.
_SEED_STEP = 1_000_003
#: Weight of recent popularity in the trial that prefers it.
_POPULAR_WEIGHT = 0.5
#: User attribute of a trial: the number of the worker that runs it.
_WORKER = "worker"


@dataclass(frozen=True)
class TrialReport:
    """A finished trial.

    ``value``: the objective, None unless the trial completed. ``state``: ``complete``, ``pruned``
    or ``fail``. ``curves``: one value an epoch for each metric.
    """

    number: int
    params: Mapping[str, Any]
    value: float | None
    state: str
    curves: Mapping[str, list[float]]
    seconds: float


OnTrial = Callable[[TrialReport], None]


def open_study(
    storage: BaseStorage, name: str, family_name: str, *, seed: int, worker: int
) -> Study:
    """Open the study ``name``, or create it.

    Each worker has a seed of its own: with equal seeds they would try the same first trials.
    A single worker on a new study is reproducible.
    """
    _, direction = OBJECTIVES[family(family_name).objective]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction=direction,
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=STARTUP_TRIALS, n_warmup_steps=WARM_UP_EPOCHS
        ),
    )
    # Offset by the number of trials, or a restarted worker would draw its first trials again.
    n_trials = len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(
        seed=(seed * 1000 + worker + n_trials * _SEED_STEP) % 2**32, n_startup_trials=8
    )
    return study


def run_worker(
    study: Study,
    split: Development,
    family_name: str,
    *,
    catalogue: Catalogue,
    worker: int,
    trials: int,
    seed: int,
    threads: int,
    on_trial: OnTrial | None = None,
    statistics: ItemStatistics | None = None,
    grids: Grids = MappingProxyType({}),
    cluster: Cluster | None = None,
) -> None:
    """Run trials until the study has ``trials``, over all workers and sessions.

    ``worker``: this worker's number, from 0; two running workers may not share a number. Every
    trial trains with the same ``seed``, so that trials differ by their parameters only.
    ``statistics``: sums that trials share. ``grids``: the only values of some parameters.
    ``cluster``: trains the families of a cluster.

    During an outage of the database the worker waits; at worst the running trial runs again. A
    worker without a trial stays until the workers of the last trials are known to be alive: if one
    of them dies, it runs that trial.

    Raises:
        StudyError: The study can no longer be written to.
    """
    outage_since: float | None = None
    idle_since: float | None = None
    training = _Training(split, family_name, catalogue, seed, threads, statistics, grids, cluster)
    starting = True
    while True:
        try:
            if starting:
                _take_over(study, worker)
                starting = False
            fail_stale_trials(study)
            trial = _claim(study, worker, trials)
            if trial is None:
                idle_since = idle_since or time.monotonic()
                if _is_finished(study, time.monotonic() - idle_since):
                    return
                time.sleep(_POLL_S)
                continue
            idle_since = None
            report = _run_trial(study, trial, training)
            outage_since = None
        except OUTAGE_ERRORS as error:
            outage_since = outage_since or time.monotonic()
            if time.monotonic() - outage_since > study_storage.PATIENCE_S:
                raise _unwritable(study, error) from error
            starting = True
            time.sleep(_POLL_S)
            continue
        except OSError as error:
            raise _unwritable(study, error) from error
        if report is not None and on_trial is not None:
            on_trial(report)


def _unwritable(study: Study, error: Exception) -> StudyError:
    return StudyError(
        f"the study {study.study_name} cannot be written to: {error}; start the tuning again to "
        "resume the study when its storage is available"
    )


def enqueue_defaults(
    study: Study,
    family_name: str,
    *,
    popular_days: int = 0,
    grids: Grids = MappingProxyType({}),
) -> None:
    """Queue the family's defaults as the first trial of a study without trials.

    Tuning is then never worse than the defaults on the validation part. ``popular_days``: the
    window of popularity that is best on validation, 0 for all time. A family that can prefer what
    is popular recently tries this window in its second trial. ``grids``: the only values of some
    parameters; a default that is none of them is replaced by the nearest one.
    """
    values = default_values(family_name, grids)
    if values is None or study.get_trials(deepcopy=False):
        return
    study.enqueue_trial(values)
    if popular_days and {"popular_days", "popular_weight"} <= values.keys():
        recent = {"popular_days": popular_days, "popular_weight": _POPULAR_WEIGHT}
        study.enqueue_trial({**values, **recent})


def default_values(family_name: str, grids: Grids = MappingProxyType({})) -> dict[str, Any] | None:
    """Return the family's defaults as a trial's values; None if the space does not hold them.

    ``grids``: see :func:`enqueue_defaults`.
    """
    kind = family(family_name)
    trial = DefaultTrial(_defaults(kind.hyper_parameters))
    try:
        kind.search_space(trial)
    except LookupError:
        return None
    return {name: on_grid(value, grids.get(name)) for name, value in trial.suggested.items()}


def _defaults(space: type[HyperParameters]) -> dict[str, Any]:
    fields = space.model_fields.items()
    return {name: field.default for name, field in fields if not field.is_required()}


def best(study: Study, family_name: str) -> HyperParameters | None:
    """Return the best completed trial's hyper-parameters; None if no trial completed."""
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return None
    return family(family_name).search_space(optuna.trial.FixedTrial(study.best_trial.params))


def finished_trials(study: Study, family_name: str) -> list[TrialReport]:
    """Return the completed and pruned trials, by number.

    The study stores only the curve of the objective.
    """
    kind = family(family_name)
    monitor, _ = OBJECTIVES[kind.objective]
    return [
        TrialReport(
            number=trial.number,
            params=kind.search_space(optuna.trial.FixedTrial(trial.params)).model_dump(mode="json"),
            value=trial.value if trial.state is TrialState.COMPLETE else None,
            state=trial.state.name.lower(),
            curves={monitor: [value for _, value in sorted(trial.intermediate_values.items())]},
            seconds=trial.duration.total_seconds() if trial.duration else 0.0,
        )
        for trial in study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)
        )
    ]


#: States that count against the budget. Running trials count, so that workers do not exceed it.
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


def _claim(study: Study, worker: int, budget: int) -> optuna.Trial | None:
    """Start a trial and sign it; return None if the budget is used up."""
    if len(study.get_trials(deepcopy=False, states=_COUNTED)) >= budget:
        return None
    if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        # Signed in the queue: if this worker dies before it signs the running trial, the next
        # worker of its number can take the trial over at once.
        study.enqueue_trial({}, user_attrs={_WORKER: worker})
    trial = study.ask()
    trial.set_user_attr(_WORKER, worker)
    earlier = [
        counted
        for counted in study.get_trials(deepcopy=False, states=_COUNTED)
        if counted.number < trial.number
    ]
    if len(earlier) < budget:
        return trial
    # Another worker claimed the last free place at the same moment, with a lower trial number.
    trial.set_user_attr("over the budget", True)
    study.tell(trial, state=TrialState.FAIL)
    return None


def _is_finished(study: Study, idle_s: float) -> bool:
    """Return whether a worker that has been idle for ``idle_s`` can end."""
    if not has_heartbeat(study):
        return True
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    # By then the trial of a worker that died before this one became idle has been failed.
    return not running or idle_s > study_storage.GRACE_S + study_storage.HEARTBEAT_S


@dataclass(frozen=True)
class _Training:
    """The inputs that all trials share."""

    split: Development
    family_name: str
    catalogue: Catalogue
    seed: int
    threads: int
    statistics: ItemStatistics | None
    grids: Grids
    cluster: Cluster | None

    def run(self, params: HyperParameters, on_epoch: OnEpoch) -> Trained:
        return train(
            self.split,
            self.family_name,
            params,
            catalogue=self.catalogue,
            seed=self.seed,
            threads=self.threads,
            on_epoch=on_epoch,
            statistics=self.statistics,
            cluster=self.cluster,
        )


def _run_trial(study: Study, trial: optuna.Trial, training: _Training) -> TrialReport | None:
    """Run a trial and report it.

    None if the other workers took this one for dead and queued the trial again.
    """
    kind = family(training.family_name)
    monitor, _ = OBJECTIVES[kind.objective]
    curves: dict[str, list[float]] = {}
    started = time.perf_counter()

    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
        for name, metric in metrics.items():
            curves.setdefault(name, []).append(metric)
        if monitor in metrics:
            # Only pruning needs the report, so an outage does not end the training.
            with contextlib.suppress(*OUTAGE_ERRORS):
                trial.report(metrics[monitor], epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned

    value, state = None, TrialState.COMPLETE
    try:
        with heartbeat(study, trial):
            params = kind.search_space(OnGrids(trial, training.grids))
            trained = training.run(params, on_epoch)
        value = (
            trained.validation_ndcg
            if kind.objective == "ranking"
            else min(trained.fitted.curves[monitor])
        )
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    except BaseException:
        # Also on an interrupt, so that no other worker waits for this trial.
        with contextlib.suppress(*OUTAGE_ERRORS):
            study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        raise
    # Without a state, Optuna fails a trial whose value is not a number.
    forced_state = None if state is TrialState.COMPLETE else state
    stored = retry(lambda: study.tell(trial, value, forced_state, skip_if_finished=True))
    if stored.state is not state:
        return None
    seconds = time.perf_counter() - started
    values = params.model_dump(mode="json")
    return TrialReport(trial.number, values, value, state.name.lower(), curves, seconds)


def _take_over(study: Study, worker: int) -> None:
    """Fail the trials that this worker's predecessor left running, and queue them again."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_abandoned(trial, worker):
            failed = study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            if trial.params:
                requeue(study, failed)


def _is_abandoned(trial: FrozenTrial, worker: int) -> bool:
    """Return whether a new worker of this number may take the running trial over."""
    if _WORKER in trial.user_attrs:
        return bool(trial.user_attrs[_WORKER] == worker)
    # A living worker signs its trial within this time.
    started: datetime = trial.datetime_start
    return datetime.now() - started > timedelta(seconds=SIGNED_WITHIN_S)
