"""A challenger on the traffic of a real service: who gets it, what is said of it, what is noted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
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
from tests.service.conftest import Service, environment, own_settings, promote, running_service

#: Those whom the models know, and others.
USERS = (7, 11, 13, *range(101, 141))


@dataclass
class Two:
    """A champion and a challenger with other answers."""

    service: Service
    client: httpx.Client
    settings: Settings
    mlflow: Server
    folder: Path
    champion: Version
    challenger: Version

    def ask(self, **asked: Any) -> httpx.Response:
        answer: httpx.Response = self.client.post("/recommend", json={"top_k": 3, **asked})
        assert answer.status_code == 200, answer.text
        return answer

    def figure(self, name: str) -> float:
        text = self.client.get("/metrics").text
        found = re.search(rf"^{re.escape(name)} ([0-9.e+]+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def in_force(self, version: int) -> bool:
        return self.figure("moovier_experiment_challenger_version") == version

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
    """So that the command sees what the service does."""
    for name, value in environment(two.settings).items():
        monkeypatch.setenv(name, value)


def registered(settings: Settings, folder: Path, name: str, counts: list[float]) -> Version:
    model = replace(toy_bundle(name), arrays={"counts": np.array(counts)})
    return register(settings, folder, model)


def wait_for(holds: Callable[[], bool], patience_s: float = 60.0) -> None:
    until = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


def version_of(answer: httpx.Response) -> int:
    if answer.url.path == "/recommend":
        assert str(answer.json()["model_version"]) == answer.headers["x-moovier-model-version"]
    return int(answer.headers["x-moovier-model-version"])


def told(answer: httpx.Response) -> Any:
    return {**answer.json(), "request_id": None}


def test_a_canary_from_its_start_to_its_stop(two: Two) -> None:
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
        # In full, and once more in the same words: out of the fast lane.
        first, again = two.ask(user_id=user), two.ask(user_id=user)
        assert version_of(first) == version_of(again) == number
        assert told(first) == told(again)
        # What it says is what this version says when it is asked for by number.
        assert told(first) == told(two.ask(user_id=user, model_name=str(number)))
        arm = "challenger" if number == two.challenger.number else "champion"
        seen |= {one.json()["request_id"]: (number, arm) for one in (first, again)}
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
    stranger = two.ask(ratings={"1": 5})
    assert version_of(stranger) == two.champion.number

    ids = {stranger.json()["request_id"], before.json()["request_id"], *seen}
    wait_for(lambda: ids <= {one.request_id for one in two.lists()})
    noted = {one.request_id: one for one in two.lists()}
    assert {name: (noted[name].version, noted[name].arm) for name in seen} == seen
    assert {noted[name].experiment for name in seen} == {key}
    for answer in (stranger, before):
        one = noted[answer.json()["request_id"]]
        assert (one.arm, one.experiment) == ("champion", None)
        movies = [item["movie_id"] for item in answer.json()["items"]]
        assert list(one.movie_ids) == movies
    named_lists = [one for one in two.lists() if one.arm == "other"]
    assert len(named_lists) == len(USERS)
    counted = {arm: two.figure(f'moovier_arm_seconds_count{{arm="{arm}"}}') for arm in ARMS}
    assert counted["challenger"] >= 4 * len(own)
    assert counted["champion"] >= 4 * (len(USERS) - len(own))

    cli.stop("seen enough")
    wait_for(lambda: two.in_force(0))
    for user in USERS:
        assert version_of(two.ask(user_id=user)) == two.champion.number
        alone = two.client.post("/predict?top_k=3", json=[user])
        assert version_of(alone) == two.champion.number


ARMS = ("champion", "challenger")


def test_a_shadow_answers_nobody_and_is_noted_beside_what_was_seen(two: Two) -> None:
    cli.start(None, shadow=True)
    wait_for(lambda: two.in_force(two.challenger.number))
    key = two.plan().key(two.champion.number, two.challenger.number)
    answers = [two.ask(user_id=user) for user in USERS[:6] for _ in range(2)]
    assert {version_of(answer) for answer in answers} == {two.champion.number}
    names = {answer.json()["request_id"]: answer for answer in answers}

    def shadows() -> dict[str, ServedList]:
        return {one.request_id: one for one in two.lists() if one.arm == "shadow"}

    # Some may be left out where the service is busy.
    made = "moovier_shadow_lists_total"
    results = ("made", "dropped", "failed")

    def done() -> list[float]:
        return [two.figure(f'{made}{{result="{result}"}}') for result in results]

    wait_for(lambda: sum(done()) == len(answers))
    assert done()[2] == 0
    wait_for(lambda: len(shadows()) == done()[0] > 0)
    for name, shadow in shadows().items():
        asked = names[name].request.content
        alone = two.client.post(
            "/recommend",
            content=asked[:-1] + b',"model_name":"%d"}' % two.challenger.number,
            headers={"Content-Type": "application/json"},
        )
        assert [item["movie_id"] for item in alone.json()["items"]] == list(shadow.movie_ids)
        assert (shadow.version, shadow.experiment) == (two.challenger.number, key)
    assert two.figure("moovier_shadow_overlap_count") == done()[0]
    cli.stop(None)
    wait_for(lambda: two.in_force(0))


def test_a_broken_challenger_is_refused_and_the_champion_answers_everybody(two: Two) -> None:
    broken = registered(two.settings, two.folder, "moovier_popular_3_trained_0", [np.nan] * 5)
    cli.start(str(broken.number), share=0.9)
    wait_for(lambda: two.figure("moovier_experiment_refused") == 1)
    for user in USERS[:10]:
        assert version_of(two.ask(user_id=user)) == two.champion.number
    assert two.client.get("/readyz").is_success
    assert "refused the experiment" in two.service.log.read_text(errors="replace")
    cli.stop("broken")
    wait_for(lambda: two.figure("moovier_experiment_refused") == 0)


def test_who_deletes_everything_deletes_their_lists(two: Two) -> None:
    two.ask(user_id=11)
    wait_for(lambda: any(one.user_id == 11 for one in two.lists()))
    assert two.client.delete("/ratings?user_id=11").is_success
    assert not any(one.user_id == 11 for one in two.lists())
    assert any(one.user_id == 7 for one in two.lists())
