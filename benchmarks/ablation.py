"""``make bench-ablation``: measure the effect of each part of ``dae`` on validation metrics.

Each row changes one part of the default recipe and trains with the same seeds. The test parts are
not used. ``benchmarks/out/ablation.json`` has the rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks import report
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.split import development_split
from moovier.models.families import family
from moovier.settings import load_settings
from moovier.training import fit

#: An age at which no rating loses weight.
_ENDLESS = 1e9
#: Rows: name, family, changed hyper-parameters.
VARIANTS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("most popular", "popular", {}),
    ("EASE", "ease", {}),
    ("dae", "dae", {}),
    ("… without neighbours", "dae", {"neighbours": 0.0}),
    ("… without genres", "dae", {"affinity": 0.0, "aversion": 0.0}),
    ("… without aversion to genres", "dae", {"aversion": 0.0}),
    ("… without ages of ratings", "dae", {"age_days": _ENDLESS, "age_ratings": _ENDLESS}),
    ("… without next visits as examples", "dae", {"visit_share": 0.0}),
    ("… without dropout", "dae", {"dropout": 0.0}),
    ("… same weight of neighbours for any k", "dae", {"neighbours_power": 0.0}),
)


def main() -> None:
    """Print the table and write ``benchmarks/out/ablation.json``."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--seeds", type=int, default=3, help="trainings per row (3)")
    options = arguments.parse_args()
    settings = load_settings(**report.data_setting(options.data))
    reference = sources.fetch(settings)
    _, ratings, catalogue = to_arrays(read_movielens(reference.folder))
    split = development_split(ratings)
    console, rows = plain_console(soft_wrap=False), []
    for name, kind, changed in VARIANTS:
        params = family(kind).hyper_parameters.model_validate(changed)
        metrics = [
            fit.train(
                split, kind, params, catalogue=catalogue, seed=seed, threads=settings.threads
            ).validation
            for seed in range(options.seeds if kind == "dae" else 1)
        ]
        means = {key: float(np.mean([metric[key] for metric in metrics])) for key in metrics[0]}
        rows.append({"model": name, "changed": dict(changed), "trainings": len(metrics), **means})
        console.print(f"{name}: {means}", highlight=False, soft_wrap=True)
    console.print(_table(rows, reference.name))
    report.write("ablation", {"data": reference.name, "rows": rows})


def _table(rows: list[dict[str, Any]], data: str) -> Table:
    table = Table(title=f"NDCG@10 on the validation parts of {data}")
    table.add_column("model")
    for heading in ("visitor", "next visit"):
        table.add_column(heading, justify="right")
    for row in rows:
        values = (row["val_visitor_ndcg_at_10"], row["val_next_visit_ndcg_at_10"])
        table.add_row(row["model"], *(f"{value:.3f}" for value in values))
    return table


if __name__ == "__main__":
    main()
