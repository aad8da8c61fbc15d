"""One Optuna study per family and retraining, resumable and shared by workers.

Storage is a journal file by default and a database by URL. A worker runs many trials, because
starting one costs an import of TensorFlow. The trial that a killed worker left running is failed
and put back in the queue when a worker of that number starts again; in a database also by the
other workers, when they have not heard of it for long (``moovier.tuning.storage``).

The objective of ranking families is :attr:`moovier.training.fit.Trained.validation_ndcg`, that of
rating families their mean absolute error on validation rows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from moovier.data.catalogue import Catalogue
from moovier.data.split import Development
from moovier.models.families import family
from moovier.models.family import HyperParameters
from moovier.training.fit import train
from moovier.tuning import storage as keeping
from moovier.tuning.storage import (
    AWAY,
    StudyError,
    beats,
    fail_stale_trials,
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

#: What a family's trials report, epoch by epoch, and which way is better.
OBJECTIVES = {"ranking": ("val_ndcg_at_10", "maximize"), "rating": ("val_loss", "minimize")}
#: Trials before pruning begins, and epochs of a trial that are never pruned.
STARTUP_TRIALS, WARM_UP_EPOCHS = 4, 2
#: A worker signs its trial right after it got it; one that has no name after this was left.
SIGNED_WITHIN_S = 60.0
#: How often an idle worker looks whether there is something to do after all.
_LOOK_AGAIN_S = 1.0
#: A prime beyond the number of workers.
_SEEDS_APART = 1_000_003
_WORKER = "worker"


@dataclass(frozen=True)
class TrialReport:
    """One ended trial. ``value``: its objective, None unless it completed. ``state``:
    ``complete``, ``pruned`` or ``fail``. ``curves``: per figure one value an epoch."""

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
    """The study called ``name``, made if need be.

    Workers draw from seeds of their own: with equal seeds they would try the same first trials.
    A single worker on a new study repeats itself exactly.
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
    # Offset by what there is: a worker that starts again would draw its first trials once more.
    there = len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(
        seed=(seed * 1000 + worker + there * _SEEDS_APART) % 2**32, n_startup_trials=8
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
) -> None:
    """Run trials until the study holds ``trials``, over all workers and sessions, and no more.

    ``worker`` is this worker's number, from 0: no two that run at a time may share one. Every
    trial trains with the same ``seed``, so that trials differ by their parameters alone.

    A database that goes away is waited for; at worst the trial that was running is run again. With
    nothing left to begin, a worker stays until it has seen that those who run the last trials are
    alive: if one of them dies, it runs that trial.

    Raises:
        StudyError: the study can no longer be written to.
    """
    away_since: float | None = None
    idle_since: float | None = None
    fresh = True
    while True:
        try:
            if fresh:
                _take_over(study, worker)
                fresh = False
            fail_stale_trials(study)
            trial = _claim(study, worker, trials)
            if trial is None:
                idle_since = idle_since or time.monotonic()
                if _is_finished(study, time.monotonic() - idle_since):
                    return
                time.sleep(_LOOK_AGAIN_S)
                continue
            idle_since = None
            report = _run_trial(study, trial, split, family_name, catalogue, seed, threads)
            away_since = None
        except AWAY as error:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > keeping.PATIENCE_S:
                raise StudyError(f"the study {study.study_name} is away: {error}") from error
            fresh = True
            time.sleep(_LOOK_AGAIN_S)
            continue
        except OSError as error:
            raise StudyError(
                f"the study {study.study_name} cannot be written to: {error}"
            ) from error
        if report is not None and on_trial is not None:
            on_trial(report)


def enqueue_defaults(study: Study, family_name: str) -> None:
    """Let the family's defaults be the first trial of a study without trials.

    Tuning then never ends below the defaults on the validation part.
    """
    values = default_values(family_name)
    if values is not None and not study.get_trials(deepcopy=False):
        study.enqueue_trial(values)


def default_values(family_name: str) -> dict[str, Any] | None:
    """Return the family's defaults as values of a trial; None where they are no such values."""
    kind = family(family_name)
    trial = _DefaultTrial(_defaults(kind.hyper_parameters))
    try:
        kind.search_space(trial)
    except LookupError:
        return None
    return trial.suggested


def _defaults(space: type[HyperParameters]) -> dict[str, Any]:
    fields = space.model_fields.items()
    return {name: field.default for name, field in fields if not field.is_required()}


class _DefaultTrial:
    """A trial that suggests default values, and keeps them in ``suggested``.

    Raises LookupError for a parameter without a default in the search space.
    """

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self._defaults = defaults
        self.suggested: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._suggest(name, low <= self._defaults[name] <= high))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        value = self._defaults[name]
        return int(self._suggest(name, low <= value <= high and (value - low) % step == 0))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._suggest(name, self._defaults[name] in choices)

    def _suggest(self, name: str, inside: bool) -> Any:
        if not inside:
            raise LookupError(f"the default of {name} is outside the search space")
        self.suggested[name] = self._defaults[name]
        return self._defaults[name]


def best(study: Study, family_name: str) -> HyperParameters | None:
    """The best completed trial's hyper-parameters; None where no trial completed."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not done:
        return None
    return family(family_name).search_space(optuna.trial.FixedTrial(study.best_trial.params))


def finished_trials(study: Study, family_name: str) -> list[TrialReport]:
    """The completed and pruned trials, by number, as their workers reported them; of the curves
    the study keeps the objective's alone."""
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


#: Trials that count against the budget. Running ones do, so that workers together don't overshoot.
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


def _claim(study: Study, worker: int, budget: int) -> optuna.Trial | None:
    """A trial of this worker's own, running; None where the study has its budget."""
    if len(study.get_trials(deepcopy=False, states=_COUNTED)) >= budget:
        return None
    if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        # Signed before it runs: whoever is killed in between leaves no trial that nobody dares to
        # take over, and that counts against the budget for a minute.
        study.enqueue_trial({}, user_attrs={_WORKER: worker})
    trial = study.ask()
    trial.set_user_attr(_WORKER, worker)
    earlier = [
        one
        for one in study.get_trials(deepcopy=False, states=_COUNTED)
        if one.number < trial.number
    ]
    if len(earlier) < budget:
        return trial
    # Another worker saw the last free place at the same moment, and its number is the lower one.
    trial.set_user_attr("over the budget", True)
    study.tell(trial, state=TrialState.FAIL)
    return None


def _is_finished(study: Study, idle_s: float) -> bool:
    """Whether nothing is left to do, for a worker that found no place in the budget so long."""
    if not beats(study):
        return True
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    # Whoever was dead when this worker fell idle is known to be by then.
    return not running or idle_s > keeping.GRACE_S + keeping.HEARTBEAT_S


def _run_trial(
    study: Study,
    trial: optuna.Trial,
    split: Development,
    family_name: str,
    catalogue: Catalogue,
    seed: int,
    threads: int,
) -> TrialReport | None:
    """None where the others took this worker for dead and gave the trial to somebody else."""
    kind = family(family_name)
    monitor, _ = OBJECTIVES[kind.objective]
    curves: dict[str, list[float]] = {}
    started = time.perf_counter()

    def on_epoch(epoch: int, figures: Mapping[str, float]) -> None:
        for name, figure in figures.items():
            curves.setdefault(name, []).append(figure)
        if monitor in figures:
            # Nothing is lost with it but an advice, so an outage need not end the training.
            with contextlib.suppress(*AWAY):
                trial.report(figures[monitor], epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned

    value, state = None, TrialState.COMPLETE
    try:
        with heartbeat(study, trial):
            params = kind.search_space(trial)
            trained = train(
                split,
                family_name,
                params,
                catalogue=catalogue,
                seed=seed,
                threads=threads,
                on_epoch=on_epoch,
            )
        value = (
            trained.validation_ndcg
            if kind.objective == "ranking"
            else min(trained.fitted.curves[monitor])
        )
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    except BaseException:
        # Also when interrupted: nobody else may wait for a trial that has ended.
        with contextlib.suppress(*AWAY):
            study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        raise
    # A value that is no number fails the trial, unless the state is said.
    said = None if state is TrialState.COMPLETE else state
    told = retry(lambda: study.tell(trial, value, said, skip_if_finished=True))
    if told.state is not state:
        return None
    seconds = time.perf_counter() - started
    named = params.model_dump(mode="json")
    return TrialReport(trial.number, named, value, state.name.lower(), curves, seconds)


def _take_over(study: Study, worker: int) -> None:
    """Fail what this worker's predecessor left running, and queue its parameters again."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_lost(trial, worker):
            failed = study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            if trial.params:
                requeue(study, failed)


def _is_lost(trial: FrozenTrial, worker: int) -> bool:
    """Whether nobody works on this running trial, as far as a new worker of this number knows."""
    if _WORKER in trial.user_attrs:
        return bool(trial.user_attrs[_WORKER] == worker)
    # A living worker may be about to sign it; a dead one never will.
    started: datetime = trial.datetime_start
    return datetime.now() - started > timedelta(seconds=SIGNED_WITHIN_S)
