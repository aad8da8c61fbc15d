"""``python -m benchmarks.popular_now``: compare popularity of all time with what is popular now.

Prints NDCG@10 of each list on the validation part: visitors with 1 to 20 ratings, and next visits.
The test part is not read. docs/decisions/popular-now.md has the table.
"""

from __future__ import annotations

import argparse

from rich.table import Table

from benchmarks import report
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.split import development_split
from moovier.models.popular import NAME, PopularParams
from moovier.settings import load_settings
from moovier.training import fit

LISTS = {
    "most rated of all time": PopularParams(),
    **{f"of the last {days} days": PopularParams(days=days) for days in (365, 90, 30)},
    **{
        f"rising in the last {days} days": PopularParams(days=days, rising=True)
        for days in (90, 30)
    },
}


def main() -> None:
    """Print the table and write ``benchmarks/out/popular_now.json``."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.popular_now")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    settings = load_settings(**report.data_setting(arguments.parse_args().data))
    reference = sources.fetch(settings)
    _, ratings, catalogue = to_arrays(read_movielens(reference.folder))
    split = development_split(ratings)
    table = Table(title=f"{reference.name}, validation part, NDCG@10")
    for heading in ("list", "visitors", "next visits"):
        table.add_column(heading, justify="left" if heading == "list" else "right")
    rows = {}
    for name, params in LISTS.items():
        trained = fit.train(split, NAME, params, catalogue=catalogue, seed=0, threads=1)
        rows[name] = dict(trained.validation)
        table.add_row(
            name,
            *(
                f"{trained.validation[f'val_{part}_ndcg_at_10']:.3f}"
                for part in ("visitor", "next_visit")
            ),
        )
    plain_console(soft_wrap=False).print(table)
    report.write("popular_now", {"data": reference.name, "lists": rows})


if __name__ == "__main__":
    main()
