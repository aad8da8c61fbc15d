"""Records of logged models: parsed, and read with as few requests as possible."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from moovier.errors import RegistryError
from moovier.registry import model_record
from moovier.registry.model_record import ModelRecord, ModelRecords
from moovier.registry.rest_client import Rest
from tests.unit.registry.fake_rest import FakeRest

RECORD = ModelRecord(
    params={"family": "dae", "recipe": "tuned", "size": 64, "loss": "bce", "rates": [1, 2],
            "name": "1e3", "off": None, "early": True},
    metrics={"rmse": 0.85},
)  # fmt: skip


def answer(texts: dict[str, str]) -> dict[str, Any]:
    params = [{"key": key, "value": value} for key, value in texts.items()]
    return {"info": {"tags": []}, "data": {"params": params}}


def test_parameters_survive_their_storage_as_text() -> None:
    record = ModelRecord({key: value for key, value in RECORD.params.items() if key != "name"})
    assert ModelRecord.of(answer(record.param_texts())).params == record.params


def test_a_parameter_that_is_not_json_is_text() -> None:
    assert ModelRecord.of(answer({"kind": "ewma", "size": "7"})).params == {
        "kind": "ewma",
        "size": 7,
    }


def test_family_and_recipe_are_not_hyper_parameters() -> None:
    assert set(RECORD.hyper_parameters) == set(RECORD.params) - {"family", "recipe"}


def test_metrics_that_mlflow_would_change_are_left_out() -> None:
    values = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.0}
    assert ModelRecord(metrics=values).finite_metrics() == {"d": 0.0}


def test_the_metric_logged_last_counts() -> None:
    points = [("rmse", 0.7, "1000"), ("rmse", 0.9, "200"), ("ndcg", 0.1, "300")]
    data = [{"key": key, "value": value, "timestamp": at} for key, value, at in points]
    record = ModelRecord.of({"info": {}, "data": {"metrics": data}})
    assert record.metrics == {"rmse": 0.7, "ndcg": 0.1}


def test_tags_without_a_value_are_empty() -> None:
    tags = [{"key": "hold_out", "value": "h"}, {"key": "note"}]
    record = ModelRecord.of({"info": {"tags": tags}})
    assert (record.tags, record.params, record.metrics) == ({"hold_out": "h", "note": ""}, {}, {})


@pytest.fixture
def rest() -> FakeRest:
    return FakeRest()


def records_of(rest: FakeRest) -> ModelRecords:
    return ModelRecords(cast(Rest, rest))


def add(rest: FakeRest, *model_ids: str, **options: Any) -> None:
    for model_id in model_ids:
        params = [{"key": "size", "value": model_id[1:]}]
        rest.add_logged_model(model_id, params=params, **options)


def test_no_ids_need_no_request(rest: FakeRest) -> None:
    assert records_of(rest).of([]) == {}
    assert rest.requests == []


def test_all_models_of_an_experiment_are_read_at_once_and_kept(rest: FakeRest) -> None:
    add(rest, "m1", "m2", "m3")
    records = records_of(rest)
    found = records.of(["m3", "m1"])
    assert {key: record.params for key, record in found.items()} == {
        "m3": {"size": 3},
        "m1": {"size": 1},
    }
    assert len(rest.requests) == 2
    assert records.of(["m2"])["m2"].params == {"size": 2}
    assert len(rest.requests) == 2, "known from the search"


def test_models_of_several_experiments_are_found(rest: FakeRest) -> None:
    add(rest, "m1", "m2")
    add(rest, "m7", "m8", experiment="2")
    assert set(records_of(rest).of(["m1", "m7", "m2", "m8"])) == {"m1", "m7", "m2", "m8"}


def test_pages_are_read_until_all_wanted_models_are_known(
    rest: FakeRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_record, "_PAGE", 2)
    add(rest, *(f"m{number}" for number in range(1, 8)))
    assert set(records_of(rest).of(["m1", "m4"])) == {"m1", "m4"}
    assert rest.count("/logged-models/search") == 2
    assert set(records_of(rest).of(["m1", "m7"])) == {"m1", "m7"}
    assert rest.count("/logged-models/search") == 2 + 4


def test_deleted_and_unfinished_models_are_left_out(rest: FakeRest) -> None:
    add(rest, "m1")
    add(rest, "m2", status="LOGGED_MODEL_PENDING")
    assert set(records_of(rest).of(["m9", "m2", "m1"])) == {"m1"}


def test_a_model_without_a_status_is_left_out(rest: FakeRest) -> None:
    rest.models["m1"] = {"info": {"experiment_id": "1"}}
    assert records_of(rest).of(["m1"]) == {}


@pytest.mark.parametrize("metric", [{"key": "a", "value": "x", "timestamp": 1}, {"value": 1}])
@pytest.mark.parametrize("asked", [["m1"], ["m2", "m1"]])
def test_an_answer_of_an_unknown_form_is_an_error(
    rest: FakeRest, asked: list[str], metric: dict[str, Any]
) -> None:
    add(rest, "m2")
    rest.add_logged_model("m1", metrics=[metric])
    with pytest.raises(RegistryError, match="unknown form"):
        records_of(rest).of(asked)
