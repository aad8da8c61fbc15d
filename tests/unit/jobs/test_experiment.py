"""Experiments from start to end, on a real registry, with generated lists and ratings."""

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
    return lambda name: register(settings, tmp_path / "models", toy_bundle(name))


@pytest.fixture
def challenger(registry: Registry, publish: Callable[[str], Version]) -> Version:
    """Register a champion, version 1, and return a challenger, version 2."""
    registry.promote(publish(ONE), "first")
    version = publish(TWO)
    registry.set_challenger(version)
    return version


def running(registry: Registry, version: Version) -> Experiment:
    return Experiment.parse(registry.resolve(str(version.number)).tags[TAG])


def record_lists(
    settings: Settings, running_experiment: Experiment, like_rates: dict[str, float], n_users: int
) -> int:
    """Store lists of users, who like movies at the given rates; return a time after the window."""
    generator = random.Random(2)
    key, at = running_experiment.key(1, 2), running_experiment.started_at + 1
    with closing(FeedbackStore.open(settings.database)) as store:
        lists, raters = [], []
        for user in range(1, n_users + 1):
            arm = "challenger" if running_experiment.takes(user) else "champion"
            version = 2 if arm == "challenger" else 1
            name = f"{user:032x}"
            lists.append(ServedList(name, arm, at, version, user, "model", (1, 2), key))
            if generator.random() < like_rates[arm]:
                raters.append(user)
        store.record(lists)
        for user in raters:
            store.add(user, [NewRating(1, 4.5, at + 60)], request_id=f"{user:032x}")
    return at + running_experiment.window_s + HOUR


def test_starting_the_same_experiment_again_changes_nothing(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    state = experiment.start(share=0.2, window_h=24, settings=settings)
    assert (state["running"], state["mode"], state["share"]) == (True, "canary", 0.2)
    assert state["champion"] == {"name": ONE, "version": 1}
    assert state["challenger"] == {"name": TWO, "version": 2}
    assert state["arms"]["champion"]["people"] == 0
    running_experiment = running(registry, challenger)
    assert (running_experiment.window_h, running_experiment.id) == (24, state["id"])
    assert experiment.start("2", share=0.2, window_h=24, settings=settings) == state
    assert running(registry, challenger) == running_experiment
    json.dumps(state, allow_nan=False)


def test_second_experiment_is_rejected_while_one_runs(
    settings: Settings, registry: Registry, challenger: Version, publish: Callable[[str], Version]
) -> None:
    third = publish(THREE)
    first = experiment.start(share=0.2, settings=settings)
    for options in ({"share": 0.3}, {"shadow": True}, {"model": THREE, "share": 0.2}):
        with pytest.raises(BadRequest, match=f"experiment {first['id']} runs on {TWO}"):
            experiment.start(settings=settings, **options)  # type: ignore[arg-type]
    # A retraining does not end the experiment either.
    assert not registry.set_challenger(third)
    assert experiment.status(settings=settings)["id"] == first["id"]
    ended = experiment.stop("enough", settings=settings)
    assert ended == {"decision": "stopped", "reasons": ["enough"]}
    assert experiment.stop(settings=settings)["decision"] == "none"
    state = experiment.status(settings=settings)
    assert not state["running"]
    assert (state["last"]["id"], state["last"]["reasons"]) == (first["id"], ["enough"])
    assert experiment.start(THREE, share=0.3, settings=settings)["challenger"]["name"] == THREE


def test_invalid_experiment_is_not_started(
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


def test_better_challenger_is_promoted(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(share=0.5, settings=settings)
    running_experiment = running(registry, challenger)
    end_s = record_lists(settings, running_experiment, {"champion": 0.1, "challenger": 0.5}, 240)
    # Until the window has passed, no user is counted.
    early = experiment.decide(settings=settings, now=running_experiment.started_at + HOUR)
    assert early["decision"] == "not yet"
    waiting = experiment.status(settings=settings, now=running_experiment.started_at + HOUR)
    assert waiting["arms"]["champion"]["waiting"] + waiting["arms"]["challenger"]["waiting"] == 240
    assert waiting["arms"]["challenger"]["people"] == 0

    state = experiment.status(settings=settings, now=end_s)
    assert state["verdict"] == "better"
    assert state["arms"]["challenger"]["liked_share"] > state["arms"]["champion"]["liked_share"]
    assert state["difference"]["low"] > 0
    done = experiment.decide(settings=settings, now=end_s)
    assert done == {"decision": "promote", "reasons": state["says"]}
    champion = registry.resolve("champion")
    assert champion.number == 2
    assert champion.tags["gate"] == "experiment"
    assert "the challenger is better" in str(champion.gate_reasons)
    assert TAG not in champion.tags
    assert registry.alias("challenger") is None
    assert experiment.decide(settings=settings, now=end_s)["decision"] == "none"
    assert registry.rollback("after all not").number == 1


def test_worse_challenger_is_withdrawn(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(share=0.5, settings=settings)
    running_experiment = running(registry, challenger)
    end_s = record_lists(settings, running_experiment, {"champion": 0.5, "challenger": 0.1}, 240)
    done = experiment.decide(settings=settings, now=end_s)
    assert done["decision"] == "withdraw"
    assert registry.resolve("champion").number == 1
    left = registry.resolve("2")
    assert TAG not in left.tags
    result = json.loads(left.tags[RESULT_TAG])
    assert (result["decision"], result["id"]) == ("withdraw", running_experiment.id)
    assert "the challenger is worse" in result["reasons"][1]


def test_equal_arms_give_no_decision(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(share=0.5, settings=settings)
    running_experiment = running(registry, challenger)
    end_s = record_lists(settings, running_experiment, {"champion": 0.3, "challenger": 0.3}, 150)
    done = experiment.decide(settings=settings, now=end_s)
    assert done["decision"] == "not yet"
    assert running(registry, challenger) == running_experiment


def test_arms_with_missing_lists_are_not_compared(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(share=0.5, settings=settings)
    running_experiment = running(registry, challenger)
    key, at = running_experiment.key(1, 2), running_experiment.started_at + 1
    users = [user for user in range(1, 400) if not running_experiment.takes(user) or user % 4 == 0]
    with closing(FeedbackStore.open(settings.database)) as store:
        store.record(
            [
                ServedList(f"{user:032x}", arm, at, 1, user, "model", (1,), key)
                for user in users
                for arm in ["challenger" if running_experiment.takes(user) else "champion"]
            ]
        )
        for user in filter(running_experiment.takes, users):
            store.add(user, [NewRating(1, 5, at + 1)])
    done = experiment.decide(settings=settings, now=at + running_experiment.window_s + HOUR)
    assert done["decision"] == "not yet"
    assert "the arms cannot be compared" in done["reasons"][1]


@pytest.mark.parametrize("killed_at", ["set_tag", "promote", "delete_tag"])
def test_killed_promotion_is_finished_by_the_next_call(
    settings: Settings,
    registry: Registry,
    challenger: Version,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: str,
) -> None:
    experiment.start(share=0.5, settings=settings)
    running_experiment = running(registry, challenger)
    end_s = record_lists(settings, running_experiment, {"champion": 0.0, "challenger": 0.6}, 150)

    class Killed(BaseException):
        """As a SIGKILL, no handler catches it."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Registry, killed_at, killed)
        with pytest.raises(Killed):
            experiment.decide(settings=settings, now=end_s)
    done = experiment.decide(settings=settings, now=end_s)
    assert done["decision"] == "promote"
    champion = registry.resolve("champion")
    assert (champion.number, champion.tags["gate"]) == (2, "experiment")
    assert TAG not in champion.tags
    assert registry.rollback("for a test").number == 1


def test_shadow_is_never_promoted(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    experiment.start(shadow=True, settings=settings)
    running_experiment = running(registry, challenger)
    key, at = running_experiment.key(1, 2), running_experiment.started_at + 1
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
    state = experiment.status(settings=settings)
    assert state["shadow"] == {
        "pairs": 120,
        "short": 0,
        "overlap": 0.5,
        "liked": {"champion": 1, "challenger": 1, "both": 0},
    }
    assert "biased" in state["says"][1]
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


def test_invalid_tag_is_reported_and_can_be_deleted(
    settings: Settings, registry: Registry, challenger: Version
) -> None:
    registry.set_tag(challenger, TAG, '{"share": 3}')
    for function in (experiment.status, experiment.decide):
        with pytest.raises(BadRequest, match="is not a valid experiment"):
            function(settings=settings)
    assert experiment.stop(settings=settings)["decision"] == "stopped"
    assert not experiment.status(settings=settings)["running"]


@pytest.mark.parametrize("shadow", [False, True])
def test_command_output_fits_80_columns(
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
    assert capsys.readouterr().out == "no experiment is running\n"
    cli.start(None, share=None if shadow else 0.5, shadow=shadow)
    output = capsys.readouterr().out
    if not shadow:
        record_lists(settings, running(registry, challenger), dict.fromkeys(ARMS, 0.3), 30)
        cli.status()
        output += capsys.readouterr().out
    cli.decide()
    cli.stop("enough of it")
    cli.status()
    last_output = capsys.readouterr().out
    lines = (output + last_output).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any(line.startswith("challenger ") and TWO in line for line in lines)
    assert "not yet" in last_output
    assert "enough of it" in last_output

    # The command with its options, as a user types it.
    typed = CliRunner().invoke(app, ["experiment", "status", "--json"])
    assert typed.exit_code == 0, typed.output
    state: dict[str, Any] = json.loads(typed.stdout)
    assert state["last"]["decision"] == "stopped"


ARMS = ("champion", "challenger")
