from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from moovier.data.id_texts import IdTexts, TextTable
from moovier.ids import MOVIE, USER
from moovier.models import bundle
from moovier.settings import Settings
from moovier.stack.lifecycle import RunningStack
from moovier.stack.startup_summary import show
from tests.fixtures import toy_bundle
from tests.unit.cli.test_models import version


@pytest.mark.parametrize(
    ("metrics", "shown"),
    [
        (
            {"visitor_ndcg_at_10": 0.4312, "next_visit_ndcg_at_10": 0.1229, "ndcg_at_10": 0.2},
            "(version 2, visitor NDCG@10 0.431, next visit NDCG@10 0.123)",
        ),
        ({"ndcg_at_10": 0.195}, "(version 2, NDCG@10 0.195 on the split by time)"),
        ({}, "(version 2)"),
    ],
)
def test_quality_of_the_champion_is_shown(
    tmp_path: Path, metrics: dict[str, float], shown: str
) -> None:
    champion = dataclasses.replace(version(2, "champion"), metrics=metrics)
    text = io.StringIO()
    running = RunningStack(Settings(project=tmp_path, home=tmp_path), champion, "secret")
    show(running, Console(file=text, width=200))
    assert f"moovier_dae_128_trained_2 {shown}" in text.getvalue()


def test_summary_without_a_champion_says_that_popular_movies_are_recommended(
    tmp_path: Path,
) -> None:
    text = io.StringIO()
    running = RunningStack(Settings(project=tmp_path, home=tmp_path), None, "secret")
    show(running, Console(file=text, width=200))
    summary = " ".join(text.getvalue().split())
    assert "the service recommends popular movies to everybody" in summary
    assert "Champion" not in summary


@pytest.mark.parametrize(
    ("ids", "body"),
    [
        (None, "'[7]'"),
        (IdTexts({USER: TextTable.of({7: "anna's"})}), """'["anna'"'"'s"]'"""),
        (IdTexts({MOVIE: TextTable.of({1: "heat"})}), "'[7]'"),
    ],
    ids=["whole numbers", "texts", "texts of movies only"],
)
def test_first_command_asks_for_a_user_of_the_data(
    tmp_path: Path, ids: IdTexts | None, body: str
) -> None:
    champion = version(2, "champion")
    bundle.save(dataclasses.replace(toy_bundle(), ids=ids), tmp_path / "bundles" / "2-r")
    text = io.StringIO()
    running = RunningStack(Settings(project=tmp_path, home=tmp_path), champion, "secret")
    show(running, Console(file=text, width=200))
    assert text.getvalue().rstrip().endswith(f"-d {body}")
