"""Studies: resuming, sharing, pruning, taking trials over, and storage errors."""

from __future__ import annotations

import threading
from pathlib import Path
from types import MappingProxyType

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from moovier.models import families
from moovier.tuning import study as tuning
from moovier.tuning.grids import OnGrids
from moovier.tuning.study import StudyError, TrialReport, open_study, run_worker, storage_of
from tests.unit.tuning.tiny import BEST, CATALOGUE, EPOCHS, TinyFamily, TinyParams, split

SPLIT = split()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> TinyFamily:
    family = TinyFamily()
    table = MappingProxyType({**families.FAMILIES, "tiny": family})
    monkeypatch.setattr(families, "FAMILIES", table)
    return family


@pytest.fixture
def storage(tmp_path: Path) -> BaseStorage:
    return storage_of(tmp_path / "deep" / "study.log")


def run(
    storage: BaseStorage, trials: int, *, worker: int = 0, name: str = "s", seed: int = 0
) -> list[TrialReport]:
    """Run a worker and return its reports."""
    reports: list[TrialReport] = []
    run_worker(
        open_study(storage, name, "tiny", seed=seed, worker=worker),
        SPLIT,
        "tiny",
        catalogue=CATALOGUE,
        worker=worker,
        trials=trials,
        seed=seed,
        threads=1,
        on_trial=reports.append,
    )
    return reports


def opened(storage: BaseStorage) -> optuna.Study:
    return open_study(storage, "s", "tiny", seed=0, worker=0)


def test_a_study_resumes_where_it_stopped(tiny: TinyFamily, tmp_path: Path) -> None:
    first = run(storage_of(tmp_path / "study.log"), 2)
    again = run(storage_of(tmp_path / "study.log"), 4)
    assert [report.number for report in first + again] == [0, 1, 2, 3]
    assert len(tiny.fitted) == 4
    assert run(storage_of(tmp_path / "study.log"), 4) == []


def test_reports_equal_the_stored_trials(tiny: TinyFamily, storage: BaseStorage) -> None:
    reports = run(storage, 5)
    for report, stored in zip(
        reports, tuning.finished_trials(opened(storage), "tiny"), strict=True
    ):
        assert (stored.number, stored.params, stored.state) == (
            report.number,
            report.params,
            report.state,
        )
        assert stored.value == report.value
        assert stored.curves["val_loss"] == report.curves["val_loss"]
    assert reports[0].value == pytest.approx(abs(reports[0].params["lean"] - BEST) + 1 / EPOCHS)
    assert set(reports[0].curves) == {"loss", "val_loss"}


def test_a_single_worker_is_reproducible(tiny: TinyFamily, tmp_path: Path) -> None:
    once = run(storage_of(tmp_path / "a.log"), 10, seed=3)
    again = run(storage_of(tmp_path / "b.log"), 10, seed=3)
    other = run(storage_of(tmp_path / "c.log"), 10, seed=4)
    assert [r.params for r in once] == [r.params for r in again]
    assert [r.params for r in once] != [r.params for r in other]


def test_tuning_finds_the_best_parameters(tiny: TinyFamily, storage: BaseStorage) -> None:
    run(storage, 25)
    best = tuning.best(opened(storage), "tiny")
    assert isinstance(best, TinyParams)
    assert best.lean == pytest.approx(BEST, abs=0.1)


def test_two_workers_share_one_budget(tiny: TinyFamily, tmp_path: Path) -> None:
    path = tmp_path / "study.log"
    together = threading.Barrier(2, timeout=60)
    seen: dict[int, list[TrialReport]] = {}

    def meet(params: object) -> None:
        if len(tiny.fitted) < 2:
            together.wait()

    tiny.before_fit = meet
    threads = [
        threading.Thread(
            target=lambda worker=worker: seen.update(
                {worker: run(storage_of(path), 12, worker=worker)}
            )
        )
        for worker in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert seen[0]
    assert seen[1]
    numbers = sorted(report.number for reports in seen.values() for report in reports)
    # Both may claim the last free place at the same moment.
    assert numbers in (list(range(12)), list(range(13)))
    leans = [report.params["lean"] for reports in seen.values() for report in reports]
    assert len(set(leans)) == len(leans), "each worker has a seed of its own"


def test_a_dead_predecessors_trial_fails_and_runs_again(
    tiny: TinyFamily, storage: BaseStorage
) -> None:
    lost = opened(storage).ask({"lean": optuna.distributions.FloatDistribution(0.0, 1.0)})
    lost.set_user_attr("worker", 0)
    others = opened(storage).ask({"lean": optuna.distributions.FloatDistribution(0.0, 1.0)})
    others.set_user_attr("worker", 1)
    reports = run(storage, 4)
    states = {trial.number: trial.state for trial in opened(storage).get_trials()}
    assert states[lost.number] is TrialState.FAIL
    assert states[others.number] is TrialState.RUNNING, "the other worker may be alive"
    assert reports[0].params["lean"] == lost.params["lean"]
    assert len(reports) == 3


def test_an_unsigned_trial_is_taken_over_after_a_while(
    tiny: TinyFamily, storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsigned = opened(storage).ask()
    run(storage, 2)
    assert opened(storage).get_trials()[unsigned.number].state is TrialState.RUNNING
    monkeypatch.setattr(tuning, "SIGNED_WITHIN_S", 0.0)
    run(storage, 2)
    assert opened(storage).get_trials()[unsigned.number].state is TrialState.FAIL


def test_a_bad_trial_is_pruned(tiny: TinyFamily, storage: BaseStorage) -> None:
    study = opened(storage)
    for lean in (0.5, 0.6, 0.8, 0.9, 0.7, 0.0):
        study.enqueue_trial({"lean": lean})
    reports = run(storage, 6)
    assert [report.state for report in reports] == ["complete"] * 5 + ["pruned"]
    assert reports[-1].value is None
    assert tiny.epochs_run[-1] == tuning.WARM_UP_EPOCHS + 1
    best = tuning.best(opened(storage), "tiny")
    assert isinstance(best, TinyParams)
    assert best.lean == 0.7


def test_a_training_error_fails_its_trial_and_is_raised(
    tiny: TinyFamily, storage: BaseStorage
) -> None:
    def break_down(params: object) -> None:
        raise ZeroDivisionError("nothing left")

    tiny.before_fit = break_down
    with pytest.raises(ZeroDivisionError):
        run(storage, 3)
    assert [trial.state for trial in opened(storage).get_trials()] == [TrialState.FAIL]
    assert tuning.best(opened(storage), "tiny") is None
    tiny.before_fit = lambda params: None
    assert len(run(storage, 3)) == 3


def test_an_interrupted_trial_fails(tiny: TinyFamily, storage: BaseStorage) -> None:
    def interrupt(params: object) -> None:
        raise KeyboardInterrupt

    tiny.before_fit = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(storage, 3)
    assert [trial.state for trial in opened(storage).get_trials()] == [TrialState.FAIL]


def test_a_study_without_completed_trials_has_no_best(
    tiny: TinyFamily, storage: BaseStorage
) -> None:
    study = opened(storage)
    assert tuning.best(study, "tiny") is None
    assert tuning.finished_trials(study, "tiny") == []
    study.tell(study.ask(), state=TrialState.PRUNED)
    assert tuning.best(study, "tiny") is None


def test_ranking_is_maximised_and_rating_errors_are_minimised(storage: BaseStorage) -> None:
    study = open_study(storage, "ease", "ease", seed=0, worker=0)
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    study = open_study(storage, "emb", "emb", seed=0, worker=0)
    assert study.direction is optuna.study.StudyDirection.MINIMIZE


def test_a_storage_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StudyError, match="cannot be opened"):
        storage_of(tmp_path / "file" / "study.log")


def test_the_error_of_an_unreachable_database_hides_the_password() -> None:
    with pytest.raises(StudyError, match=r"postgresql://127\.0\.0\.1:9/x") as caught:
        storage_of("postgresql://ann:secret@127.0.0.1:9/x")
    assert "secret" not in str(caught.value)


def test_a_full_disk_is_an_error(tiny: TinyFamily, storage: BaseStorage, tmp_path: Path) -> None:
    class Full:
        """A backend that accepts three more writes, like a nearly full disk."""

        def __init__(self, backend: object) -> None:
            self.backend, self.left = backend, 3

        def read_logs(self, number: int) -> object:
            return self.backend.read_logs(number)  # type: ignore[attr-defined]

        def append_logs(self, logs: object) -> None:
            self.left -= 1
            if self.left < 0:
                raise OSError(28, "No space left on device")
            self.backend.append_logs(logs)  # type: ignore[attr-defined]

    study = opened(storage)
    backend = storage._backend  # type: ignore[attr-defined]
    storage._backend = Full(backend)  # type: ignore[attr-defined]
    with pytest.raises(StudyError, match="No space left"):
        run_worker(study, SPLIT, "tiny", catalogue=CATALOGUE, worker=0, trials=2, seed=0, threads=1)


def test_a_worker_killed_before_its_trial_runs_leaves_a_signed_trial(
    tiny: TinyFamily, storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Trial, "set_user_attr", killed)
        with pytest.raises(SystemExit):
            run(storage, 2)
    assert [report.state for report in run(storage, 2)] == ["complete", "complete"]
    states = [trial.state for trial in opened(storage).get_trials()]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]


def test_the_last_place_of_the_budget_is_taken_once(
    tiny: TinyFamily, storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(storage, 2)
    ask = optuna.Study.ask
    rivals: list[optuna.Trial] = []

    def ask_after_a_rival(study: optuna.Study) -> optuna.Trial:
        if not rivals:
            rivals.append(ask(study))
        return ask(study)

    monkeypatch.setattr(optuna.Study, "ask", ask_after_a_rival)
    assert run(storage, 3, worker=1) == []
    assert len(tiny.fitted) == 2, "no training exceeds the budget"
    withdrawn = opened(storage).get_trials()[-1]
    assert withdrawn.number > rivals[0].number
    assert withdrawn.state is TrialState.FAIL
    assert withdrawn.user_attrs["over the budget"]


def test_a_trial_that_kills_its_workers_is_retried_once(
    tiny: TinyFamily, storage: BaseStorage
) -> None:
    first = opened(storage).ask({"lean": optuna.distributions.FloatDistribution(0.0, 1.0)})
    first.set_user_attr("worker", 0)
    # The next worker takes the trial over and dies as well.
    tuning._take_over(opened(storage), 0)
    again = opened(storage).ask()
    again.set_user_attr("worker", 0)
    assert again.params == first.params
    (report,) = run(storage, 1)
    assert report.params["lean"] != first.params["lean"]
    states = [trial.state for trial in opened(storage).get_trials()]
    assert states == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]


@pytest.mark.parametrize("name", ["dae", "ease", "taste", "elsa", "als"])
def test_the_defaults_are_the_first_trial_of_a_study(name: str, storage: BaseStorage) -> None:
    study = open_study(storage, "s", name, seed=0, worker=0)
    for _ in range(2):
        tuning.enqueue_defaults(study, name)
    (waiting,) = study.get_trials(deepcopy=False)
    assert waiting.state is TrialState.WAITING
    kind = families.family(name)
    trial = study.ask()
    assert kind.search_space(trial) == kind.hyper_parameters.model_validate({})
    study.tell(trial, 0.1)
    assert tuning.best(study, name) == kind.hyper_parameters.model_validate({})


def test_the_best_window_of_popularity_is_tried_after_the_defaults(storage: BaseStorage) -> None:
    study = open_study(storage, "s", "dae", seed=0, worker=0)
    tuning.enqueue_defaults(study, "dae", popular_days=30)
    kind = families.family("dae")
    first, second = kind.search_space(study.ask()), kind.search_space(study.ask())
    assert first == kind.hyper_parameters.model_validate({})
    recent = {"popular_days": 30, "popular_weight": 0.5}
    assert second == kind.hyper_parameters.model_validate(recent)


def test_defaults_outside_a_grid_are_moved_to_the_nearest_value(storage: BaseStorage) -> None:
    study = open_study(storage, "s", "elsa", seed=0, worker=0)
    grids = {"size": (32, 64), "epochs": (10, 15)}
    tuning.enqueue_defaults(study, "elsa", grids=grids)
    kind = families.family("elsa")
    first = kind.search_space(OnGrids(study.ask(), grids))
    assert first == kind.hyper_parameters.model_validate({"size": 64, "epochs": 15})


def test_defaults_outside_the_search_space_are_not_queued(storage: BaseStorage) -> None:
    assert tuning.default_values("emb") is None
    study = open_study(storage, "s", "emb", seed=0, worker=0)
    tuning.enqueue_defaults(study, "emb")
    assert not study.get_trials(deepcopy=False)


def test_a_study_with_trials_gets_no_defaults(storage: BaseStorage) -> None:
    study = open_study(storage, "s", "ease", seed=0, worker=0)
    study.tell(study.ask(), 0.2)
    tuning.enqueue_defaults(study, "ease")
    assert len(study.get_trials(deepcopy=False)) == 1
