"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from moovier.data.ratings import Ratings
from tests.dvc_checkout import REMOTE_BESIDE, new_project, real_remote
from tests.servers import Server, mlflow_server
from tests.worker_processes import Machines, machines

#: Rooms whose tests run one after the other, on one of the cores: whole stacks would take each
#: other's time, and what a visit to the page needs is made once. Any other file is a group.
_GROUPS = {"integration": "stacks", "orchestration": "stacks", "page": "page"}


class ByRoom(LoadScopeScheduling):
    """Hands out whole groups, in their order. xdist's own ``loadgroup`` groups by an ending of the
    node ids, which pytest 9 does not let it write."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _GROUPS.get(file.split("/")[1], file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByRoom | None:
    return ByRoom(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole stacks first, since they take longest; all else beside them."""
    here = Path(__file__).parent
    order = ("integration", "orchestration", "page", "service")

    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(here).parts[0]
        return order.index(room) if room in order else len(order)

    items.sort(key=place)


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real MLflow for the session; tests keep apart by the names they use."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def started() -> Iterator[Machines]:
    """Starts jobs in processes of their own, which are ended with the session."""
    with machines() as there:
        yield there


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the real ml-latest-small, pulled through DVC once per session. Do not write."""
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
            pytest.fail(f"the real data set must be there in CI: {error}")
        pytest.skip(f"the real data set cannot be had: {error}")
    return pointer.folder


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated sample. Do not write to it."""
    from moovier.data.synthetic import write_sample

    return write_sample(tmp_path_factory.mktemp("sample") / "sample")


@pytest.fixture
def tiny_ratings() -> Ratings:
    """Five users by seven movies, on purpose neither square nor symmetric.

    User 0 has five ratings, in another order than time's; user 1 four, two at one moment; user 2
    one; user 3 none; user 4 ten seconds of two. Movie 6 is never rated.
    """
    return Ratings(
        users=np.array([0, 1, 0, 2, 0, 1, 4, 0, 1, 0, 4, 1]),
        movies=np.array([3, 0, 1, 5, 0, 2, 4, 2, 1, 5, 0, 3]),
        stars=np.array([4, 3.5, 5, 0.5, 2, 4.5, 1, 3, 5, 4, 2.5, 1.5], dtype=np.float32),
        timestamps=np.array([50, 10, 40, 7, 10, 30, 1, 20, 30, 30, 11, 90]),
        n_users=5,
        n_movies=7,
    )
