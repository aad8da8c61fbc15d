from __future__ import annotations

import stat
from pathlib import Path

import pytest

from moovier.errors import StackError
from moovier.settings import Settings, load_settings
from moovier.stack.environment import (
    MARKER,
    PARALLELISM,
    read_secrets,
    shell_environment,
    stack_environment,
    write_airflow_login,
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return Settings(home=Path("home"), project=Path("project"), mlflow_port=5055, airflow_port=8085)


def test_secrets_are_generated_once_and_private(settings: Settings) -> None:
    first = read_secrets(settings)
    assert read_secrets(settings) == first
    assert stat.S_IMODE(settings.path("secrets.json").stat().st_mode) == 0o600
    assert len(first.jwt_secret) >= 64
    assert first != read_secrets(settings.model_copy(update={"home": Path("elsewhere")}))


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"fernet_key": "x"}'])
def test_damaged_secrets_are_refused_by_file_name(settings: Settings, content: str) -> None:
    settings.path("secrets.json").parent.mkdir()
    settings.path("secrets.json").write_text(content)
    with pytest.raises(StackError, match=r"secrets\.json.*delete it"):
        read_secrets(settings)


def test_environment_has_absolute_paths(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = stack_environment(settings, read_secrets(settings))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    loaded = load_settings()
    assert loaded.home == tmp_path / "home"
    assert loaded.project == tmp_path / "project"
    assert loaded.mlflow_tracking_uri == "http://127.0.0.1:5055"
    assert environment[MARKER] == str(tmp_path / "home")


def test_environment_has_absolute_paths_of_data_and_remote(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    changed = settings.model_copy(update={"data": "mine", "dvc_remote": "../remote"})
    for name, value in stack_environment(changed, read_secrets(changed)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    assert load_settings().data == str(tmp_path / "mine")
    assert load_settings().dvc_remote == str(tmp_path / "../remote")


@pytest.mark.parametrize("remote", ["s3://bucket/folder", "https://example.org/remote"])
def test_data_set_names_and_urls_are_unchanged(settings: Settings, remote: str) -> None:
    changed = settings.model_copy(update={"data": "ml-latest-small", "dvc_remote": remote})
    environment = stack_environment(changed, read_secrets(changed))
    assert environment["MOOVIER_DATA"] == "ml-latest-small"
    assert environment["MOOVIER_DVC_REMOTE"] == remote


def test_stack_uses_its_own_mlflow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    monkeypatch.setenv("NO_PROXY", "example.org")
    environment = stack_environment(settings, read_secrets(settings))
    assert environment["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5055"
    assert environment["NO_PROXY"] == "example.org,127.0.0.1,localhost"


def test_airflow_gets_one_user_with_the_stacks_password(settings: Settings) -> None:
    keys = read_secrets(settings)
    write_airflow_login(settings, keys.airflow_password)
    environment = stack_environment(settings, keys)
    file = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    assert keys.airflow_password in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].startswith(
        "http://127.0.0.1:8085/"
    )


def test_a_worker_is_free_for_the_next_task_while_others_notice_that_theirs_ended(
    settings: Settings,
) -> None:
    workers = stack_environment(settings, read_secrets(settings))["AIRFLOW__CORE__PARALLELISM"]
    assert int(workers) == 2 * PARALLELISM


def test_parallel_trainings_share_the_cores(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    threads = stack_environment(settings, read_secrets(settings))["MOOVIER_TRAIN_THREADS"]
    assert int(threads) * PARALLELISM == 8
    explicit = settings.model_copy(update={"train_threads": 3})
    assert stack_environment(explicit, read_secrets(explicit))["MOOVIER_TRAIN_THREADS"] == "3"
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert stack_environment(settings, read_secrets(settings))["MOOVIER_TRAIN_THREADS"] == "1"


def test_commands_of_a_shell_reach_the_stack_and_are_not_ended_with_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MARKER, raising=False)
    shell, stack = shell_environment(settings), stack_environment(settings, read_secrets(settings))
    assert shell.items() <= stack.items()
    assert MARKER not in shell
    # Only variables that a process of the stack gets for itself are left out.
    own = {name for name in stack if name.startswith(("AIRFLOW", "MLFLOW_TRACKING", "BENTOML"))}
    assert own <= set(shell)
    assert "MOOVIER_TRAIN_THREADS" not in shell
