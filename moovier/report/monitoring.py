"""Write the page of a monitoring check: the result, all metrics, and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moovier.data.ratings import Ratings
from moovier.models.bundle import DataFacts
from moovier.monitoring.dataset_diff import Change
from moovier.monitoring.distances import Values, shares
from moovier.monitoring.drift import Drift
from moovier.monitoring.profiles import STARS
from moovier.report.page import environment
from moovier.report.plots import NOW, THEN, canvas, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TEMPLATE = "monitoring.html.j2"
_SHOWN_GENRES = 20


def write(
    folder: Path,
    *,
    summary: Mapping[str, Any],
    data: DataFacts,
    trained_on: DataFacts,
    change: Change,
    added_drift: Drift,
    notes: Sequence[str],
    why: str,
) -> Path:
    """Write ``monitoring.html`` and its plots into ``folder``; return its path.

    ``summary``: the content of the registered model's tag. ``added_drift``: of the added ratings.
    ``why``: the reason for or against a retraining.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots = {
        "ratings": ratings(change),
        "genres": genres(change),
        "popularity": popularity(change),
    }
    if added_drift.statistics:
        plots = {"drift": drift(added_drift), **plots}
    for name, plot in plots.items():
        (folder / f"{name}.png").write_bytes(plot)
    page = folder / "monitoring.html"
    page.write_text(
        environment()
        .get_template(_TEMPLATE)
        .render(
            summary=summary,
            at=datetime.fromtimestamp(summary["at"], UTC),
            data=data,
            trained_on=trained_on,
            added_drift=added_drift,
            notes=notes,
            why=why,
            plots=plots,
        ),
        encoding="utf-8",
    )
    return page


def drift(added_drift: Drift) -> bytes:
    """Plot each distance as a share of its limit, with 99 % of chance."""
    figure = canvas(8.0, 1.4 + 0.4 * len(added_drift.statistics))
    axes = figure.add_subplot()
    for row, statistic in enumerate(added_drift.statistics):
        colour = NOW if statistic.drifted else THEN
        axes.barh(row, statistic.value / statistic.limit, 0.55, color=colour, alpha=0.85)
        chance = statistic.chance / statistic.limit
        axes.plot([chance, chance], [row - 0.4, row + 0.4], color="black", linewidth=2)
    names = [f"{statistic.kind}: {statistic.name}" for statistic in added_drift.statistics]
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(1.0, color="grey", linestyle="--", label="limit")
    axes.plot([], [], color="black", linewidth=2, label="99 % of chance")
    axes.barh([0], [0], color=NOW, label="drifted")
    axes.barh([0], [0], color=THEN, label="not drifted")
    axes.set_xlabel("distance from what was expected, as a share of its limit")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    return png(figure)


def ratings(change: Change) -> bytes:
    """Plot the stars of the training data, the current and the added ratings."""
    figure = canvas(8.0, 3.2)
    axes = figure.add_subplot()

    def histogram(ratings: Ratings) -> Values:
        halves = np.rint(ratings.stars * 2).astype(np.int64) - 1
        return shares(np.bincount(halves, minlength=STARS.size).astype(float))

    _bars(axes, [f"{stars:g}" for stars in STARS], _distributions(change, histogram))
    axes.set_xlabel("stars")
    axes.set_ylabel("share of ratings")
    return png(figure)


def genres(change: Change) -> bytes:
    """Plot the genres of the same three sets of ratings, the most rated genre first."""
    figure = canvas(9.0, 3.8)
    axes = figure.add_subplot()
    series = _distributions(change, lambda ratings: shares(change.genres_of(ratings)))
    order = np.argsort(-series["trained on"], kind="stable")[:_SHOWN_GENRES]
    names = [change.genre_names[genre] for genre in order.tolist()]
    _bars(axes, names, {name: values[order] for name, values in series.items()})
    axes.tick_params(axis="x", labelrotation=45)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("right")
    axes.set_ylabel("share of ratings")
    return png(figure)


def popularity(change: Change) -> bytes:
    """Plot the cumulative share of ratings by movie, most rated first."""
    figure = canvas(8.0, 3.4)
    axes = figure.add_subplot()
    counts = np.bincount(change.reference.movies, minlength=change.movies.size)
    order = np.argsort(-counts, kind="stable")
    ranks = np.arange(1, order.size + 1)
    styles: dict[str, dict[str, Any]] = {
        "trained on": {"color": THEN, "linewidth": 3, "alpha": 0.6},
        "now": {"color": "black", "linestyle": "--"},
        "added since": {"color": NOW},
    }
    for name, values in _distributions(
        change, lambda ratings: np.bincount(ratings.movies, minlength=order.size).astype(float)
    ).items():
        axes.plot(ranks, np.cumsum(shares(values)[order]), label=name, **styles[name])
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("movies, by how often they were rated in the training data")
    axes.set_ylabel("share of ratings, cumulative")
    axes.grid(alpha=0.3)
    axes.legend()
    return png(figure)


def _distributions(
    change: Change, distribution_of: Callable[[Ratings], Values]
) -> dict[str, Values]:
    """Return the distributions of the training data, current and added ratings."""
    distributions = {
        "trained on": distribution_of(change.reference),
        "now": distribution_of(change.current),
    }
    if change.added.any():
        distributions["added since"] = distribution_of(change.current.take(change.added))
    return distributions


def _bars(axes: Axes, names: Sequence[str], series: Mapping[str, Values]) -> None:
    width = 0.8 / len(series)
    colours = {"trained on": THEN, "now": "#999999", "added since": NOW}
    for number, (label, values) in enumerate(series.items()):
        positions = np.arange(len(names)) + number * width
        axes.bar(positions, values, width, label=label, color=colours[label])
    axes.set_xticks(np.arange(len(names)) + 0.4 - width / 2, names)
    axes.legend()
