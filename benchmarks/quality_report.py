"""What `make bench-quality` shows: the table of the terminal, and a page with pictures.

The page is one file without scripts or outside resources, so that it can be sent around.
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

from benchmarks import quality_pictures
from benchmarks.quality_pictures import Entry, label
from moovier.evaluation.ranking import SEGMENTS

_TEMPLATE = "quality.html.j2"
_NOTHING = "–"

#: A row of ``quality.json``.
Row = Mapping[str, Any]


def best_first(rows: Sequence[Row], users: str) -> list[Row]:
    """The rows of one kind of people by NDCG@10; behind them by RMSE those that only rate."""

    def place(row: Row) -> tuple[bool, float]:
        ranks = row["ndcg_at_10"] is not None
        return (False, -row["ndcg_at_10"]) if ranks else (True, row["rmse"])

    return sorted((row for row in rows if row["users"] == users), key=place)


def table(rows: Sequence[Row], data: Mapping[str, Any]) -> Table:
    """All rows, known users first; ours are bold and named Moovier."""
    mark = " (SYNTHETIC ratings)" if data["synthetic"] else ""
    shown = Table(
        title=f"{data['name']}{mark}: all movies ranked, 95 % intervals over users",
        box=box.SIMPLE_HEAD,
        padding=0,  # the box has a space between columns, and 80 characters are few
        show_edge=False,
    )
    shown.add_column("model", min_width=12)
    shown.add_column("users", no_wrap=True)
    for heading in (
        *("NDCG\n@10", "95 %\ninterval", "Recall\n@10", "hit\nrate", "cover\nage"),
        *("RMSE", "MAE", "fit\ns", "ms a\nuser"),
    ):
        shown.add_column(heading, justify="right", no_wrap=True)
    for users in ("known", "new"):
        for row in best_first(rows, users):
            name = Text(label(row), style="bold green" if row["ours"] else "")
            shown.add_row(name, users, *cells(row))
        shown.add_section()
    return shown


def cells(row: Row) -> list[str]:
    """The figures of a row as text, in the table's order."""
    low, high = row["ndcg_at_10_low"], row["ndcg_at_10_high"]
    return [
        _share(row["ndcg_at_10"], 4),
        _NOTHING if low is None else f"{_share(low)}-{_share(high)}",
        *(_share(row[name]) for name in ("recall_at_10", "hit_at_10", "coverage")),
        *(_share(row[name], 4) for name in ("rmse", "mae")),
        *(_short(row[name]) for name in ("fit_s", "ms_per_user")),
    ]


def _share(value: float | None, digits: int = 3) -> str:
    """Without the leading zero, which the table has no room for."""
    return _number(value, f".{digits}f").removeprefix("0")


def _short(value: float | None) -> str:
    """At most four characters below 10,000."""
    digits = 0 if value is None or value >= 99.5 else 1 if value >= 9.95 else 2
    return _number(value, f".{digits}f")


def _number(value: float | None, form: str) -> str:
    return _NOTHING if value is None else format(value, form)


def write_page(
    folder: Path, about: Mapping[str, Any], entries: Sequence[Entry], rows: Sequence[Row]
) -> Path:
    """Write ``quality.html`` into ``folder``, whole or not at all; its path."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"label": label, "cells": cells}
    environment.filters |= {"value": _value, "png": _inline}
    known, new = by_ndcg(entries, "known"), by_ndcg(entries, "new")
    rating = sorted(
        (one for one in entries if one["stars"] is not None), key=lambda one: one["stars"]["rmse"]
    )
    page = environment.get_template(_TEMPLATE).render(
        about=about,
        at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        blocks=[(users, best_first(rows, users)) for users in ("known", "new")],
        known=known,
        new=new,
        segments=[
            name for name in SEGMENTS if any(name in one["known"]["segments"] for one in known)
        ],
        tuned=[*known, *(one for one in rating if one["known"] is None)],
        quality=quality_pictures.quality(known) if known else None,
        histories=quality_pictures.histories(known, new) if known else None,
        coverage=quality_pictures.coverage(known) if known else None,
        stars=quality_pictures.stars(rating) if rating else None,
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "quality.html"
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(file)
    return file


def by_ndcg(entries: Sequence[Entry], users: str) -> list[Entry]:
    """Those that rank such people, best first."""
    ranking = [entry for entry in entries if entry[users] is not None]
    return sorted(ranking, key=lambda entry: -entry[users]["ndcg_at_10"])


def _value(value: Any) -> str:
    """A hyper-parameter as a person writes it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _inline(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
