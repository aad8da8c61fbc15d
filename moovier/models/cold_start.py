"""Scores of movies that nobody has rated, from the scores of rated movies with similar content.

Each new movie gets the weighted mean of its neighbours' scores: k-nearest neighbours over the
content, as in the attribute-to-factor mappings of Gantner et al., "Learning attribute-to-feature
mappings for cold-start recommendations", ICDM 2010. The mean is linear in the scores, so it works
for every family of models, and needs no training.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.models import content_features
from moovier.models.family import RowScorer, Scorer
from moovier.models.top_k import top_rows

_WORD = re.compile(r"[^\W_]+")
#: Words of a text that are counted.
_MAX_WORDS = 5000
#: New movies whose similarities to all rated movies are in memory at once.
_BATCH_SIZE = 64


@dataclass(frozen=True)
class Similarity:
    """How neighbours are chosen and weighted; docs/decisions/new-movies.md has the measurements.

    ``genres``, ``years``, ``text``: weights of the three cosines. ``neighbours``: rated movies
    that count. ``power``: exponent of a neighbour's similarity in its weight. ``damping``: number
    of ratings at which a neighbour gets half of its weight.
    """

    genres: float = 0.5
    years: float = 0.5
    text: float = 1.0
    neighbours: int = 200
    power: float = 6.0
    damping: float = 5.0


DEFAULT = Similarity()


@dataclass(frozen=True)
class Neighbours:
    """The rated movies most like each new movie, best first.

    ``rows``: (n_new, k) movie rows. ``weights``: (n_new, k), which sum to 1 in each row.
    """

    rows: Ints
    weights: Floats

    def mean(self, scores: Floats) -> Floats:
        """Return the weighted mean of the neighbours' ``scores``, (…, n_movies) to (…, n_new)."""
        return np.asarray((scores[..., self.rows] * self.weights).sum(axis=-1), dtype=np.float32)


def find_neighbours(
    new: Sequence[Movie],
    new_texts: Sequence[str],
    rated: Catalogue,
    words: WordIndex,
    counts: Ints,
    similarity: Similarity = DEFAULT,
) -> Neighbours:
    """Return the neighbours of each movie of ``new`` among the movies of ``rated``.

    ``new_texts``: a text of each new movie. ``words``: the texts of the rated movies in their
    order. ``counts``: (n_rated,) ratings of each rated movie; a movie without ratings is no
    neighbour.
    """
    together = Catalogue((*rated.movies, *new))
    vectors = np.hstack(
        [
            np.sqrt(similarity.genres) * content_features.genre_vectors(together),
            np.sqrt(similarity.years) * content_features.year_vectors(together),
        ]
    )
    known, added = vectors[: len(rated)], vectors[len(rated) :]
    trust = counts / (counts + similarity.damping)
    k = min(similarity.neighbours, int(np.count_nonzero(counts)))
    rows = np.zeros((len(new), k), dtype=np.int64)
    weights = np.zeros((len(new), k), dtype=np.float32)
    for start in range(0, len(new), _BATCH_SIZE):
        alike = added[start : start + _BATCH_SIZE] @ known.T
        for place, row in enumerate(alike, start=start):
            if similarity.text:
                row = row + similarity.text * words.cosines(new_texts[place])
            # A movie with no content at all has no direction: every rated movie is as near.
            weight = np.maximum(row, 1e-6) ** similarity.power * trust
            rows[place] = top_rows(np.where(counts > 0, weight, -np.inf).astype(np.float32), k)
            weights[place] = weight[rows[place]] / weight[rows[place]].sum()
    return Neighbours(rows, weights)


class WordIndex:
    """Texts by words, for the cosine of TF-IDF vectors (logarithm of the counts, smooth IDF)."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Index the words of ``texts``."""
        self._n_texts = len(texts)
        places: dict[str, list[tuple[int, float]]] = {}
        for row, text in enumerate(texts):
            for word, frequency in _frequencies(text).items():
                places.setdefault(word, []).append((row, frequency))
        self._idf = {word: self._idf_of(len(rows)) for word, rows in places.items()}
        self._rows = {
            word: (np.array([r for r, _ in pairs]), np.array([f for _, f in pairs], np.float32))
            for word, pairs in places.items()
        }
        squares = np.zeros(self._n_texts, dtype=np.float32)
        for word, (rows, frequencies) in self._rows.items():
            squares[rows] += (frequencies * self._idf[word]) ** 2
        self._lengths = np.sqrt(np.maximum(squares, 1e-12))

    def cosines(self, text: str) -> Floats:
        """Return the cosine of ``text`` with each text, (n_texts,), 0 to 1."""
        products, square = np.zeros(self._n_texts, dtype=np.float32), 0.0
        for word, frequency in _frequencies(text).items():
            value = frequency * self._idf.get(word, self._idf_of(0))
            square += value**2
            if word in self._rows:
                rows, frequencies = self._rows[word]
                products[rows] += value * self._idf[word] * frequencies
        return np.asarray(products / (self._lengths * max(np.sqrt(square), 1e-6)), dtype=np.float32)

    def _idf_of(self, n_texts: int) -> float:
        return float(np.log((1 + self._n_texts) / (1 + n_texts)) + 1.0)


def _frequencies(text: str) -> dict[str, float]:
    """Return each word's weight by its count; words without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words = Counter(word for word in _WORD.findall(letters)[:_MAX_WORDS] if len(word) > 1)
    return {word: 1.0 + float(np.log(count)) for word, count in words.items()}


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
