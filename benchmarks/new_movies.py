"""``make bench-new-movies``: measure recommendations of movies that nobody has rated.

All ratings of a tenth of the movies, drawn by a seed, are held out. A model is trained on the
other movies' ratings of the development part, and the held-out movies are added to it as new ones.
The new movies are ranked among themselves for every person who liked one of them:

- ``content scores``: Moovier's, from the scores of rated movies with similar content.
- ``genres of one's likes``: cosine of the movie's genres and the sum of the genres of the movies
  that the person liked.
- ``newest first``: by year of release. ``random``: the mean of ten drawn orders.

The second table has the lists of 10 of the validation visitors over the whole catalogue at each
share of places for new movies: ``others`` counts only the movies that are not new as relevant,
``all`` counts both, ``new@10`` is the new movies' share of the places, ``recall`` the share of the
relevant new movies in the list. ``ms`` is the processor time for one list.

By default the movies are the validation draw, by which the settings were chosen. ``--test`` holds
out the other draw, which was used once, for docs/decisions/new-movies.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks import report
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Floats, Histories, Ints, Ratings
from moovier.data.split import Development, development_split
from moovier.evaluation import metrics, visitor
from moovier.models import content_features, content_neighbours
from moovier.models.cold_start import ColdStartScorer
from moovier.models.content_neighbours import ContentIndex, Neighbours, Similarity
from moovier.models.families import family
from moovier.models.family import Scorer
from moovier.models.top_k import top_rows
from moovier.serving.new_places import NewPlaces
from moovier.settings import load_settings
from moovier.training import fit
from moovier.training.validation import newest

TOP_K = 10
SHARE_HELD_OUT = 0.1
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)
#: Values of the settings that ``--choose`` compares.
GRID: dict[str, tuple[Any, ...]] = {
    "power": (1.0, 2.0, 3.0, 4.0, 6.0),
    "damping": (1.0, 5.0, 20.0, 50.0, 100.0, 200.0),
    "genres": (0.25, 0.5, 1.0, 2.0),
    "years": (0.25, 0.5, 1.0, 2.0),
    "text": (0.0, 0.5, 1.0, 2.0, 4.0),
    "neighbours": (20, 50, 100, 200),
}
#: Seed of the two draws of movies, which have no movie in common.
_SEED = 18


@dataclass(frozen=True)
class Case:
    """A trained model, and the movies held out from it."""

    scorer: Scorer
    train: Ratings
    held_out: Ratings
    catalogue: Catalogue
    new_rows: Ints


def main() -> None:
    """Print both tables and write ``benchmarks/out/new_movies.json``."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.new_movies", description=__doc__)
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--family", default="dae", help="the family that ranks (dae)")
    arguments.add_argument("--test", action="store_true", help="the draw that chose nothing")
    arguments.add_argument("--choose", action="store_true", help="compare the settings of content")
    options = arguments.parse_args()
    settings = load_settings(**report.data_setting(options.data))
    reference = sources.fetch(settings)
    _, ratings, catalogue = to_arrays(read_movielens(reference.folder))
    case, split = _train(ratings, catalogue, options.family, options.test, settings.threads)
    people = _people(case)
    if options.choose and not options.test:
        _choose(case, people)
        return
    among = _among_new(case, people)
    shares = _shares(case, split, ratings)
    console = plain_console(soft_wrap=False)
    draw = "test" if options.test else "validation"
    console.print(_table_of_new(among, f"{case.new_rows.size} new movies, {draw} draw"))
    console.print(_table_of_shares(shares, f"Lists of 10 of visitors, {draw} draw"))
    name = f"new_movies_{draw}"
    report.write(name, {"data": reference.name, "family": options.family, **among, "lists": shares})


def _train(
    ratings: Ratings, catalogue: Catalogue, name: str, test: bool, threads: int
) -> tuple[Case, Development]:
    """Hold out the movies of one draw, and train on the rest of the development part."""
    counts = ratings.histories.movie_counts()
    order = np.random.default_rng(_SEED).permutation(np.flatnonzero(counts))
    size = int(SHARE_HELD_OUT * order.size)
    new_rows = np.sort(order[size : 2 * size] if test else order[:size])
    is_new = np.isin(np.arange(ratings.n_movies), new_rows)
    split = development_split(ratings)
    held_out = split.train.take(is_new[split.train.movies])
    # The movies of the other draw take part in training: they are not new here.
    kept = replace(split, train=split.train.take(~is_new[split.train.movies]))
    kind = family(name)
    trained = fit.train(
        kept,
        name,
        kind.hyper_parameters.model_validate({}),
        catalogue=catalogue,
        seed=0,
        threads=threads,
    )
    scorer = kind.scorer(trained.fitted.arrays)
    return Case(scorer, kept.train, held_out, catalogue, new_rows), split


def _neighbours(case: Case, similarity: Similarity) -> Neighbours:
    """Return the neighbours of the held-out movies, by titles, genres and years."""
    new = [case.catalogue[row] for row in case.new_rows.tolist()]
    titles = [movie.title for movie in case.catalogue]
    counts = case.train.histories.movie_counts()
    index = ContentIndex(case.catalogue, titles, counts, similarity)
    return index.find(new, [movie.title for movie in new])


def _extended(case: Case) -> ColdStartScorer:
    """Return the scorer with content scores for the held-out movies."""
    neighbours = _neighbours(case, content_neighbours.DEFAULT)
    rows = np.arange(len(case.catalogue))
    return ColdStartScorer(case.scorer, case.train.histories, rows, case.new_rows, neighbours)


@dataclass(frozen=True)
class People:
    """The people who liked a new movie.

    ``scores``: (n, n_movies) of the trained model. ``relevant``: places of the liked movies among
    the new ones.
    """

    users: list[int]
    relevant: list[Ints]
    scores: Floats


def _people(case: Case) -> People:
    known, held_out = case.train.histories, case.held_out.histories
    place = np.full(len(case.catalogue), -1)
    place[case.new_rows] = np.arange(case.new_rows.size)
    users, relevant = [], []
    for user in np.flatnonzero(held_out.counts()):
        history = held_out[int(user)]
        liked = place[history.movies[history.stars >= visitor.RELEVANT_STARS]]
        if liked.size and known.counts()[user]:
            users.append(int(user))
            relevant.append(liked)
    scores = np.stack([case.scorer.fold_in(known[user]) for user in users])
    return People(users, relevant, scores)


def _content_scores(case: Case, people: People, similarity: Similarity) -> Floats:
    neighbours = _neighbours(case, similarity)
    return np.stack([neighbours.mean(row) for row in people.scores])


def _among_new(case: Case, people: People) -> dict[str, Any]:
    """Rank the new movies among themselves for each person who liked one of them."""
    shape = (len(people.users), case.new_rows.size)
    years = np.array([case.catalogue[row].year or 0 for row in case.new_rows.tolist()], np.float32)
    draws = np.random.default_rng(0)
    methods = {
        "content scores": [_content_scores(case, people, content_neighbours.DEFAULT)],
        "genres of one's likes": [_genre_scores(case, people.users, case.train.histories)],
        "newest first": [np.tile(years, (shape[0], 1))],
        "random": [draws.random(shape, np.float32) for _ in range(10)],
    }
    rows = {name: _measured(tables, people.relevant) for name, tables in methods.items()}
    return {"people": shape[0], "new_movies": shape[1], "among_new": rows}


def _genre_scores(case: Case, users: Sequence[int], known: Histories) -> Floats:
    vectors = content_features.genres(case.catalogue, 1.0).rows()
    likes = []
    for user in users:
        history = known[user]
        likes.append(vectors[history.movies[history.stars >= visitor.RELEVANT_STARS]].sum(axis=0))
    return np.asarray(np.stack(likes) @ vectors[case.new_rows].T, dtype=np.float32)


def _measured(tables: Sequence[Floats], relevant: Sequence[Ints]) -> dict[str, float]:
    tops = [np.stack([top_rows(row, TOP_K) for row in table]) for table in tables]
    ndcg = [metrics.ndcg_at_k(top, relevant, TOP_K).mean() for top in tops]
    recall = [metrics.recall_at_k(top, relevant, TOP_K).mean() for top in tops]
    return {"ndcg_at_10": float(np.mean(ndcg)), "recall_at_10": float(np.mean(recall))}


def _choose(case: Case, people: People) -> None:
    """Improve one setting of the content after the other, twice, and print each figure."""
    best, figures = Similarity(), dict[Similarity, float]()
    for name, values in [*GRID.items()] * 2:
        for value in values:
            candidate = replace(best, **{name: value})
            if candidate not in figures:
                scores = _content_scores(case, people, candidate)
                row = _measured([scores], people.relevant)
                figures[candidate] = row["ndcg_at_10"]
                print(f"{row['ndcg_at_10']:.4f} {row['recall_at_10']:.4f} {candidate}", flush=True)
        best = max(
            (replace(best, **{name: value}) for value in values), key=lambda one: figures[one]
        )
    print(f"best: {figures[best]:.4f} {best}")


def _shares(case: Case, split: Development, ratings: Ratings) -> list[dict[str, float]]:
    """Measure the visitors' lists at each share of places for new movies."""
    visitors = visitor.draw_visitors(
        _rated_old(split.visitors, case.new_rows), moment=newest(case.train), draws=1
    )
    liked_new = _liked_new(split.visitors, case.new_rows)
    scorer = _extended(case)
    scores, others, both, new = [], [], [], []
    for visit in visitors.visits:
        row = scorer.fold_in(visit.history).copy()
        row[visit.history.movies] = -np.inf
        scores.append(row)
        others.append(visit.relevant)
        new.append(liked_new[int(visitors.users[visit.row])])
        both.append(np.concatenate([visit.relevant, new[-1]]))
    is_new = np.isin(np.arange(ratings.n_movies), case.new_rows)
    without = [np.where(is_new, np.float32(-np.inf), row) for row in scores]
    lists = np.stack([top_rows(row, TOP_K) for row in without])
    result = [{"share": -1.0, **_list_figures(lists, others, both, new, is_new), "ms": 0.0}]
    for share in SHARES:
        started = time.thread_time()
        tops = []
        places = NewPlaces(case.new_rows, share)
        for row in scores:
            tops.append(places.placed(row, top_rows(row, TOP_K)))
        spent = (time.thread_time() - started) / len(scores)
        figures = _list_figures(np.stack(tops), others, both, new, is_new)
        result.append({"share": share, **figures, "ms": 1000 * spent})
    return result


def _list_figures(
    lists: Ints,
    others: Sequence[Ints],
    both: Sequence[Ints],
    new: Sequence[Ints],
    is_new: Any,
) -> dict[str, float]:
    have_new = [place for place, rows in enumerate(new) if rows.size]
    recall = metrics.recall_at_k(lists[have_new], [new[place] for place in have_new], TOP_K)
    return {
        "others": float(metrics.ndcg_at_k(lists, others, TOP_K).mean()),
        "all": float(metrics.ndcg_at_k(lists, both, TOP_K).mean()),
        "recall": float(recall.mean()),
        "new": float(is_new[lists].mean()),
    }


def _rated_old(ratings: Ratings, new_rows: Ints) -> Ratings:
    return ratings.take(~np.isin(ratings.movies, new_rows))


def _liked_new(ratings: Ratings, new_rows: Ints) -> dict[int, Ints]:
    histories = ratings.histories
    result = {}
    for user in range(histories.n_users):
        history = histories[user]
        liked = history.movies[history.stars >= visitor.RELEVANT_STARS]
        result[user] = liked[np.isin(liked, new_rows)]
    return result


def _table_of_new(result: dict[str, Any], title: str) -> Table:
    table = Table(title=f"{title}, ranked for {result['people']} people who liked one of them")
    table.add_column("order of the new movies")
    for heading in ("NDCG@10", "recall@10"):
        table.add_column(heading, justify="right")
    for name, row in result["among_new"].items():
        table.add_row(name, f"{row['ndcg_at_10']:.4f}", f"{row['recall_at_10']:.4f}")
    return table


def _table_of_shares(rows: Sequence[dict[str, float]], title: str) -> Table:
    table = Table(title=title)
    table.add_column("share for new movies")
    for heading in ("NDCG@10 others", "NDCG@10 all", "recall of new", "new@10", "ms"):
        table.add_column(heading, justify="right")
    for row in rows:
        name = "without new movies" if row["share"] < 0 else f"{row['share']:g}"
        values = [row[key] for key in ("others", "all", "recall", "new")]
        table.add_row(name, *(f"{value:.4f}" for value in values), f"{row['ms']:.3f}")
    return table


if __name__ == "__main__":
    main()
