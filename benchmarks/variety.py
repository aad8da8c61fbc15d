"""``make bench-variety``: measure what diversity, novelty and a limit per series cost and change.

A model is trained on the development part without its validation visitors. These visitors, with k
drawn ratings each, get lists at each setting. The test parts are not used. Columns:

- ``NDCG@10``: as in the visitor protocol, mean over k.
- ``diversity``: mean of 1 minus the cosine of two movies' columns of likes, over the pairs of a
  list. It uses likes, while the re-ranking uses genres and years.
- ``coverage``: share of the catalogue in any list.
- ``popularity``: mean popularity percentile of the listed movies, 0 to 1.
- ``ms``: processor time of the re-ranking of a list.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table
from scipy import sparse

from benchmarks import report
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Floats, Histories, Ints
from moovier.data.split import development_split
from moovier.evaluation import metrics, visitor
from moovier.models.families import family
from moovier.models.top_k import top_rows
from moovier.serving.variety import NO_VARIETY, Variety, VarietyIndex
from moovier.settings import load_settings
from moovier.training import fit
from moovier.training.validation import newest

TOP_K = 10
SETTINGS: tuple[tuple[str, Variety], ...] = (
    ("off", NO_VARIETY),
    *((f"diversity {value}", Variety(diversity=value)) for value in (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)),
    *((f"novelty {value}", Variety(novelty=value)) for value in (0.1, 0.3, 0.5, 1.0)),
    ("1 per series", Variety(max_per_series=1)),
    ("2 per series", Variety(max_per_series=2)),
)


def main() -> None:
    """Print the table and write ``benchmarks/out/variety.json``."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.variety", description=__doc__)
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--family", default="dae", help="the family that ranks (dae)")
    options = arguments.parse_args()
    settings = load_settings(**report.data_setting(options.data))
    reference = sources.fetch(settings)
    _, ratings, catalogue = to_arrays(read_movielens(reference.folder))
    split = development_split(ratings)
    kind = family(options.family)
    trained = fit.train(
        split,
        options.family,
        kind.hyper_parameters.model_validate({}),
        catalogue=catalogue,
        seed=0,
        threads=settings.threads,
    )
    scorer = kind.scorer(trained.fitted.arrays)
    counts = split.train.histories.movie_counts()
    visitors = visitor.draw_visitors(split.visitors, moment=newest(split.train), draws=1)
    lists = []
    for visit in visitors.visits:
        scores = scorer.fold_in(visit.history).copy()
        scores[visit.history.movies] = -np.inf
        lists.append(scores)
    likes = _likes(split.train.histories)
    index = VarietyIndex(catalogue, counts)
    rows = [
        {"setting": name, **_measure(lists, visitors, index, variety, counts, likes)}
        for name, variety in SETTINGS
    ]
    plain_console(soft_wrap=False).print(_table(rows, reference.name))
    report.write("variety", {"data": reference.name, "family": options.family, "rows": rows})


def _measure(
    lists: Sequence[Floats],
    visitors: visitor.Visitors,
    index: VarietyIndex,
    variety: Variety,
    counts: Ints,
    likes: Any,
) -> dict[str, float]:
    top, spent = [], 0.0
    for scores in lists:
        candidates = top_rows(scores, variety.candidates(TOP_K))
        started = time.thread_time()
        top.append(index.rerank(scores, candidates, variety, TOP_K))
        spent += time.thread_time() - started
    table = np.stack(top)
    ndcg = metrics.ndcg_at_k(table, [visit.relevant for visit in visitors.visits], TOP_K)
    columns = np.array([visit.column for visit in visitors.visits])
    means = [ndcg[columns == column].mean() for column in np.unique(columns)]
    return {
        "ndcg_at_10": float(np.mean(means)),
        "diversity": float(np.mean([_distance(likes, movies) for movies in table])),
        "coverage": metrics.coverage_at_k(table, TOP_K, counts.size),
        "popularity": metrics.popularity_bias(table, TOP_K, counts),
        "ms": 1000 * spent / len(lists),
    }


def _likes(histories: Histories) -> Any:
    """Return one row of unit length for each movie over the users who liked it, sparse."""
    liked = histories.stars >= visitor.RELEVANT_STARS
    users = np.repeat(np.arange(histories.n_users), histories.counts())[liked]
    movies = histories.movies[liked]
    shape = (histories.n_movies, histories.n_users)
    matrix = sparse.csr_matrix((np.ones(movies.size), (movies, users)), shape=shape)
    lengths = np.sqrt(np.asarray(matrix.sum(axis=1)).ravel())
    return sparse.diags(1.0 / np.maximum(lengths, 1.0)) @ matrix


def _distance(likes: Any, movies: Ints) -> float:
    """Return the mean of 1 minus the cosine over the pairs of a list."""
    rows = likes[movies]
    cosines = (rows @ rows.T).toarray()
    pairs = np.triu_indices(movies.size, 1)
    return float(1.0 - cosines[pairs].mean())


def _table(rows: list[dict[str, Any]], data: str) -> Table:
    table = Table(title=f"Lists of 10 for validation visitors of {data}")
    table.add_column("setting")
    for heading in ("NDCG@10", "diversity", "coverage", "popularity", "ms"):
        table.add_column(heading, justify="right")
    for row in rows:
        values = [row[name] for name in ("ndcg_at_10", "diversity", "coverage", "popularity", "ms")]
        table.add_row(row["setting"], *(f"{value:.3f}" for value in values))
    return table


if __name__ == "__main__":
    main()
