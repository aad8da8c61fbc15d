"""Experiments on a real service: the assignment of users, and the recorded lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from moovier.cli import experiment as cli
from moovier.experiments.experiment import TAG, Experiment
from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import FeedbackStore
from moovier.jobs.registration import open_registry
from moovier.registry.version import Version
from moovier.settings import Settings
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server
from tests.service.conftest import (
    Service,
    environment,
    own_settings,
    promote,
    running_service,
    wait_for,
)

#: Users that the models know, and unknown ones.
USERS = (7, 11, 13, *range(101, 141))


@dataclass
class Two:
    """A service with a champion and a challenger that answer differently."""

    service: Service
    client: httpx.Client
    settings: Settings
    mlflow: Server
    folder: Path
    champion: Version
    challenger: Version

    def ask(self, **fields: Any) -> httpx.Response:
        answer: httpx.Response = self.client.post("/recommend", json={"top_k": 3, **fields})
        assert answer.status_code == 200, answer.text
        return answer

    def metric(self, name: str) -> float:
        text = self.client.get("/metrics").text
        match = re.search(rf"^{re.escape(name)} ([0-9.e+]+)$", text, re.MULTILINE)
        return float(match[1]) if match else 0.0

    def in_force(self, version: int) -> bool:
        return self.metric("moovier_experiment_challenger_version") == version

    def plan(self) -> Experiment:
        return Experiment.parse(open_registry(self.settings).resolve("challenger").tags[TAG])

    def lists(self) -> list[ServedList]:
        with closing(FeedbackStore.open(self.settings.database)) as store:
            return list(store.lists(0, 2**32))


@pytest.fixture(scope="module")
def two(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("experiment")
    settings = own_settings(mlflow, folder / "home")
    champion = registered(settings, folder, "moovier_popular_1_trained_0", [9, 8, 7, 6, 5])
    challenger = registered(settings, folder, "moovier_popular_2_trained_0", [1, 2, 3, 4, 5])
    promote(settings, champion)
    open_registry(settings).set_challenger(challenger)
    with (
        # All lists, however fast a test asks for them.
        running_service(settings, MOOVIER_RECORDED_LISTS_PER_S="1000") as service,
        service.client() as client,
    ):
        wait_for(lambda: client.get("/readyz").is_success)
        yield Two(service, client, settings, mlflow, folder, champion, challenger)


@pytest.fixture(autouse=True)
def _at_home(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the command the settings of the service."""
    for name, value in environment(two.settings).items():
        monkeypatch.setenv(name, value)


def registered(settings: Settings, folder: Path, name: str, counts: list[float]) -> Version:
    model = replace(toy_bundle(name), arrays={"counts": np.array(counts)})
    return register(settings, folder, model)


def version_of(answer: httpx.Response) -> int:
    if answer.url.path == "/recommend":
        assert str(answer.json()["model_version"]) == answer.headers["x-moovier-model-version"]
    return int(answer.headers["x-moovier-model-version"])


def without_id(answer: httpx.Response) -> Any:
    return {**answer.json(), "request_id": None}


def test_canary_answers_its_users_until_it_is_stopped(two: Two) -> None:
    before = two.ask(user_id=7)
    assert version_of(before) == two.champion.number
    cli.start(None, share=0.4)
    wait_for(lambda: two.in_force(two.challenger.number))
    plan = two.plan()
    key = plan.key(two.champion.number, two.challenger.number)
    numbers = {True: two.challenger.number, False: two.champion.number}
    expected = {user: numbers[plan.takes(user)] for user in USERS}
    assert set(expected.values()) == set(numbers.values())

    seen: dict[str, tuple[int, str]] = {}
    for user, number in expected.items():
        # The second answer comes from the page cache.
        first, again = two.ask(user_id=user), two.ask(user_id=user)
        assert version_of(first) == version_of(again) == number
        assert without_id(first) == without_id(again)
        # The answer equals that of the version requested by its number.
        assert without_id(first) == without_id(two.ask(user_id=user, model_name=str(number)))
        arm = "challenger" if number == two.challenger.number else "champion"
        seen |= {answer.json()["request_id"]: (number, arm) for answer in (first, again)}
    for user, number in expected.items():
        for _ in range(2):
            alone = two.client.post("/predict?top_k=3", json=[user])
            assert version_of(alone) == number
        named = two.client.post(f"/predict?top_k=3&model_name={number}", json=[user])
        assert alone.json() == named.json()
    own = [user for user, number in expected.items() if number == two.challenger.number]
    for users, number in ((own, numbers[True]), (list(USERS), numbers[False])):
        for _ in range(2):
            batch = two.client.post("/predict?top_k=2", json=users)
            assert version_of(batch) == number
        named = two.client.post(f"/predict?top_k=2&model_name={number}", json=users)
        assert batch.json() == named.json()
    visitor = two.ask(ratings={"1": 5})
    assert version_of(visitor) == two.champion.number

    ids = {visitor.json()["request_id"], before.json()["request_id"], *seen}
    wait_for(lambda: ids <= {served.request_id for served in two.lists()})
    recorded = {served.request_id: served for served in two.lists()}
    assert {name: (recorded[name].version, recorded[name].arm) for name in seen} == seen
    assert {recorded[name].experiment for name in seen} == {key}
    for answer in (visitor, before):
        served = recorded[answer.json()["request_id"]]
        assert (served.arm, served.experiment) == ("champion", None)
        movies = [item["movie_id"] for item in answer.json()["items"]]
        assert list(served.movie_ids) == movies
    named_lists = [served for served in two.lists() if served.arm == "other"]
    assert len(named_lists) == len(USERS)
    counted = {arm: two.metric(f'moovier_arm_seconds_count{{arm="{arm}"}}') for arm in ARMS}
    assert counted["challenger"] >= 4 * len(own)
    assert counted["champion"] >= 4 * (len(USERS) - len(own))

    cli.stop("seen enough")
    wait_for(lambda: two.in_force(0))
    for user in USERS:
        assert version_of(two.ask(user_id=user)) == two.champion.number
        alone = two.client.post("/predict?top_k=3", json=[user])
        assert version_of(alone) == two.champion.number


ARMS = ("champion", "challenger")


def test_shadow_answers_no_user_and_its_lists_are_recorded(two: Two) -> None:
    cli.start(None, shadow=True)
    wait_for(lambda: two.in_force(two.challenger.number))
    key = two.plan().key(two.champion.number, two.challenger.number)
    answers = [two.ask(user_id=user) for user in USERS[:6] for _ in range(2)]
    assert {version_of(answer) for answer in answers} == {two.champion.number}
    names = {answer.json()["request_id"]: answer for answer in answers}

    def shadows() -> dict[str, ServedList]:
        return {served.request_id: served for served in two.lists() if served.arm == "shadow"}

    # A busy service may drop some.
    made = "moovier_shadow_lists_total"
    results = ("made", "dropped", "failed")

    def done() -> list[float]:
        return [two.metric(f'{made}{{result="{result}"}}') for result in results]

    wait_for(lambda: sum(done()) == len(answers))
    assert done()[2] == 0
    wait_for(lambda: len(shadows()) == done()[0] > 0)
    for name, shadow in shadows().items():
        body = names[name].request.content
        alone = two.client.post(
            "/recommend",
            content=body[:-1] + b',"model_name":"%d"}' % two.challenger.number,
            headers={"Content-Type": "application/json"},
        )
        assert [item["movie_id"] for item in alone.json()["items"]] == list(shadow.movie_ids)
        assert (shadow.version, shadow.experiment) == (two.challenger.number, key)
    assert two.metric("moovier_shadow_overlap_count") == done()[0]
    cli.stop(None)
    wait_for(lambda: two.in_force(0))


def test_broken_challenger_is_rejected_and_the_champion_answers_everybody(two: Two) -> None:
    broken = registered(two.settings, two.folder, "moovier_popular_3_trained_0", [np.nan] * 5)
    cli.start(str(broken.number), share=0.9)
    wait_for(lambda: two.metric("moovier_experiment_refused") == 1)
    for user in USERS[:10]:
        assert version_of(two.ask(user_id=user)) == two.champion.number
    assert two.client.get("/readyz").is_success
    assert "rejected the experiment" in two.service.log.read_text(errors="replace")
    cli.stop("broken")
    wait_for(lambda: two.metric("moovier_experiment_refused") == 0)


def test_deleting_all_ratings_deletes_the_users_lists(two: Two) -> None:
    two.ask(user_id=11)
    wait_for(lambda: any(served.user_id == 11 for served in two.lists()))
    assert two.client.delete("/ratings?user_id=11").is_success
    assert not any(served.user_id == 11 for served in two.lists())
    assert any(served.user_id == 7 for served in two.lists())
