"""One readable page of a look: the verdict, every figure, and then beside now in pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from moovier.report.pictures import NOW, THEN, canvas, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TEMPLATE = "monitoring.html.j2"
_SHOWN_GENRES = 20


def write(
    folder: Path,
    *,
    said: Mapping[str, Any],
    data: DataFacts,
    trained_on: DataFacts,
    change: Change,
    came: Drift,
    notes: Sequence[str],
    why: str,
) -> Path:
    """Write ``monitoring.html`` and its pictures into ``folder``; returns the page's path.

    ``said``: what the registered model's tag says. ``why``: whether a retraining is asked for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"ratings": ratings(change), "genres": genres(change)}
    pictures["popularity"] = popularity(change)
    if came.statistics:
        pictures = {"drift": drift(came), **pictures}
    for name, picture in pictures.items():
        (folder / f"{name}.png").write_bytes(picture)
    page = folder / "monitoring.html"
    page.write_text(
        environment()
        .get_template(_TEMPLATE)
        .render(
            said=said,
            at=datetime.fromtimestamp(said["at"], UTC),
            data=data,
            trained_on=trained_on,
            came=came,
            notes=notes,
            why=why,
            pictures=pictures,
        ),
        encoding="utf-8",
    )
    return page


def drift(came: Drift) -> bytes:
    """Each distance as a share of its limit, beside what chance alone reaches."""
    drawn = canvas(8.0, 1.4 + 0.4 * len(came.statistics))
    axes = drawn.add_subplot()
    for place, one in enumerate(came.statistics):
        axes.barh(
            place, one.value / one.limit, 0.55, color=NOW if one.drifted else THEN, alpha=0.85
        )
        chance = one.chance / one.limit
        axes.plot([chance, chance], [place - 0.4, place + 0.4], color="black", linewidth=2)
    names = [f"{one.kind}: {one.name}" for one in came.statistics]
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(1.0, color="grey", linestyle="--", label="limit")
    axes.plot([], [], color="black", linewidth=2, label="99 % of chance")
    axes.barh([0], [0], color=NOW, label="drifted")
    axes.barh([0], [0], color=THEN, label="not drifted")
    axes.set_xlabel("distance from what was expected, as a share of its limit")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    return png(drawn)


def ratings(change: Change) -> bytes:
    """Stars of all ratings then and now, and of those that came."""
    drawn = canvas(8.0, 3.2)
    axes = drawn.add_subplot()

    def histogram(rows: Ratings) -> Values:
        halves = np.rint(rows.stars * 2).astype(np.int64) - 1
        return shares(np.bincount(halves, minlength=STARS.size).astype(float))

    _bars(axes, [f"{stars:g}" for stars in STARS], _three(change, histogram))
    axes.set_xlabel("stars")
    axes.set_ylabel("share of ratings")
    return png(drawn)


def genres(change: Change) -> bytes:
    """Genres of the ratings then and now, the most rated first."""
    drawn = canvas(9.0, 3.8)
    axes = drawn.add_subplot()
    series = _three(change, lambda rows: shares(change.genres[rows.movies].sum(axis=0)))
    order = np.argsort(-series["trained on"], kind="stable")[:_SHOWN_GENRES]
    names = [change.genre_names[place] for place in order.tolist()]
    _bars(axes, names, {name: values[order] for name, values in series.items()})
    axes.tick_params(axis="x", labelrotation=45)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("right")
    axes.set_ylabel("share of ratings")
    return png(drawn)


def popularity(change: Change) -> bytes:
    """How much of the ratings the most rated movies of the training data have, then and now."""
    drawn = canvas(8.0, 3.4)
    axes = drawn.add_subplot()
    counts = np.bincount(change.reference.movies, minlength=change.movies.size)
    order = np.argsort(-counts, kind="stable")
    places = np.arange(1, order.size + 1)
    looks: dict[str, dict[str, Any]] = {
        "trained on": {"color": THEN, "linewidth": 3, "alpha": 0.6},
        "now": {"color": "black", "linestyle": "--"},
        "came since": {"color": NOW},
    }
    for name, values in _three(
        change, lambda rows: np.bincount(rows.movies, minlength=order.size).astype(float)
    ).items():
        axes.plot(places, np.cumsum(shares(values)[order]), label=name, **looks[name])
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("movies, by how often they were rated in the training data")
    axes.set_ylabel("share of ratings, cumulative")
    axes.grid(alpha=0.3)
    axes.legend()
    return png(drawn)


def _three(change: Change, of: Any) -> dict[str, Values]:
    """A distribution of the training data, of the current data, and of what came, if anything."""
    found = {"trained on": of(change.reference), "now": of(change.current)}
    if change.added.any():
        found["came since"] = of(change.current.take(change.added))
    return found


def _bars(axes: Axes, names: Sequence[str], series: Mapping[str, Values]) -> None:
    width = 0.8 / len(series)
    colours = {"trained on": THEN, "now": "#999999", "came since": NOW}
    for number, (label, values) in enumerate(series.items()):
        places = np.arange(len(names)) + number * width
        axes.bar(places, values, width, label=label, color=colours[label])
    axes.set_xticks(np.arange(len(names)) + 0.4 - width / 2, names)
    axes.legend()
