"""Scores of movies that nobody has rated, from the scores of rated movies with similar content.

Each new movie gets the weighted mean of its neighbours' scores: k-nearest neighbours over the
content, as in the attribute-to-factor mappings of Gantner et al., "Learning attribute-to-feature
mappings for cold-start recommendations", ICDM 2010. The mean is linear in the scores, so it works
for every family of models, and needs no training.
"""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.models.content_neighbours import Neighbours
from moovier.models.family import RowScorer, Scorer


class ColdStartScorer:
    """A scorer over a catalogue to which new movies were added.

    It follows :class:`moovier.models.family.Scorer`. A rating of a new movie counts as one of its
    nearest neighbour that the person has not rated.
    """

    def __init__(
        self,
        scorer: Scorer,
        histories: Histories,
        rated_rows: Ints,
        new_rows: Ints,
        neighbours: Neighbours,
    ) -> None:
        """Extend ``scorer`` of the users ``histories``.

        ``rated_rows``: (scorer.n_movies,) the rows of its movies in the larger catalogue.
        ``new_rows``: (n_new,) the rows that ``neighbours``, rows of ``scorer``, decide.
        """
        self._scorer, self._histories = scorer, histories
        self._rated_rows, self._new_rows, self._neighbours = rated_rows, new_rows, neighbours
        self.n_movies = int(max(rated_rows.max(initial=-1), new_rows.max(initial=-1))) + 1
        #: The scorer's row of each movie; -1 of a movie that it does not have.
        self._base_row = np.full(self.n_movies, -1, dtype=np.int64)
        self._base_row[rated_rows] = np.arange(rated_rows.size)
        #: The place of each new movie among ``new_rows``; -1 of a rated one.
        self._new_place = np.full(self.n_movies, -1, dtype=np.int64)
        self._new_place[new_rows] = np.arange(new_rows.size)

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the scores of known users, (len(users), n_movies)."""
        return self._spread(self._scorer.score(users, self._histories))

    def fold_in(self, history: History) -> Floats:
        """Return the scores for a visitor, (n_movies,)."""
        return self._spread(self._scorer.fold_in(self._known(history)[0]))

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return each rating's contribution to ``fold_in(history)[movies]``."""
        known, places = self._known(history)
        parts = np.zeros((movies.size, len(history)), dtype=np.float32)
        rated = np.flatnonzero(self._new_place[movies] < 0)
        if rated.size:
            rows = self._base_row[movies[rated]]
            parts[np.ix_(rated, places)] = self._scorer.explain(known, rows)
        for place in np.flatnonzero(self._new_place[movies] >= 0):
            new = self._new_place[movies[place]]
            near = self._scorer.explain(known, self._neighbours.rows[new])
            parts[place, places] = self._neighbours.weights[new] @ near
        return parts

    def _spread(self, scores: Floats) -> Floats:
        """Return scores of the scorer's movies as scores of the larger catalogue."""
        spread = np.empty((*scores.shape[:-1], self.n_movies), dtype=np.float32)
        spread[..., self._rated_rows] = scores
        spread[..., self._new_rows] = self._neighbours.mean(scores)
        return spread

    def _known(self, history: History) -> tuple[History, Ints]:
        """Return the history for the scorer, and which ratings of ``history`` it has."""
        rows = self._base_row[history.movies]
        new = self._new_place[history.movies]
        if (new < 0).all():
            return History(rows, history.stars, history.timestamps), np.arange(rows.size)
        taken = set(rows[new < 0].tolist())
        kept: list[int] = []
        for place, (row, new_place) in enumerate(zip(rows.tolist(), new.tolist(), strict=True)):
            if new_place >= 0:
                near = (n for n in self._neighbours.rows[new_place].tolist() if n not in taken)
                row = next(near, -1)
                rows[place] = row
                taken.add(row)
            if row >= 0:
                kept.append(place)
        places = np.array(kept, dtype=np.int64)
        return History(rows[places], history.stars[places], history.timestamps[places]), places


class RowColdStartScorer(ColdStartScorer):
    """A :class:`ColdStartScorer` of a scorer that can score a few movies alone."""

    def fold_in_rows(self, history: History, movies: Ints) -> Floats:
        """Return ``fold_in(history)[movies]``, (len(movies),)."""
        if not isinstance(self._scorer, RowScorer):
            raise TypeError("the scorer cannot score a few movies alone")
        places = self._new_place[movies]
        new = np.flatnonzero(places >= 0)
        near = self._neighbours.rows[places[new]]
        rows = np.concatenate([self._base_row[movies[places < 0]], near.reshape(-1)])
        scores = self._scorer.fold_in_rows(self._known(history)[0], rows)
        result = np.empty(movies.size, dtype=np.float32)
        result[places < 0] = scores[: movies.size - new.size]
        near_scores = scores[movies.size - new.size :].reshape(near.shape)
        result[new] = (near_scores * self._neighbours.weights[places[new]]).sum(axis=1)
        return result
