"""``make bench-lists``: one person's list by ``timeline``, with and without its limits.

Counted is what an answer computes: scoring the whole catalogue by fold-in from a list of ratings,
leaving out what was rated, and the ten best, in one thread, TensorFlow not loaded. The people and
the quality are those of the validation part: its limits were chosen there. The peer of the ratios
is EASE, a dense product, on the same ratings.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks import report
from moovier.data import store
from moovier.data.movielens import indexed, read_movielens
from moovier.data.split import Split, time_split
from moovier.evaluation import ranking
from moovier.models import ease, timeline
from moovier.models.family import Scorer
from moovier.models.top import top_rows
from moovier.settings import load_settings

TOP_K, ROUNDS, BAR_MS = 10, 3, 1.0
ALL = 10**9
#: Places that flow is followed from, and neighbours that company reaches.
LIMITS = {
    "timeline": (timeline.MOST_PLACES, timeline.MOST_NEIGHBOURS),
    "timeline, 100 places": (100, timeline.MOST_NEIGHBOURS),
    "timeline, 1,000 places": (1000, timeline.MOST_NEIGHBOURS),
    "timeline, 64 neighbours": (timeline.MOST_PLACES, 64),
    "timeline without limits": (ALL, ALL),
}


def main() -> None:
    """Print the table, write ``benchmarks/out/lists.json``; exit 1 above a millisecond."""
    arguments = argparse.ArgumentParser(description="One person's list by timeline.")
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    options = arguments.parse_args()
    console = Console()
    given = {} if options.data is None else {"data": options.data}
    reference = store.fetch(load_settings(**given))
    _, ratings, catalogue = indexed(read_movielens(reference.folder))
    split = time_split(ratings)
    threadpool_limits(1)
    rows = []
    peer = measured("EASE", ease.EaseScorer(ease.solved(split.train, ease.EaseParams())), split)
    for name, (places, neighbours) in LIMITS.items():
        with limits(places, neighbours):
            arrays = timeline.remembered(split.train, timeline.TimelineParams(), catalogue)
            rows.append(measured(name, timeline.TimelineScorer(arrays), split))
    assert "tensorflow" not in sys.modules
    table = Table(title=f"{reference.name}: one person's {TOP_K} movies out of {len(catalogue):,}")
    for column in ("Model", "NDCG@10", "ms a person", "p99", "times EASE's"):
        table.add_column(column, justify="left" if column == "Model" else "right")
    for row in (*rows, peer):
        row["ratio"] = row["ms_per_user"] / peer["ms_per_user"]
        table.add_row(
            row["model"],
            f"{row['ndcg_at_10']:.4f}",
            f"{row['ms_per_user']:.3f}",
            f"{row['p99_ms']:.3f}",
            f"{row['ratio']:.2f}",
        )
    console.print(table)
    file = report.write("lists", {"data": reference.name, "rows": [*rows, peer]})
    console.print(f"written to {file.relative_to(file.parents[2])}")
    if rows[0]["ms_per_user"] > BAR_MS:
        sys.exit(f"above the bar: {BAR_MS:g} ms a person")


@contextmanager
def limits(places: int, neighbours: int) -> Iterator[None]:
    """Let ``timeline`` use these limits."""
    before = timeline.MOST_PLACES, timeline.MOST_NEIGHBOURS
    timeline.MOST_PLACES, timeline.MOST_NEIGHBOURS = places, neighbours
    try:
        yield
    finally:
        timeline.MOST_PLACES, timeline.MOST_NEIGHBOURS = before


def measured(name: str, scorer: Scorer, split: Split) -> dict[str, Any]:
    """NDCG@10 on the validation part; mean and 99th percentile of a person's milliseconds, in the
    best of some rounds."""
    known = split.train.histories
    result = ranking.evaluate(scorer, known, split.validation, fold_in=True)
    rounds = []
    for _ in range(ROUNDS):
        took = []
        for user in result.users.tolist():
            history = known[user]
            started = time.perf_counter()
            scores = scorer.fold_in(history)
            scores[history.movies] = -np.inf
            top_rows(scores, TOP_K)
            took.append(time.perf_counter() - started)
        rounds.append(1000 * np.array(took))
    best = min(rounds, key=lambda ms: float(ms.mean()))
    return {
        "model": name,
        "ndcg_at_10": result.metrics()["ndcg_at_10"],
        "ms_per_user": float(best.mean()),
        "p99_ms": float(np.percentile(best, 99)),
    }


if __name__ == "__main__":
    main()
