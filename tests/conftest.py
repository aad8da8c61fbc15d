"""Fixtures and hooks that all test folders share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from moovier.data.ratings import Ratings
from tests.dvc_checkout import REMOTE_BESIDE, new_project, real_remote
from tests.servers import Server, mlflow_server
from tests.worker_processes import WorkerProcesses, running_worker_processes

# Tests share their machine: how long one example takes says nothing about the code.
hypothesis_settings.register_profile("shared machine", deadline=None)
hypothesis_settings.load_profile("shared machine")

#: Folders whose tests run one after the other in one process: whole stacks would slow each other
#: down, and the tests of the real data, of the page and of the API share trained models. Every
#: other file is a group of its own.
_GROUPS = {
    "tests/orchestration": "stacks",
    "tests/integration": "real data",
    "tests/page": "page",
    "tests/service/api": "api",
}


#: Variables that choose the data and the random requests of the tests.
_TEST_OPTIONS = {"MOOVIER_DVC_REMOTE", "MOOVIER_TEST_SEED"}


def pytest_configure() -> None:
    """Remove the settings of the developer's own stack from the environment."""
    for name in [*os.environ]:
        if name.startswith(("MOOVIER_", "AIRFLOW__")) and name not in _TEST_OPTIONS:
            del os.environ[name]
    for name in ("MLFLOW_TRACKING_URI", "TMDB_API_KEY"):
        os.environ.pop(name, None)


# xdist has no types.
class ByFolder(LoadScopeScheduling):  # type: ignore[misc]
    """A scheduler that hands out the groups of :data:`_GROUPS` whole, in the collected order.

    xdist's own ``loadgroup`` appends the group to the node id, which pytest 9 refuses.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        groups = (group for folder, group in _GROUPS.items() if file.startswith(f"{folder}/"))
        return next(groups, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder | None:
    return ByFolder(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the largest groups first, the whole stacks at the head: small ones fill the end."""
    tests = Path(__file__).parent
    order = ("orchestration", "integration", "page", "service")

    def position(item: pytest.Item) -> int:
        folder = item.path.relative_to(tests).parts[0]
        return order.index(folder) if folder in order else len(order)

    items.sort(key=position)


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One MLflow server for the session; each test uses names of its own."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def worker_processes() -> Iterator[WorkerProcesses]:
    """A starter of processes, which are killed at the end of the session."""
    with running_worker_processes() as processes:
        yield processes


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the real ml-latest-small, pulled through DVC once. Do not write to it."""
    from moovier.data import dvc_remote, sources
    from moovier.errors import DataUnavailable
    from moovier.settings import Settings

    address = real_remote()
    if address is None:
        pytest.skip("no DVC remote with the real data: set MOOVIER_DVC_REMOTE")
    project = new_project(tmp_path_factory.mktemp("real") / "project")
    settings = Settings(project=project, home=project / ".moovier", dvc_remote=address)
    pointer = dvc_remote.read_pointer(project, sources.REAL)
    try:
        dvc_remote.pull(pointer, settings)
    except DataUnavailable as error:
        if os.environ.get("CI") == "true" and REMOTE_BESIDE.is_dir():
            pytest.fail(f"CI needs the real data set: {error}")
        pytest.skip(f"the real data set is not available: {error}")
    return pointer.folder


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated sample. Do not write to it."""
    from moovier.data.synthetic import write_sample

    return write_sample(tmp_path_factory.mktemp("sample") / "sample")


@pytest.fixture
def tiny_ratings() -> Ratings:
    """Five users by seven movies: not square, not symmetric.

    User 0 has five ratings that are not sorted by time; user 1 has four, two of them at the same
    moment; user 2 has one; user 3 has none; user 4 has two, ten seconds apart. Nobody rated
    movie 6.
    """
    return Ratings(
        users=np.array([0, 1, 0, 2, 0, 1, 4, 0, 1, 0, 4, 1]),
        movies=np.array([3, 0, 1, 5, 0, 2, 4, 2, 1, 5, 0, 3]),
        stars=np.array([4, 3.5, 5, 0.5, 2, 4.5, 1, 3, 5, 4, 2.5, 1.5], dtype=np.float32),
        timestamps=np.array([50, 10, 40, 7, 10, 30, 1, 20, 30, 30, 11, 90]),
        n_users=5,
        n_movies=7,
    )
