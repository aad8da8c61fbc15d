"""One service for all tests of this folder: training its models takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moovier.data.movielens import read_movielens, to_arrays
from moovier.jobs.registration import open_registry
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import titled_movielens
from tests.registry_fixtures import register_trained
from tests.servers import Server
from tests.service.api.client import ApiClient, new_user_ids
from tests.service.conftest import own_settings, promote
from tests.service.in_process import becomes_champion, started


@pytest.fixture(scope="package")
def api(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    folder = tmp_path_factory.mktemp("api")
    settings = own_settings(mlflow, folder / "home")
    data = titled_movielens(folder / "data")
    champion, other, rating_model = (
        register_trained(settings, folder, data, name, size)
        for name, size in (("timeline", 8), ("ease", 1), ("taste", 2))
    )
    promote(settings, champion)
    open_registry(settings).set_rating_model(rating_model)
    index, ratings, _ = to_arrays(read_movielens(data))
    rated: dict[int, set[int]] = {}
    counts = dict.fromkeys(IDS, 0)
    for user, movie in zip(ratings.users, ratings.movies, strict=True):
        rated.setdefault(int(index.users[user]), set()).add(int(index.movies[movie]))
        counts[int(index.movies[movie])] += 1
    with started(settings) as client:
        # The first refresh of the registry loads the models.
        assert becomes_champion(client, champion.name)
        yield ApiClient(client, settings, champion, other, rating_model, rated, counts)


@pytest.fixture
def new_user() -> int:
    """Return the id of a user whom no model knows and no other test uses."""
    return next(new_user_ids)
