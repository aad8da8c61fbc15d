"""The output of ``make bench-quality``: a table for the terminal and a page with plots.

The page is one file without scripts or external resources, so that it can be shared.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks import quality_plots
from benchmarks.adapters import CHAMPION
from benchmarks.quality_plots import Entry, label
from benchmarks.quality_rows import Row

_TEMPLATE = "quality.html.j2"
_NOTHING = "–"
#: Numbers of ratings that fit into the terminal's table.
_SHOWN_KS = ("1", "5", "20")


def best_first(rows: Sequence[Row]) -> list[Row]:
    """Return the rows sorted by visitor NDCG@10, then models without ranking by RMSE."""

    def place(row: Row) -> tuple[int, float]:
        if row["visitor_ndcg_at_10"] is not None:
            return (0, -row["visitor_ndcg_at_10"])
        if row["next_visit_ndcg_at_10"] is not None:
            return (1, -row["next_visit_ndcg_at_10"])
        return (2, row["rmse"] if row["rmse"] is not None else 0.0)

    return sorted(rows, key=place)


def table(rows: Sequence[Row], data: Mapping[str, Any]) -> Table:
    """Return a table with one line per model, best first; Moovier's families are bold."""
    mark = " (SYNTHETIC ratings)" if data["synthetic"] else ""
    shown = Table(
        title=f"{data['name']}{mark}: NDCG@10 with 95 % intervals over users, whole catalogue",
        box=box.SIMPLE_HEAD,
        padding=0,  # The box already separates columns, and the width is scarce.
        show_edge=False,
    )
    shown.add_column("model", min_width=10)
    for heading in (
        *("visitor\nmean", "95 %\ninterval", *(f"\nk={k}" for k in _SHOWN_KS), "de-\nbiased"),
        *("next\nvisit", "95 %\ninterval", "de-\nbiased", "stars\nRMSE"),
    ):
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in best_first(rows):
        name = Text(label(row), style="bold green" if row["ours"] else "")
        shown.add_row(name, *cells(row))
    return shown


def cells(row: Row) -> list[str]:
    """Return the metrics of a row as text, in the order of the terminal's table."""
    by_k = row["visitor"] or {}
    return [
        _share(row["visitor_ndcg_at_10"]),
        _interval(row["visitor_low"], row["visitor_high"]),
        *(_share(by_k.get(k)) for k in _SHOWN_KS),
        _share(row["visitor_debiased"]),
        _share(row["next_visit_ndcg_at_10"]),
        _interval(row["next_visit_low"], row["next_visit_high"]),
        _share(row["next_visit_debiased"]),
        _share(row["rmse"], 4),
    ]


def _interval(low: float | None, high: float | None) -> str:
    return _NOTHING if low is None or high is None else f"{_share(low)}-{_share(high)}"


def _share(value: float | None, digits: int = 3) -> str:
    """Format without the leading zero, to save width."""
    return _NOTHING if value is None else f"{value:.{digits}f}".removeprefix("0")


def _difference(difference: Mapping[str, float] | None) -> str:
    """Format a difference from the champion with its interval."""
    if difference is None:
        return _NOTHING
    mean, low, high = (difference[name] for name in ("mean", "low", "high"))
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _short(value: float | None) -> str:
    """Format with about three digits, as 0.21, 9.31 or 124."""
    if value is None:
        return _NOTHING
    return f"{value:.{0 if value >= 99.5 else 1 if value >= 9.95 else 2}f}"


def write_page(
    folder: Path, about: Mapping[str, Any], entries: Sequence[Entry], rows: Sequence[Row]
) -> Path:
    """Write ``quality.html`` into ``folder`` atomically; return its path."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"label": label, "champion": CHAMPION}
    environment.filters |= {
        "value": _value,
        "png": _inline,
        "share": _share,
        "short": _short,
        "difference": _difference,
    }
    ordered = best_first(rows)
    by_name = {entry["model"]: entry for entry in entries}
    ranking = [row for row in ordered if row["visitor"] or row["next_visit_ndcg_at_10"] is not None]
    visitors = [row for row in ranking if row["visitor"]]
    audited = [row for row in ranking if row["order_audit"]]
    compared = [row for row in ranking if row["visitor_minus_champion"]]
    rating = sorted((row for row in rows if row["rmse"] is not None), key=lambda row: row["rmse"])
    plots = {
        "curves": quality_plots.curves(visitors) if visitors else None,
        "intervals": quality_plots.intervals(ranking) if ranking else None,
        "differences": quality_plots.differences(compared) if compared else None,
        "audit": quality_plots.order_audit(audited) if audited else None,
        "coverage": quality_plots.coverage(ranking) if ranking else None,
        "stars": quality_plots.stars(rating) if rating else None,
    }
    page = environment.get_template(_TEMPLATE).render(
        about=about,
        at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        ranking=ranking,
        visitors=visitors,
        audited=audited,
        compared=compared,
        rating=rating,
        tuned=[by_name[row["model"]] for row in ordered],
        seeds={row["model"]: row["seeds"] for row in rows},
        plots=plots,
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "quality.html"
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(file)
    return file


def _value(value: Any) -> str:
    """Format a hyper-parameter."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _inline(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
