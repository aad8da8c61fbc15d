"""Experiments from their start to their end: a real registry, and planted lists and ratings."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.cli import experiment as cli
from moovier.errors import BadRequest, RegistryError, UnknownModel
from moovier.experiments.experiment import RESULT_TAG, TAG, Experiment
from moovier.feedback.ratings import NewRating
from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import FeedbackStore
from moovier.jobs import experiment
from moovier.jobs.registration import open_registry
from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.settings import Settings
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register

ONE, TWO, THREE = (f"moovier_popular_{size}_trained_0" for size in (1, 2, 3))
HOUR = 3_600


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return open_registry(settings)


@pytest.fixture
def publish(settings: Settings, tmp_path: Path) -> Callable[[str], Version]:
    return lambda name: register(settings, tmp_path / "made", toy_bundle(name))


@pytest.fixture
def challenger(registry: Registry, publish: Callable[[str], Version]) -> Version:
    """Version 2 beside the champion, version 1."""
    registry.promote(publish(ONE), "first")
    version = publish(TWO)
    registry.set_challenger(version)
    return version


def running(registry: Registry, version: Version) -> Experiment:
    return Experiment.parse(registry.resolve(str(version.number)).tags[TAG])


def served(settings: Settings, plan: Experiment, likings: dict[str, float], people: int) -> int:
    """Lists of that many people, and likings at the given rates; a moment when all is over."""
    chance = random.Random(2)
    key, at = plan.key(1, 2), plan.started_at + 1
    with closing(FeedbackStore.open(settings.database)) as store:
        lists, raters = [], []
        for user in range(1, people + 1):
            arm = "challenger" if plan.takes(user) else "champion"
            version = 2 if arm == "challenger" else 1
            name = f"{user:032x}"
            lists.append(ServedList(name, arm, at, version, user, "model", (1, 2), key))
            if chance.random() < likings[arm]:
                raters.append(user)
        store.record(lists)
        for user in raters:
            store.add(user, [NewRating(1, 4.5, at + 60)], request_id=f"{user:032x}")
    return at + plan.window_s + HOUR


def test_one_command_starts_it_and_the_same_again_changes_nothing(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    stands = experiment.start(share=0.2, window_h=24, settings=settings)
    assert (stands["running"], stands["mode"], stands["share"]) == (True, "canary", 0.2)
    assert stands["champion"] == {"name": ONE, "version": 1}
    assert stands["challenger"] == {"name": TWO, "version": 2}
    assert stands["arms"]["champion"]["people"] == 0
    plan = running(registry, challenger)
    assert (plan.window_h, plan.id) == (24, stands["id"])
    assert experiment.start("2", share=0.2, window_h=24, settings=settings) == stands
    assert running(registry, challenger) == plan
    json.dumps(stands, allow_nan=False)


def test_another_one_must_wait_for_the_end_of_the_first(
    settings: Settings, registry: Registry, challenger: Version, publish: Callable[[str], Version]
) -> None:
    third = publish(THREE)
    first = experiment.start(share=0.2, settings=settings)
    for wrong in ({"share": 0.3}, {"shadow": True}, {"model": THREE, "share": 0.2}):
        with pytest.raises(BadRequest, match=f"experiment {first['id']} runs on {TWO}"):
            experiment.start(settings=settings, **wrong)  # type: ignore[arg-type]
    # A retraining does not end it either.
    assert not registry.set_challenger(third)
    assert experiment.status(settings=settings)["id"] == first["id"]
    ended = experiment.stop("enough", settings=settings)
    assert ended == {"decision": "stopped", "reasons": ["enough"]}
    assert experiment.stop(settings=settings)["decision"] == "none"
    over = experiment.status(settings=settings)
    assert not over["running"]
    assert (over["last"]["id"], over["last"]["reasons"]) == (first["id"], ["enough"])
    assert experiment.start(THREE, share=0.3, settings=settings)["challenger"]["name"] == THREE


def test_what_cannot_be_compared_is_not_started(
    settings: Settings, registry: Registry, publish: Callable[[str], Version]
) -> None:
    with pytest.raises(RegistryError, match="no champion"):
        experiment.start(share=0.1, settings=settings)
    registry.promote(publish(ONE), "first")
    with pytest.raises(BadRequest, match="no model is the challenger"):
        experiment.start(share=0.1, settings=settings)
    with pytest.raises(BadRequest, match="the champion itself"):
        experiment.start(ONE, share=0.1, settings=settings)
    with pytest.raises(UnknownModel):
        experiment.start("nobody", share=0.1, settings=settings)
    publish(TWO)
    with pytest.raises(BadRequest, match="share"):
        experiment.start(TWO, settings=settings)
    for share in (0, 1, -1, 2, float("nan")):
        with pytest.raises(BadRequest, match="share"):
            experiment.start(TWO, share=share, settings=settings)
    with pytest.raises(BadRequest, match="alpha"):
        experiment.start(TWO, share=0.1, alpha=0.9, settings=settings)
    assert registry.alias("challenger") is None


def test_a_better_challenger_is_promoted_once_it_is_clear(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(share=0.5, settings=settings)
    plan = running(registry, challenger)
    over = served(settings, plan, {"champion": 0.1, "challenger": 0.5}, 240)
    # As long as people may still like something, nothing is known.
    early = experiment.decide(settings=settings, now=plan.started_at + HOUR)
    assert early["decision"] == "not yet"
    waiting = experiment.status(settings=settings, now=plan.started_at + HOUR)
    assert waiting["arms"]["champion"]["waiting"] + waiting["arms"]["challenger"]["waiting"] == 240
    assert waiting["arms"]["challenger"]["people"] == 0

    stands = experiment.status(settings=settings, now=over)
    assert stands["verdict"] == "better"
    assert stands["arms"]["challenger"]["liked_share"] > stands["arms"]["champion"]["liked_share"]
    assert stands["difference"]["low"] > 0
    done = experiment.decide(settings=settings, now=over)
    assert done == {"decision": "promote", "reasons": stands["says"]}
    champion = registry.resolve("champion")
    assert champion.number == 2
    assert champion.tags["gate"] == "experiment"
    assert "the challenger is better" in champion.tags["gate_reasons"]
    assert TAG not in champion.tags
    assert registry.alias("challenger") is None
    assert experiment.decide(settings=settings, now=over)["decision"] == "none"
    assert registry.rollback("after all not").number == 1


def test_a_worse_challenger_is_withdrawn(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(share=0.5, settings=settings)
    plan = running(registry, challenger)
    over = served(settings, plan, {"champion": 0.5, "challenger": 0.1}, 240)
    done = experiment.decide(settings=settings, now=over)
    assert done["decision"] == "withdraw"
    assert registry.resolve("champion").number == 1
    left = registry.resolve("2")
    assert TAG not in left.tags
    result = json.loads(left.tags[RESULT_TAG])
    assert (result["decision"], result["id"]) == ("withdraw", plan.id)
    assert "the challenger is worse" in result["reasons"][1]


def test_two_alike_are_left_as_they_are(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(share=0.5, settings=settings)
    plan = running(registry, challenger)
    over = served(settings, plan, {"champion": 0.3, "challenger": 0.3}, 150)
    done = experiment.decide(settings=settings, now=over)
    assert done["decision"] == "not yet"
    assert running(registry, challenger) == plan


def test_arms_that_lost_lists_are_not_compared(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(share=0.5, settings=settings)
    plan = running(registry, challenger)
    key, at = plan.key(1, 2), plan.started_at + 1
    users = [user for user in range(1, 400) if not plan.takes(user) or user % 4 == 0]
    with closing(FeedbackStore.open(settings.database)) as store:
        store.record(
            [
                ServedList(f"{user:032x}", arm, at, 1, user, "model", (1,), key)
                for user in users
                for arm in ["challenger" if plan.takes(user) else "champion"]
            ]
        )
        for user in filter(plan.takes, users):
            store.add(user, [NewRating(1, 5, at + 1)])
    done = experiment.decide(settings=settings, now=at + plan.window_s + HOUR)
    assert done["decision"] == "not yet"
    assert "the arms cannot be compared" in done["reasons"][1]


@pytest.mark.parametrize("killed_at", ["set_tag", "promote", "delete_tag"])
def test_a_promotion_that_was_killed_is_finished_by_the_next(
    settings: Settings,
    registry: Registry,
    challenger: Version,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: str,
) -> None:
    experiment.start(share=0.5, settings=settings)
    plan = running(registry, challenger)
    over = served(settings, plan, {"champion": 0.0, "challenger": 0.6}, 150)

    class Killed(BaseException):
        """As a kill: nothing catches it."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Registry, killed_at, killed)
        with pytest.raises(Killed):
            experiment.decide(settings=settings, now=over)
    done = experiment.decide(settings=settings, now=over)
    assert done["decision"] == "promote"
    champion = registry.resolve("champion")
    assert (champion.number, champion.tags["gate"]) == (2, "experiment")
    assert TAG not in champion.tags
    assert registry.rollback("for a test").number == 1


def test_a_shadow_is_shown_and_never_promoted(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(shadow=True, settings=settings)
    plan = running(registry, challenger)
    key, at = plan.key(1, 2), plan.started_at + 1
    with closing(FeedbackStore.open(settings.database)) as store:
        for user in range(1, 121):
            both = (("champion", 1, (1, 2)), ("shadow", 2, (2, 3)))
            store.record(
                [
                    ServedList(f"{user:032x}", arm, at, number, user, "model", movies, key)
                    for arm, number, movies in both
                ]
            )
        store.add(1, [NewRating(1, 5, at + 1), NewRating(3, 5, at + 1)])
    stands = experiment.status(settings=settings)
    assert stands["shadow"] == {
        "pairs": 120,
        "short": 0,
        "overlap": 0.5,
        "liked": {"champion": 1, "challenger": 1, "both": 0},
    }
    assert "biased" in stands["says"][1]
    assert experiment.decide(settings=settings)["decision"] == "not yet"

    with closing(FeedbackStore.open(settings.database)) as store:
        for user in range(200, 203):
            lists = (("champion", 1, (1, 2)), ("shadow", 2, (2,)))
            store.record(
                [
                    ServedList(f"{user:032x}", arm, at, number, user, "model", movies, key)
                    for arm, number, movies in lists
                ]
            )
    done = experiment.decide(settings=settings)
    assert done["decision"] == "withdraw"
    assert "too few movies in 3 of 123" in done["reasons"][-1]
    assert registry.resolve("champion").number == 1


def test_a_tag_that_makes_no_sense_is_named_and_can_be_taken_off(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    registry.set_tag(challenger, TAG, '{"share": 3}')
    for look in (experiment.status, experiment.decide):
        with pytest.raises(BadRequest, match="is not a valid experiment"):
            look(settings=settings)
    assert experiment.stop(settings=settings)["decision"] == "stopped"
    assert not experiment.status(settings=settings)["running"]


@pytest.mark.parametrize("shadow", [False, True])
def test_the_command_fits_a_narrow_terminal(
    settings: Settings,
    registry: Registry,
    challenger: Version,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shadow: bool,
) -> None:
    variables = {
        "MOOVIER_HOME": str(settings.home),
        "MOOVIER_REGISTERED_MODEL": settings.registered_model,
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "COLUMNS": "80",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    cli.status()
    assert capsys.readouterr().out == "no experiment runs\n"
    cli.start(None, share=None if shadow else 0.5, shadow=shadow)
    begun = capsys.readouterr().out
    if not shadow:
        served(settings, running(registry, challenger), dict.fromkeys(ARMS, 0.3), 30)
        cli.status()
        begun += capsys.readouterr().out
    cli.decide()
    cli.stop("enough of it")
    cli.status()
    rest = capsys.readouterr().out
    lines = (begun + rest).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any(line.startswith("challenger ") and TWO in line for line in lines)
    assert "not yet" in rest
    assert "enough of it" in rest

    # As it is typed.
    typed = CliRunner().invoke(app, ["experiment", "status", "--json"])
    assert typed.exit_code == 0, typed.output
    said: dict[str, Any] = json.loads(typed.stdout)
    assert said["last"]["decision"] == "stopped"


ARMS = ("champion", "challenger")
