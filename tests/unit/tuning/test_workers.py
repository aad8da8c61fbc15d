"""Worker processes that share a study in a real Postgres and die in the middle of it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import optuna
import psycopg
import pytest
from optuna.trial import FrozenTrial, TrialState

from moovier.models import families
from moovier.tuning.study import open_study, run_worker, storage_of
from tests.fakes.relay import Relay, relay_before
from tests.postgres import own_database
from tests.servers import end_group, free_port
from tests.unit.tuning.tiny import CATALOGUE, TinyFamily, split
from tests.worker_processes import WorkerProcesses

SOON = {"moovier.tuning.storage.HEARTBEAT_S": 1, "moovier.tuning.storage.GRACE_S": 4}
_PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with own_database() as database_url:
        yield database_url


def work(
    url: str, name: str, worker: int, trials: int, *, fit_s: float = 0.0, stuck: str | None = None
) -> list[int]:
    """Run a worker and return the numbers of its reported trials.

    Each fit takes ``fit_s`` seconds. With ``stuck``, the first fit creates that file and hangs.
    """
    family = TinyFamily()

    def before_fit(_params: object) -> None:
        if stuck is not None:
            Path(stuck).touch()
            time.sleep(3600)
        time.sleep(fit_s)

    family.before_fit = before_fit
    families.FAMILIES = MappingProxyType({**families.FAMILIES, "tiny": family})
    reported: list[int] = []
    run_worker(
        open_study(storage_of(url), name, "tiny", seed=0, worker=worker),
        split(),
        "tiny",
        catalogue=CATALOGUE,
        worker=worker,
        trials=trials,
        seed=0,
        threads=1,
        on_trial=lambda report: reported.append(report.number),
    )
    return reported


def trials_of(url: str, name: str) -> list[FrozenTrial]:
    trials: list[FrozenTrial] = optuna.load_study(study_name=name, storage=url).get_trials()
    return trials


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"not true after {_PATIENCE_S} s"
        time.sleep(0.05)


def assert_finished(trials: list[FrozenTrial], budget: int, reported: list[int]) -> None:
    """Assert that the study used its budget, runs no trial, and each trial was reported once."""
    ended = [trial.number for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(ended) == budget
    assert sorted(reported) == ended
    assert not [trial.number for trial in trials if trial.state is TrialState.RUNNING]


def test_a_killed_workers_trial_runs_again(
    url: str, worker_processes: WorkerProcesses, tmp_path: Path
) -> None:
    stuck = tmp_path / "stuck"
    victim = worker_processes.start(work, url, "killed", 1, 6, stuck=str(stuck), changed=SOON)
    wait_for(stuck.exists)
    survivor = worker_processes.start(work, url, "killed", 0, 6, fit_s=0.1, changed=SOON)
    wait_for(lambda: any(trial.state is TrialState.COMPLETE for trial in trials_of(url, "killed")))
    victim.kill()
    reported = survivor.result()
    trials = trials_of(url, "killed")
    assert_finished(trials, 6, reported)
    (lost,) = [trial for trial in trials if trial.state is TrialState.FAIL]
    assert lost.user_attrs["worker"] == 1
    (again,) = [
        trial for trial in trials if trial.system_attrs.get("retry_history") == [lost.number]
    ]
    assert again.params == lost.params
    # With the same budget a worker has nothing to do; with a larger one it continues.
    assert worker_processes.start(work, url, "killed", 1, 6).result() == []
    more = worker_processes.start(work, url, "killed", 1, 8).result()
    assert_finished(trials_of(url, "killed"), 8, reported + more)


def test_racing_workers_do_not_exceed_the_budget(
    url: str, worker_processes: WorkerProcesses
) -> None:
    workers = [worker_processes.start(work, url, "race", worker, 10) for worker in range(3)]
    reported = [job.result() for job in workers]
    trials = trials_of(url, "race")
    assert_finished(trials, 10, [number for numbers in reported for number in numbers])
    leans = [trial.params["lean"] for trial in trials if trial.state is not TrialState.FAIL]
    assert len(set(leans)) == len(leans), "each worker has a seed of its own"
    withdrawn = Counter(trial.user_attrs.get("over the budget") for trial in trials)
    assert withdrawn[True] == len([trial for trial in trials if trial.state is TrialState.FAIL])


def test_cut_connections_lose_no_trial(url: str, worker_processes: WorkerProcesses) -> None:
    with relay_before(url) as relay:
        through = f"{url.rpartition('@')[0]}@{relay.address.removeprefix('http://')}"
        through += f"/{url.rpartition('/')[2]}"
        job = worker_processes.start(work, through, "cut", 0, 8, fit_s=0.4, changed=SOON)
        wait_for(lambda: study_has(url, "cut", 1))
        terminate(url)
        wait_for(lambda: study_has(url, "cut", 2))
        interrupt(relay, 3.0)
        wait_for(lambda: study_has(url, "cut", 4))
        terminate(url)
        reported = job.result()
    assert_finished(trials_of(url, "cut"), 8, reported)


def study_has(url: str, name: str, number: int) -> bool:
    """Return whether the study has ``number`` finished trials."""
    with contextlib.suppress(KeyError):
        return sum(bool(trial.state.is_finished()) for trial in trials_of(url, name)) >= number
    return False


def terminate(url: str) -> None:
    """Close all connections, as a restart of Postgres does."""
    with contextlib.closing(psycopg.connect(url)) as server, server.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.rowcount > 0


def interrupt(relay: Relay, seconds: float) -> None:
    relay.cut()
    time.sleep(seconds)
    relay.restore()


def test_the_dashboard_shows_the_study(url: str) -> None:
    study = optuna.create_study(storage=url, study_name="shown", load_if_exists=True)
    study.optimize(lambda trial: trial.suggest_float("lean", 0, 1), n_trials=3)
    port = free_port()
    program = Path(sys.executable).with_name("optuna-dashboard")
    process = subprocess.Popen(
        [program, "--host", "127.0.0.1", "--port", str(port), url],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        shown: dict[str, Any] = {}

        def answers() -> bool:
            assert process.poll() is None
            with contextlib.suppress(httpx.HTTPError):
                response = httpx.get(f"http://127.0.0.1:{port}/api/studies", trust_env=False)
                shown.update(response.raise_for_status().json())
            return bool(shown)

        wait_for(answers)
        (summary,) = [
            entry for entry in shown["study_summaries"] if entry["study_name"] == study.study_name
        ]
        details = httpx.get(
            f"http://127.0.0.1:{port}/api/studies/{summary['study_id']}",
            params={"after": 0},
            trust_env=False,
            timeout=30,
        ).raise_for_status()
        assert [trial["number"] for trial in details.json()["trials"]] == [0, 1, 2]
        assert {trial["state"] for trial in details.json()["trials"]} == {"Complete"}
    finally:
        end_group(process)
