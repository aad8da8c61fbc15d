"""Adds movies that the model was not trained on to a loaded model.

A model's movies without a rating count as new only if they were added beside the data set: after
the ingest that takes them over, until somebody rates them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import numpy as np

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Index, Ints
from moovier.feedback.new_movies import NewMovie
from moovier.models.bundle import Bundle
from moovier.models.cold_start import (
    ColdStartScorer,
    RowColdStartScorer,
    WordIndex,
    find_neighbours,
)
from moovier.models.family import RowScorer
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.recommender import Recommender

#: The words of the movies of the models in memory.
_WORDS: WeakKeyDictionary[Recommender, WordIndex] = WeakKeyDictionary()
#: Returns what is known about movies of the data set, by TMDB id.
TextsOf = Callable[[Sequence[int]], Mapping[int, str]]


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
    gives texts of the movies of the data set.
    """

    movies: tuple[NewMovie, ...] = ()
    share: float = 0.0
    texts_of: TextsOf = field(default=no_texts, compare=False)

    def added_to(self, model: LoadedModel) -> LoadedModel:
        """Return ``model`` with these new movies and no others, the same object if it has them."""
        recommender = model.recommender
        if recommender.new_movies is self or (not self.movies and recommender.base is recommender):
            return model
        extended = self._extended(recommender.base) if self.movies else recommender.base
        return replace(model, recommender=extended)

    def _extended(self, base: Recommender) -> Recommender:
        bundle, counts = base.bundle, base.user_recommender.counts
        rated = base.rated_titles([movie.id for movie in self.movies])
        new = [movie for movie in self.movies if movie.id not in rated]
        if not new or not counts.any():
            return base
        catalogue, new_ids = bundle.catalogue, {movie.id for movie in new}
        neighbours = find_neighbours(
            [to_movie(movie) for movie in new],
            [self._text_of_new(movie) for movie in new],
            catalogue,
            self._words(base),
            counts,
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
        for name in ("title_index", "filter_index"):
            if name in vars(base.user_recommender):
                getattr(recommender.user_recommender, name)
        return recommender

    def _text_of_new(self, movie: NewMovie) -> str:
        known = {} if movie.tmdb_id is None else self.texts_of([movie.tmdb_id])
        return f"{movie.content} {known.get(movie.tmdb_id or 0, '')}"

    def _words(self, base: Recommender) -> WordIndex:
        """Return the words of a model's movies, which are indexed once."""
        words = _WORDS.get(base)
        if words is None:
            catalogue = base.bundle.catalogue
            known = self.texts_of([m.tmdb_id for m in catalogue if m.tmdb_id is not None])
            words = WordIndex([f"{m.title} {known.get(m.tmdb_id or 0, '')}" for m in catalogue])
            _WORDS[base] = words
        return words


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
        histories=replace(histories, movies=movies, n_movies=len(catalogue)),
    )
