"""The plots of the quality page, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.adapters import CHAMPION
from benchmarks.quality_rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: One model as :func:`benchmarks.quality_measure.measure` returns it.
Entry = Mapping[str, Any]

#: Distinct for colour-blind readers and in print. Source: Okabe & Ito 2008,
#: jfly.uni-koeln.de/color.
_BLUE, _ORANGE, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_GREY = "#9A9A9A"
_OURS_COLOURS = {CHAMPION: _BLUE, "ease": _GREEN, "timeline": _PURPLE, "popular": _ORANGE}
#: Baselines are grey with different dashes and markers.
_DASHES = ("--", ":", "-.")
_MARKERS = ("s", "^", "v", "D", "P", "X", "*", "<", ">")
#: Sharp on screens with high resolution.
_DPI = 150


def label(row: Mapping[str, Any]) -> str:
    """Return the model's name, with the prefix Moovier for its families."""
    return f"Moovier {row['model']}" if row["ours"] else str(row["model"])


def curves(rows: Sequence[Row]) -> bytes:
    """Plot the visitors' NDCG@10 over the number of ratings, one line per model."""
    figure = _figure(10.0, 5.4)
    axes = figure.add_subplot()
    # Equal steps, because small numbers would be crowded on a linear scale.
    ks = list(rows[0]["visitor"])
    places = [*range(len(ks) + 1)]
    baselines = 0
    for row in rows:
        values = [row["visitor_k0"], *(row["visitor"][k] for k in ks)]
        axes.plot(places, _numbers(values), **_style(row, baselines))
        baselines += not row["ours"]
    axes.set_xticks(places, ["0", *ks])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("number of the visitor's ratings (0 is not part of the mean)")
    axes.set_ylabel("NDCG@10")
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside right center", fontsize="small")
    return _png(figure)


def intervals(rows: Sequence[Row]) -> bytes:
    """Plot both deciding metrics with their intervals, one line per model."""
    figure = _figure(9.5, 1.4 + 0.34 * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, start, title in zip(
        panels, ("visitor", "next_visit"), ("visitor, mean over k", "next visit"), strict=True
    ):
        for place, row in enumerate(rows):
            value = row[f"{start}_ndcg_at_10"]
            if value is not None:
                colour = _colour(row)
                axes.plot([row[f"{start}_low"], row[f"{start}_high"]], [place] * 2, color=colour)
                axes.plot(value, place, "o", color=colour)
        axes.set_title(title, fontsize="medium")
        axes.set_xlim(left=0)
        axes.set_xlabel("NDCG@10 and its 95 % interval")
        axes.grid(axis="x", alpha=0.3)
    _names(panels[0], rows)
    return _png(figure)


def differences(rows: Sequence[Row]) -> bytes:
    """Plot model minus champion with the paired intervals; left of 0 the champion is better."""
    figure = _figure(9.5, 1.4 + 0.34 * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name, title in zip(
        panels,
        ("visitor_minus_champion", "next_visit_minus_champion"),
        ("visitor, mean over k", "next visit"),
        strict=True,
    ):
        for place, row in enumerate(rows):
            difference = row[name]
            if difference is not None:
                colour = _colour(row)
                axes.plot([difference["low"], difference["high"]], [place] * 2, color=colour)
                axes.plot(difference["mean"], place, "o", color=colour)
        axes.axvline(0, color="black", linewidth=1)
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel(f"NDCG@10 minus that of Moovier {CHAMPION}")
        axes.grid(axis="x", alpha=0.3)
    _names(panels[0], rows)
    return _png(figure)


def order_audit(rows: Sequence[Row]) -> bytes:
    """Plot NDCG@10 with histories as rated, shuffled within sittings, and fully shuffled."""
    figure = _figure(9.5, 1.4 + 0.55 * len(rows))
    axes = figure.add_subplot()
    kinds = (
        ("as_rated", "as rated", _BLUE),
        ("within_sittings", "shuffled within each sitting", _ORANGE),
        ("shuffled", "fully shuffled", _GREY),
    )
    for number, (name, title, colour) in enumerate(kinds):
        places = [place + 0.27 * (number - 1) for place in range(len(rows))]
        values = [row["order_audit"][name] for row in rows]
        bars = axes.barh(places, values, 0.25, color=colour, label=title)
        axes.bar_label(bars, [f"{value:.3f}" for value in values], padding=3, fontsize=7)
    _names(axes, rows)
    axes.margins(x=0.12)
    axes.set_axisbelow(True)
    axes.set_xlabel("NDCG@10 of held-out users, last 20 % by time")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    return _png(figure)


def coverage(rows: Sequence[Row]) -> bytes:
    """Plot the share of the catalogue in any list over the popularity of the lists."""
    figure = _figure(10.0, 4.6)
    axes = figure.add_subplot()
    baselines = 0
    for row in rows:
        style = _style(row, baselines) | {"linestyle": "none", "markersize": 8}
        axes.plot(*_numbers([row["popularity_bias"], row["coverage"]]), **style)
        baselines += not row["ours"]
    axes.set_xlabel("mean popularity percentile of the lists (1: the most rated movie)")
    axes.set_ylabel("share of the catalogue in any list")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize="small")
    return _png(figure)


def stars(rows: Sequence[Row]) -> bytes:
    """Plot RMSE and MAE, two bars per model."""
    figure = _figure(8.5, 1.2 + 0.6 * len(rows))
    axes = figure.add_subplot()
    for name, shift, opacity in (("rmse", -0.19, 1.0), ("mae", 0.19, 0.45)):
        values = [row[name] for row in rows]
        colours = [_BLUE if row["ours"] else _GREY for row in rows]
        places = [place + shift for place in range(len(rows))]
        bars = axes.barh(places, values, 0.36, color=colours, alpha=opacity)
        axes.bar_label(bars, [f"{name.upper()} {value:.4f}" for value in values], padding=4)
    _names(axes, rows)
    axes.set_xlim(0, 1.25 * max(row["rmse"] for row in rows))
    axes.set_xlabel("stars; lower is better")
    return _png(figure)


def _names(axes: Axes, rows: Sequence[Row]) -> None:
    """Label one line per model, the first on top, Moovier's in bold."""
    axes.set_yticks(range(len(rows)), [label(row) for row in rows])
    for text, row in zip(axes.get_yticklabels(), rows, strict=True):
        text.set_fontweight("bold" if row["ours"] else "normal")
    axes.set_ylim(len(rows) - 0.5, -0.5)


def _colour(row: Row) -> str:
    return _OURS_COLOURS.get(row["model"], _BLUE) if row["ours"] else _GREY


def _style(row: Row, baselines: int) -> dict[str, Any]:
    """Return the style of a model's line: solid and coloured, or grey and dashed for baselines.

    ``baselines`` is the number of baselines before this one.
    """
    if row["ours"]:
        return {
            "label": label(row),
            "color": _colour(row),
            "marker": "o",
            "linewidth": 2.6 if row["model"] == CHAMPION else 1.8,
            "zorder": 3,
        }
    return {
        "label": label(row),
        "color": ("#555555", _GREY)[baselines % 2],
        "marker": _MARKERS[baselines % len(_MARKERS)],
        "linestyle": _DASHES[baselines % len(_DASHES)],
        "linewidth": 1.2,
        "markersize": 5,
    }


def _numbers(values: Sequence[float | None]) -> list[float]:
    """Return the values with NaN for missing ones, which are not drawn."""
    return [float("nan") if value is None else value for value in values]


def _figure(width: float, height: float) -> Figure:
    # A Figure without pyplot draws with Agg and has no global state.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
