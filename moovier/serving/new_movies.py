"""Adds movies that the model was not trained on to a loaded model.

A model's movies without a rating count as new only if they were added beside the data set: after
the ingest that takes them over, until somebody rates them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from cachetools import LRUCache

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Index, Ints
from moovier.feedback.new_movies import NewMovie
from moovier.models.bundle import Bundle
from moovier.models.cold_start import ColdStartScorer, RowColdStartScorer
from moovier.models.content_neighbours import ContentIndex
from moovier.models.family import RowScorer
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.recommender import Recommender
from moovier.serving.title_search import TitleIndex
from moovier.tmdb.texts import TextsOf

#: Contents of data sets in memory: models that were trained on the same data share one, and a new
#: champion may bring another.
_MOST_INDEXES = 2
_INDEXES: LRUCache[tuple[TextsOf, int, bytes], ContentIndex] = LRUCache(_MOST_INDEXES)
_INDEXING = threading.Lock()


def to_movie(movie: NewMovie) -> Movie:
    """Return a new movie as the catalogue has it."""
    return Movie(movie.id, movie.title, movie.year, movie.genres, None, movie.tmdb_id)


def no_texts(tmdb_ids: Sequence[int]) -> Mapping[int, str]:
    """Return no texts: titles, genres and years decide alone."""
    return {}


@dataclass(frozen=True)
class NewMovies:
    """The movies beside the data set, and how lists treat them.

    ``share``: share of the places of a personal list that new movies get, 0 to 1. ``texts_of``
    gives texts of the movies of the data set by TMDB id; ``texts_revision`` changes whenever these
    texts change.
    """

    movies: tuple[NewMovie, ...] = ()
    share: float = 0.0
    texts_of: TextsOf = field(default=no_texts, compare=False)
    texts_revision: int = 0

    def added_to(self, model: LoadedModel) -> LoadedModel:
        """Return ``model`` with these new movies and no others, the same object if it has them."""
        extended = self.in_recommender(model.recommender)
        return model if extended is model.recommender else replace(model, recommender=extended)

    def in_recommender(self, recommender: Recommender) -> Recommender:
        """Return a recommender with these new movies and no others, as :meth:`added_to`."""
        if recommender.new_movies is self:
            return recommender
        return self._extended(recommender.base) if self.movies else recommender.base

    def _extended(self, base: Recommender) -> Recommender:
        bundle, counts = base.bundle, base.user_recommender.counts
        rated = base.rated_titles([movie.id for movie in self.movies])
        new = [movie for movie in self.movies if movie.id not in rated]
        if not new or not counts.any():
            return base
        catalogue, new_ids = bundle.catalogue, {movie.id for movie in new}
        known = self.texts_of([movie.tmdb_id for movie in new if movie.tmdb_id is not None])
        neighbours = self._index(base).find(
            [to_movie(movie) for movie in new],
            [f"{movie.content} {known.get(movie.tmdb_id or 0, '')}" for movie in new],
        )
        merged = Catalogue.of(
            [
                *(movie for movie in catalogue if movie.id not in new_ids),
                *(to_movie(movie) for movie in new),
            ]
        )
        index = Index(bundle.index.users, np.array([movie.id for movie in merged], dtype=np.int64))
        base_rows = index.movie_rows(bundle.index.movies)
        new_rows = index.movie_rows(np.array([movie.id for movie in new], dtype=np.int64))
        scorer_class = RowColdStartScorer if isinstance(base.scorer, RowScorer) else ColdStartScorer
        scorer = scorer_class(base.scorer, bundle.histories, base_rows, new_rows, neighbours)
        recommender = Recommender(
            _with_movies(bundle, index, merged, base_rows),
            scorer=scorer,
            base=base,
            new_movies=self,
            new_rows=new_rows,
            new_share=self.share,
        )
        # Built here, in a thread of its own, rather than while a request waits.
        added_to, before = recommender.user_recommender, vars(base.user_recommender)
        if "title_index" in before:
            kept = np.where(np.isin(base_rows, new_rows), -1, base_rows)
            added_to.title_index = TitleIndex(
                merged, added_to.counts, before["title_index"], base_rows=kept
            )
        if "filter_index" in before:
            _ = added_to.filter_index
        return recommender

    def _index(self, base: Recommender) -> ContentIndex:
        """Return the content of a model's movies, which is indexed once for each data set."""
        catalogue, counts = base.bundle.catalogue, base.user_recommender.counts
        content = repr(catalogue.movies).encode() + counts.tobytes()
        digest = hashlib.blake2b(content, digest_size=16).digest()
        key = self.texts_of, self.texts_revision, digest
        with _INDEXING:
            index = _INDEXES.get(key)
            if index is None:
                known = self.texts_of([m.tmdb_id for m in catalogue if m.tmdb_id is not None])
                texts = [f"{m.title} {known.get(m.tmdb_id or 0, '')}" for m in catalogue]
                index = _INDEXES[key] = ContentIndex(catalogue, texts, counts)
        return index


def _with_movies(bundle: Bundle, index: Index, catalogue: Catalogue, base_rows: Ints) -> Bundle:
    """Return ``bundle`` over a larger catalogue; ``base_rows`` are its movies' new rows."""
    histories = bundle.histories
    movies = histories.movies
    # Ids above all known ones, the usual case, leave the rows as they are.
    if not np.array_equal(base_rows, np.arange(base_rows.size)):
        movies = base_rows.astype(movies.dtype)[movies]
    return replace(
        bundle,
        index=index,
        catalogue=catalogue,
        folder=None,
        histories=replace(histories, movies=movies, n_movies=len(catalogue)),
    )
