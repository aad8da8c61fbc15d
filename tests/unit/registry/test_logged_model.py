"""What is written to MLflow's logged models, with a client that records it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

from moovier.registry import logged_model
from moovier.registry.model_record import ModelRecord
from tests.fixtures import toy_bundle

DATA = toy_bundle().card.data
RECORD = ModelRecord(
    params={"family": "ease", "l2": 300, "kind": "ewma"},
    metrics={"rmse": 0.9, "ndcg": math.nan},
    tags={"family": "ease", "hold_out": "h"},
)


class Client:
    """The part of MLflow's client that is used."""

    def __init__(self) -> None:
        self.tags: dict[str, Any] = {}
        self.params: dict[str, Any] = {}
        self.batches: list[tuple[str, list[Any]]] = []

    def set_logged_model_tags(self, model_id: str, tags: dict[str, Any]) -> None:
        assert (model_id, bool(tags)) == ("m1", True)
        self.tags |= tags

    def log_model_params(self, model_id: str, params: dict[str, str]) -> None:
        assert (model_id, bool(params)) == ("m1", True)
        self.params |= params

    def log_batch(self, run_id: str, *, metrics: list[Any]) -> None:
        self.batches.append((run_id, metrics))


def log(record: ModelRecord, data: Any) -> Client:
    client = Client()
    logged_model.log_metrics(cast(Any, client), "run", "m1", record, data)
    return client


def test_finite_metrics_are_logged_for_run_model_and_data() -> None:
    [(run_id, [metric])] = log(RECORD, DATA).batches
    assert (run_id, metric.key, metric.value, metric.model_id) == ("run", "rmse", 0.9, "m1")
    assert (metric.dataset_name, metric.dataset_digest) == (DATA.name, DATA.hash)


def test_metrics_without_data_name_none() -> None:
    [(_, [metric])] = log(RECORD, None).batches
    assert (metric.dataset_name, metric.dataset_digest) == (None, None)


def test_nothing_is_sent_without_a_finite_metric() -> None:
    assert log(ModelRecord(metrics={"ndcg": math.inf}), DATA).batches == []


def complete(**own: Any) -> Client:
    client = Client()
    model = SimpleNamespace(**{"model_id": "m1", "tags": {}, "params": {}, "metrics": [], **own})
    logged_model.complete(cast(Any, client), model, "run", RECORD, DATA)
    return client


def test_a_model_without_a_record_gets_all_of_it() -> None:
    client = complete()
    assert client.tags == RECORD.tags
    assert client.params == {"family": "ease", "l2": "300", "kind": "ewma"}
    assert [metric.key for metric in client.batches[0][1]] == ["rmse"]


def test_what_a_model_has_is_not_written_again() -> None:
    client = complete(tags={"family": "old"}, params={"l2": "1"}, metrics=["any"])
    assert client.tags == {"hold_out": "h"}
    assert client.params == {"family": "ease", "kind": "ewma"}
    assert client.batches == []
    client = complete(tags=dict(RECORD.tags), params=RECORD.param_texts(), metrics=["any"])
    assert (client.tags, client.params, client.batches) == ({}, {}, [])
