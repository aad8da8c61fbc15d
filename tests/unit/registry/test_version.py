"""Versions are read from MLflow's answers, also those that an earlier Moovier registered."""

from __future__ import annotations

from typing import Any

import pytest

from moovier.registry.model_record import ModelRecord
from moovier.registry.version import Version

RECORD = ModelRecord(
    params={"family": "dae", "recipe": "tuned", "size": 64, "loss": "bce", "rates": [1, 2]},
    metrics={"rmse": 0.85},
    tags={"family": "dae", "hold_out": "h"},
)


def answer(tags: dict[str, str], description: str = "") -> dict[str, Any]:
    return {
        "version": "3",
        "creation_timestamp": 0,
        "description": description,
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }


def test_training_is_read_from_the_logged_model() -> None:
    version = Version.of(answer({"name": "a"}), (), RECORD)
    assert version.params == {"size": 64, "loss": "bce", "rates": [1, 2]}
    assert (version.family, version.metrics) == ("dae", {"rmse": 0.85})
    assert (version.name, version.tags["hold_out"]) == ("a", "h")


def test_tags_of_an_earlier_registry_are_read() -> None:
    tags = {"family": "ease", "params": '{"size": 7}', "metrics": '{"rmse": 0.9}'}
    version = Version.of(answer({**tags, "gate": "kept", "gate_reasons": "a\nb"}, "other"), ())
    assert (version.family, version.params, version.metrics) == ("ease", {"size": 7}, {"rmse": 0.9})
    assert version.gate_reasons == "a\nb"


@pytest.mark.parametrize("text", ["no JSON", "[1]", ""])
def test_tags_that_a_user_broke_are_ignored(text: str) -> None:
    version = Version.of(answer({"params": text, "metrics": text}), ())
    assert (version.params, version.metrics) == ({}, {})


def test_reasons_are_those_of_the_last_decision() -> None:
    text = "kept: worse\n\n- visitor: 0.1\n\n---\n\nearlier"
    assert Version.of(answer({"gate": "kept"}, text), ()).gate_reasons == (
        "kept: worse\nvisitor: 0.1"
    )
    assert Version.of(answer({}, "a person's note"), ()).gate_reasons is None
