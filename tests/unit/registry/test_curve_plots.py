from __future__ import annotations

from pathlib import Path

import pytest

from moovier.registry.curve_plots import learning_curves

CURVES = {"loss": [0.9, 0.7], "val_loss": [0.8, 0.75], "val_ndcg_at_10": [0.1, 0.12]}


@pytest.mark.parametrize("curves", [CURVES, {"loss": [0.5]}, {"loss": [float("nan"), 1.0]}])
def test_curves_are_plotted_as_png(tmp_path: Path, curves: dict[str, list[float]]) -> None:
    file = learning_curves(curves, "moovier_emb_10_trained_0", tmp_path / "curves.png")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_training_and_validation_share_a_panel(tmp_path: Path) -> None:
    from matplotlib.image import imread

    one = imread(learning_curves({"loss": [1.0, 0.5]}, "", tmp_path / "one.png"))
    both = imread(learning_curves({"loss": [1.0], "val_loss": [1.0]}, "", tmp_path / "both.png"))
    two = imread(learning_curves(CURVES, "", tmp_path / "two.png"))
    assert both.shape[1] == one.shape[1]
    assert two.shape[1] == 2 * one.shape[1]
