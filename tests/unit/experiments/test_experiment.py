from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from moovier.errors import BadRequest
from moovier.experiments.experiment import Experiment

CANARY = {"id": "autumn", "mode": "canary", "share": 0.1, "started_at": 1_790_000_000, "salt": "x"}


def experiment(**changes: Any) -> Experiment:
    return Experiment.parse(json.dumps({**CANARY, **changes}))


def test_tag_is_parsed_back_to_the_same_experiment() -> None:
    plan = experiment(window_h=24, alpha=0.01)
    assert Experiment.parse(plan.tag) == plan
    assert (plan.share, plan.window_s) == (0.1, 86_400)


def test_draw_of_users_is_equal_in_every_process() -> None:
    script = (
        "from moovier.experiments.experiment import Experiment;"
        f"plan = Experiment.parse({json.dumps(CANARY)!r});"
        "print([user for user in range(1, 60) if plan.takes(user)])"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    drawn = [user for user in range(1, 60) if experiment().takes(user)]
    assert json.loads(process.stdout) == drawn
    # Fixed numbers: an upgrade must not move users to the other arm.
    assert drawn == DRAWN


DRAWN = [4, 11, 17, 25, 47, 59]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_share_of_drawn_users_is_right_in_every_part(share: float) -> None:
    plan = experiment(share=share)
    users = 40_000
    taken = [plan.takes(user) for user in range(1, users + 1)]
    for part in (taken, taken[: users // 2], taken[::2], taken[1::2]):
        # Five standard deviations; the draw is deterministic, so the test cannot be flaky.
        assert abs(sum(part) - share * len(part)) < 5 * (share * (1 - share) * len(part)) ** 0.5


def test_shares_of_0_and_1_draw_nobody_and_everybody() -> None:
    assert not any(experiment(share=0).takes(user) for user in range(1, 1000))
    assert all(experiment(share=1).takes(user) for user in range(1, 1000))


def test_larger_share_keeps_the_drawn_users() -> None:
    few, many = experiment(share=0.1), experiment(share=0.3)
    drawn = [user for user in range(1, 5000) if few.takes(user)]
    assert drawn
    assert many.takes_all(drawn)


def test_different_salts_draw_independently() -> None:
    first, second = experiment(share=0.5), experiment(share=0.5, salt="y")
    both = sum(first.takes(user) and second.takes(user) for user in range(1, 20_001))
    assert abs(both - 5_000) < 5 * (20_000 * 0.25 * 0.75) ** 0.5


def test_challenger_takes_a_batch_only_if_it_takes_every_user() -> None:
    plan = experiment(share=0.5)
    own = [user for user in range(1, 100) if plan.takes(user)]
    other = next(user for user in range(1, 100) if not plan.takes(user))
    assert plan.takes_all(own)
    assert not plan.takes_all([*own, other])
    assert not plan.takes_all([])


def test_key_changes_with_every_input_of_the_assignment() -> None:
    plan = experiment()
    keys = {
        plan.key(1, 2),
        plan.key(3, 2),
        plan.key(1, 3),
        experiment(share=0.2).key(1, 2),
        experiment(salt="y").key(1, 2),
        experiment(mode="shadow").key(1, 2),
        experiment(id="winter").key(1, 2),
    }
    assert len(keys) == 7
    assert experiment(window_h=1, alpha=0.2).key(1, 2) == plan.key(1, 2)
    assert all(len(key) <= 64 for key in keys)
    assert len(experiment(id="a" * 32).key(10**9, 10**9)) <= 64


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"share": 1.5}, "share"),
        ({"share": -0.1}, "share"),
        ({"share": "a lot"}, "share"),
        ({"mode": "both"}, "mode"),
        ({"id": ""}, "id"),
        ({"id": "two words"}, "id"),
        ({"colour": "red"}, "colour"),
        ({"alpha": 0.7}, "alpha"),
        ({"window_h": 0}, "window_h"),
        ({"started_at": -1}, "started_at"),
    ],
)
def test_invalid_field_of_a_tag_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest, match=field):
        experiment(**changes)


@pytest.mark.parametrize("text", ["", "yes", "[1]", "{", '{"id": "a", "mode": "canary"}'])
def test_tag_that_is_no_experiment_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="is not a valid experiment"):
        Experiment.parse(text)


def test_optional_fields_have_defaults() -> None:
    assert Experiment.parse('{"id": "a", "mode": "shadow"}').share == 1
    assert Experiment.parse('{"id": "a", "mode": "canary", "share": 0.2}').salt == ""
