"""Plot learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

_VALIDATION = "val_"


def learning_curves(curves: Mapping[str, Sequence[float]], title: str, file: Path) -> Path:
    """Plot training and validation in one panel per metric; return ``file``.

    ``curves``: one value per epoch for each metric; ``val_loss`` is drawn in the panel of ``loss``.
    """
    # A Figure without pyplot uses the Agg backend and keeps no global state.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = list(dict.fromkeys(name.removeprefix(_VALIDATION) for name in curves))
    figure = Figure(figsize=(5.0 * max(len(panels), 1), 3.5), dpi=100, layout="constrained")
    figure.suptitle(title)
    for position, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), position)
        for name, label in ((panel, "training"), (_VALIDATION + panel, "validation")):
            if name in curves:
                values = curves[name]
                axes.plot(range(1, len(values) + 1), values, marker=".", label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(panel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    figure.savefig(file)
    return file
