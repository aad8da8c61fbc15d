from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from moovier.cli import models
from moovier.registry.listing import Listing
from moovier.registry.version import Version


def version(number: int, *aliases: str, **metrics: float) -> Version:
    return Version(
        number=number,
        name=f"moovier_dae_128_trained_{number}",
        family="dae",
        run_id="r",
        aliases=aliases,
        tags={"data_name": "ml-latest-small"},
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        parent=None,
        metrics=metrics,
        status="READY",
    )


def test_models_shows_both_protocols_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = [
        version(
            2,
            "challenger",
            visitor_ndcg_at_10=0.4312,
            next_visit_ndcg_at_10=0.1229,
            ndcg_at_10=0.15,
        ),
        version(1, "champion", ndcg_at_10=0.195),
    ]
    registry = type("Registry", (), {"listing": lambda _self: Listing(tuple(versions), (), {})})
    monkeypatch.setattr(models, "_registry", registry)
    monkeypatch.setenv("COLUMNS", "80")
    models.show()
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("moovier_")}
    assert rows["moovier_dae_128_trained_2"] == [
        "2",
        "challenger",
        "0.431",
        "0.123",
        "ml-latest-small",
        "2026-01-02",
    ]
    # A version of an earlier release was not evaluated under these protocols.
    assert rows["moovier_dae_128_trained_1"][2:4] == ["–", "–"]


def test_one_model_is_described_with_reasons_and_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hash_ = "7a07225112ccf8cdc73da1f2d56610d0.dir"
    tags = {"data_name": "ml-latest-small", "data_hash": hash_, "gate": "promoted"}
    champion = replace(
        version(3, "champion", visitor_ndcg_at_10=0.4312, rmse=float("nan")),
        tags=tags,
        description="promoted: better for visitors\n\n- visitor: .431, better by .05\n---\nearlier",
    )
    registry = type("Registry", (), {"resolve": lambda _self, name: {"champion": champion}[name]})
    monkeypatch.setattr(models, "_registry", registry)
    monkeypatch.setenv("COLUMNS", "80")
    models.show("champion")
    lines = {line.strip() for line in capsys.readouterr().out.splitlines()}
    assert {
        "model     moovier_dae_128_trained_3 (version 3)",
        "aliases   champion",
        "metrics   visitor NDCG@10 0.431",  # the RMSE is not a number
        "why       promoted: better for visitors",
        "visitor: .431, better by .05",
        f"data      ml-latest-small, hash {hash_}",
    } <= lines
    assert "earlier" not in lines
    models.show("champion", as_json=True)
    assert json.loads(capsys.readouterr().out)["data"]["hash"] == hash_
