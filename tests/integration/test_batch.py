"""The lists that the job writes for all users of the real data equal those of the service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from moovier.models.bundle import Bundle
from tests.registry_fixtures import register
from tests.servers import Server
from tests.service.batches import compare_with_predict, written_lists
from tests.service.conftest import own_settings, promote, running_service, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.real_data]


def test_lists_of_all_users_equal_those_of_predict(
    mlflow: Server,
    tmp_path: Path,
    dae_bundle: Bundle,
    record_property: Callable[[str, object], None],
) -> None:
    settings = own_settings(mlflow, tmp_path / "home")
    promote(settings, register(settings, tmp_path, dae_bundle))
    with running_service(settings) as service, service.client() as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        for user, movie in ((1, 2), (600, 318), (10**6, 1)):
            body = {"user_id": user, "ratings": [{"movie_id": movie, "stars": 4.5}]}
            assert client.post("/ratings", json=body).status_code == 200
        assert client.delete("/ratings?user_id=2&movie_id=318").status_code == 200
        lists, catalogue = written_lists(settings, top_k=100, shards=2)
        compared = compare_with_predict(client, lists, catalogue, top_k=100)
    record_property("users", compared)
    assert compared == len(lists) == 611
    assert {len(movies) for movies in lists.values()} == {100}
