"""The pictures of the quality page, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moovier.evaluation.ranking import SEGMENTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: One model as :func:`benchmarks.quality_measure.measure` tells of it.
Entry = Mapping[str, Any]

#: Told apart by anyone, also printed. Source: Okabe & Ito 2008, jfly.uni-koeln.de/color.
_KNOWN, _NEW = "#0072B2", "#D55E00"
_OURS, _RIVALS = "#0072B2", "#9A9A9A"
#: Sharp on screens with twice the pixels.
_DPI = 150


def label(one: Mapping[str, Any]) -> str:
    """The model's name, ours with the product's before it."""
    return f"Moovier {one['model']}" if one["ours"] else str(one["model"])


def quality(models: Sequence[Entry]) -> bytes:
    """NDCG@10 with its interval, a line a model, known users beside new people."""
    figure = _figure(8.5, 1.3 + 0.42 * len(models))
    axes = figure.add_subplot()
    for users, shift, colour, marker in (("known", -0.14, _KNOWN, "o"), ("new", 0.14, _NEW, "D")):
        for place, model in enumerate(models):
            people = model[users]
            if people is not None:
                ends = [people["ndcg_at_10_low"], people["ndcg_at_10_high"]]
                axes.plot(ends, [place + shift] * 2, color=colour, alpha=0.6)
                axes.plot(people["ndcg_at_10"], place + shift, marker, color=colour)
        axes.plot([], [], marker, color=colour, label=f"{users} people")
    _names(axes, models)
    axes.set_xlim(left=0)
    axes.set_xlabel("NDCG@10 and its 95 % interval")
    axes.legend(loc="lower right")
    axes.grid(axis="x", alpha=0.3)
    return _png(figure)


def histories(known: Sequence[Entry], new: Sequence[Entry]) -> bytes:
    """NDCG@10 by what is known of people: known users by the length of their history, new people
    by how many of their newest ratings they showed."""
    figure = _figure(10.5, 4.6)
    left, right = figure.subplots(1, 2, sharey=True)
    lengths = [name for name in SEGMENTS if any(name in one["known"]["segments"] for one in known)]
    for number, model in enumerate(known):
        segments = model["known"]["segments"]
        found = [segments[name][1] if name in segments else float("nan") for name in lengths]
        left.plot(lengths, found, **_style(number, model))
    counts = known[0]["known"]["segments"]
    left.set_xticks(range(len(lengths)), [f"{name}\n{counts[name][0]} users" for name in lengths])
    left.set_xlim(-0.5, len(lengths) - 0.5)
    left.set_title("known users", fontsize="medium")
    left.set_xlabel("length of the history")
    left.set_ylabel("NDCG@10")
    numbers = {model["model"]: number for number, model in enumerate(known)}
    for model in new:
        people = model["new"]
        steps = [*people["by_shown"], "all"]
        found = [*people["by_shown"].values(), people["ndcg_at_10"]]
        right.plot(steps, found, **_style(numbers[model["model"]], model))
    right.set_title("new people", fontsize="medium")
    right.set_xlabel("newest ratings that they showed")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center", fontsize="small")
    return _png(figure)


def coverage(models: Sequence[Entry]) -> bytes:
    """How much of the catalogue is shown to anybody, against how popular it is."""
    figure = _figure(8.5, 4.2)
    axes = figure.add_subplot()
    for number, model in enumerate(models):
        people = model["known"]
        style = _style(number, model) | {"linestyle": "none", "markersize": 8}
        axes.plot(people["popularity_bias_at_10"], people["coverage_at_10"], **style)
    axes.set_xlabel("mean popularity percentile of what is shown (1: the most rated movie)")
    axes.set_ylabel("share of the catalogue shown to anybody")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize="small")
    return _png(figure)


def stars(models: Sequence[Entry]) -> bytes:
    """RMSE and MAE, a pair of bars a model."""
    figure = _figure(8.5, 1.2 + 0.6 * len(models))
    axes = figure.add_subplot()
    for name, shift, opacity in (("rmse", -0.19, 1.0), ("mae", 0.19, 0.45)):
        values = [model["stars"][name] for model in models]
        colours = [_OURS if model["ours"] else _RIVALS for model in models]
        places = [place + shift for place in range(len(models))]
        bars = axes.barh(places, values, 0.36, color=colours, alpha=opacity)
        axes.bar_label(bars, [f"{name.upper()} {value:.4f}" for value in values], padding=4)
    _names(axes, models)
    axes.set_xlim(0, 1.25 * max(model["stars"]["rmse"] for model in models))
    axes.set_xlabel("stars; less is better")
    return _png(figure)


def _names(axes: Axes, models: Sequence[Entry]) -> None:
    """A line a model, the first on top, ours bold."""
    axes.set_yticks(range(len(models)), [label(model) for model in models])
    for text, model in zip(axes.get_yticklabels(), models, strict=True):
        text.set_fontweight("bold" if model["ours"] else "normal")
    axes.set_ylim(len(models) - 0.5, -0.5)


def _style(number: int, model: Entry) -> dict[str, Any]:
    """Ours are full lines with discs, rivals dashed ones with squares: colours alone run out."""
    from matplotlib import colormaps

    ours = model["ours"]
    return {
        "label": label(model),
        "color": colormaps["tab20"](number % 20),
        "marker": "o" if ours else "s",
        "linestyle": "-" if ours else "--",
    }


def _figure(width: float, height: float) -> Figure:
    # A Figure without pyplot draws with Agg and keeps no global state.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
