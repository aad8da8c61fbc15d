"""Simple and strong baselines: each fits on ratings and scores users.

Baselines that rank are :class:`moovier.models.family.Scorer` objects, so that the same evaluation
measures them and Moovier's families. All of them can score unknown users by fold-in. Each has a
search space, because an untuned baseline proves nothing.

Sources: item-kNN on TF-IDF weighted cosine (Deshpande & Karypis 2004); EASE (Steck 2019,
https://arxiv.org/abs/1905.03375); iALS (Hu, Koren & Volinsky 2008) from the library `implicit`;
SVD++ (Koren 2008), KNNBaseline and the bias baseline from `scikit-surprise`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.evaluation.visitor import RELEVANT_STARS
from moovier.models.family import Scorer, Trial
from moovier.models.popular import counts_within, rising_first

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Ranker:
    """A baseline that ranks movies. ``library``: the optional package that it needs."""

    name: str
    search_space: Callable[[Trial], Params]
    fit: Callable[[Ratings, Params, int], Scorer]
    library: str | None = None


class Predictor(Protocol):
    """A model that predicts stars for pairs of known users and movies."""

    def predict(self, users: Ints, movies: Ints) -> Floats:
        """Return predicted stars, 0.5 to 5, (n,)."""


@dataclass(frozen=True)
class Regressor:
    """A baseline that predicts stars. ``library``: the optional package that it needs."""

    name: str
    search_space: Callable[[Trial], Params]
    fit: Callable[[Ratings, Params, int], Predictor]
    library: str | None = None


def user_movie_matrix(ratings: Ratings) -> sp.csr_matrix:
    """Return 1 where a user rated a movie, (n_users, n_movies), float32."""
    ones = np.ones(len(ratings), dtype=np.float32)
    return sp.csr_matrix(
        (ones, (ratings.users, ratings.movies)), shape=(ratings.n_users, ratings.n_movies)
    )


class _Unexplained:
    """A scorer without explanations: no rated movie contributes to a score."""

    def explain(self, history: History, movies: Ints) -> Floats:
        return np.zeros((len(movies), len(history)), dtype=np.float32)


class _HistoryScorer(_Unexplained):
    """A scorer that sums item-item weights over the movies of a history."""

    def __init__(self, n_movies: int, rows: Callable[[Ints], Floats]) -> None:
        self.n_movies = n_movies
        self._rows = rows

    def score(self, users: Ints, histories: Histories) -> Floats:
        return np.stack([self.fold_in(histories[int(user)]) for user in users])

    def fold_in(self, history: History) -> Floats:
        return self._rows(history.movies)


class _Popularity(_Unexplained):
    """A scorer with the same scores, (n_movies,) float32, for all users."""

    def __init__(self, counts: Floats) -> None:
        self.n_movies = counts.size
        self._counts = counts

    def score(self, users: Ints, histories: Histories) -> Floats:
        return np.broadcast_to(self._counts, (len(users), self.n_movies)).copy()

    def fold_in(self, history: History) -> Floats:
        return self._counts.copy()


def _popularity(days: int) -> Callable[[Ratings, Params, int], Scorer]:
    """Return a fit that counts the ratings of the last ``days`` before the newest; 0 is all."""

    def fitted(ratings: Ratings, params: Params, seed: int) -> Scorer:
        return _Popularity(counts_within(ratings, days).astype(np.float32))

    return fitted


def _fit_trending(ratings: Ratings, params: Params, seed: int) -> Scorer:
    return _Popularity(rising_first(ratings, 30))


def _fit_most_liked(ratings: Ratings, params: Params, seed: int) -> Scorer:
    liked = ratings.movies[ratings.stars >= RELEVANT_STARS]
    counts = np.bincount(liked, minlength=ratings.n_movies)
    return _Popularity(counts.astype(np.float32))


def _fit_item_knn(ratings: Ratings, params: Params, seed: int) -> Scorer:
    """Fit each movie's ``k`` nearest neighbours by the cosine of TF-IDF weighted columns."""
    matrix = user_movie_matrix(ratings)
    idf = np.log(ratings.n_users / np.maximum(matrix.getnnz(axis=0), 1)) + 1.0
    weighted = matrix @ sp.diags(idf)
    norms = np.sqrt(weighted.multiply(weighted).sum(axis=0)).A1 + params["shrink"]
    columns = (weighted @ sp.diags(1.0 / np.maximum(norms, 1e-9))).tocsc()
    similar = (columns.T @ columns).tocsr()
    similar.setdiag(0)
    nearest = _keep_largest(similar, params["k"])
    return _HistoryScorer(
        ratings.n_movies,
        lambda rated: np.asarray(nearest[rated].sum(axis=0), dtype=np.float32).ravel(),
    )


def _keep_largest(matrix: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """Keep the ``k`` largest values of each column (a movie's nearest neighbours)."""
    columns = matrix.tocsc()
    largest = []
    for start, end in zip(columns.indptr[:-1], columns.indptr[1:], strict=True):
        values = columns.data[start:end]
        if values.size > k:
            threshold = np.partition(values, -k)[-k]
            values[values < threshold] = 0
        largest.append(values)
    columns.data = np.concatenate(largest) if largest else columns.data
    columns.eliminate_zeros()
    return columns.tocsr()


def _fit_ease(ratings: Ratings, params: Params, seed: int) -> Scorer:
    """Solve EASE, eq. 8: with P the inverse of (X'X + lambda I), B = I - P / diag(P)."""
    matrix = user_movie_matrix(ratings)
    seen = np.flatnonzero(matrix.getnnz(axis=0))
    weights = _inverse(matrix[:, seen].tocsr(), params["lambda_"])
    weights /= -np.diag(weights).copy()
    np.fill_diagonal(weights, 0.0)
    position = np.full(ratings.n_movies, -1, dtype=np.int64)
    position[seen] = np.arange(seen.size)

    def rows(rated: Ints) -> Floats:
        scores = np.full(ratings.n_movies, -np.inf, dtype=np.float32)
        places = position[rated]
        scores[seen] = weights[places[places >= 0]].sum(axis=0)
        # Movies without ratings have no weights; they rank below all others.
        return np.where(np.isfinite(scores), scores, scores[seen].min() - 1).astype(np.float32)

    return _HistoryScorer(ratings.n_movies, rows)


def _inverse(matrix: sp.csr_matrix, lambda_: float) -> Floats:
    """Return (X'X + lambda I)^-1 up to a factor, (n_movies, n_movies), float32.

    With fewer users than movies it solves the smaller system (Woodbury identity):
    lambda P = I - X' (X X' + lambda I)^-1 X.
    """
    people = matrix[np.flatnonzero(matrix.getnnz(axis=1))].astype(np.float64)
    n_people, n_movies = people.shape
    if n_people >= n_movies:
        gram = (people.T @ people).toarray()
        gram[np.diag_indices(n_movies)] += lambda_
        inverse = scipy.linalg.inv(gram, overwrite_a=True, check_finite=False)
        return np.asarray(inverse, dtype=np.float32)
    between = (people @ people.T).toarray() + lambda_ * np.eye(n_people)
    solved = scipy.linalg.solve(between, people.toarray(), assume_a="pos").astype(np.float32)
    inverse = people.T.astype(np.float32) @ solved
    np.negative(inverse, out=inverse)
    inverse[np.diag_indices(n_movies)] += 1.0
    return np.asarray(inverse, dtype=np.float32)


class _Factors(_Unexplained):
    """A model of `implicit`: learnt factors for known users, one solve for visitors."""

    def __init__(self, model: Any, n_movies: int, alpha: float) -> None:
        self.n_movies = n_movies
        self._model = model
        self._alpha = alpha

    def score(self, users: Ints, histories: Histories) -> Floats:
        scores = self._model.user_factors[users] @ self._model.item_factors.T
        return np.asarray(scores, dtype=np.float32)

    def fold_in(self, history: History) -> Floats:
        row = sp.csr_matrix(
            (
                np.full(len(history), self._alpha, dtype=np.float32),
                (np.zeros(len(history), dtype=np.int64), history.movies),
            ),
            shape=(1, self.n_movies),
        )
        factors = self._model.recalculate_user(0, row)
        return np.asarray(self._model.item_factors @ factors.ravel(), dtype=np.float32)


def _fit_ials(ratings: Ratings, params: Params, seed: int) -> Scorer:
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=params["factors"],
        regularization=params["regularization"],
        iterations=params["iterations"],
        random_state=seed,
        num_threads=1,  # As for all models, so that times are comparable.
    )
    model.fit(user_movie_matrix(ratings) * params["alpha"], show_progress=False)
    return _Factors(model, ratings.n_movies, params["alpha"])


RANKERS: tuple[Ranker, ...] = (
    Ranker("most popular", lambda trial: {}, _popularity(0)),
    Ranker("most popular, 365 days", lambda trial: {}, _popularity(365)),
    Ranker("most popular, 30 days", lambda trial: {}, _popularity(30)),
    Ranker("most popular, 7 days", lambda trial: {}, _popularity(7)),
    Ranker("trending, 30 days", lambda trial: {}, _fit_trending),
    Ranker("most liked", lambda trial: {}, _fit_most_liked),
    Ranker(
        "item-kNN (TF-IDF)",
        lambda trial: {
            "k": trial.suggest_int("k", 20, 1000, log=True),
            "shrink": trial.suggest_float("shrink", 0.01, 30.0, log=True),
        },
        _fit_item_knn,
    ),
    Ranker(
        "EASE (NumPy)",
        lambda trial: {"lambda_": trial.suggest_float("lambda_", 30.0, 3000.0, log=True)},
        _fit_ease,
    ),
    Ranker(
        "iALS (implicit)",
        lambda trial: {
            "factors": trial.suggest_int("factors", 16, 128, log=True),
            "regularization": trial.suggest_float("regularization", 0.001, 1.0, log=True),
            "alpha": trial.suggest_float("alpha", 0.5, 20.0, log=True),
            "iterations": trial.suggest_int("iterations", 5, 30),
        },
        _fit_ials,
        library="implicit",
    ),
)


class _Surprise:
    """A `scikit-surprise` algorithm over raw row numbers."""

    def __init__(self, algorithm: Any, ratings: Ratings) -> None:
        from surprise import Dataset, Reader

        rows = zip(
            ratings.users.tolist(), ratings.movies.tolist(), ratings.stars.tolist(), strict=True
        )
        data = Dataset(Reader(rating_scale=(0.5, 5.0)))
        self._algorithm = algorithm.fit(
            data.construct_trainset([(u, m, r, None) for u, m, r in rows])
        )

    def predict(self, users: Ints, movies: Ints) -> Floats:
        pairs = zip(users.tolist(), movies.tolist(), strict=True)
        return np.array([self._algorithm.predict(u, m).est for u, m in pairs], dtype=np.float32)


def _fit_svdpp(ratings: Ratings, params: Params, seed: int) -> Predictor:
    from surprise import SVDpp

    return _Surprise(SVDpp(random_state=seed, cache_ratings=True, **params), ratings)


def _fit_knn_baseline(ratings: Ratings, params: Params, seed: int) -> Predictor:
    from surprise import KNNBaseline

    options = {
        "name": "pearson_baseline",
        "user_based": False,
        "shrinkage": params["shrinkage"],
    }
    return _Surprise(KNNBaseline(k=params["k"], sim_options=options, verbose=False), ratings)


def _fit_bias(ratings: Ratings, params: Params, seed: int) -> Predictor:
    from surprise import BaselineOnly

    return _Surprise(BaselineOnly(bsl_options=dict(params), verbose=False), ratings)


REGRESSORS: tuple[Regressor, ...] = (
    Regressor(
        "biases (Surprise)",
        lambda trial: {
            "method": "als",
            "reg_i": trial.suggest_float("reg_i", 1.0, 20.0, log=True),
            "reg_u": trial.suggest_float("reg_u", 1.0, 30.0, log=True),
        },
        _fit_bias,
        library="surprise",
    ),
    Regressor(
        "KNNBaseline (Surprise)",
        lambda trial: {
            "k": trial.suggest_int("k", 20, 80),
            "shrinkage": trial.suggest_int("shrinkage", 20, 300, log=True),
        },
        _fit_knn_baseline,
        library="surprise",
    ),
    # Last, because its fits take longest.
    Regressor(
        "SVD++ (Surprise)",
        lambda trial: {
            "n_factors": trial.suggest_int("n_factors", 10, 40),
            "n_epochs": trial.suggest_int("n_epochs", 15, 40),
            "lr_all": trial.suggest_float("lr_all", 0.003, 0.015, log=True),
            "reg_all": trial.suggest_float("reg_all", 0.01, 0.1, log=True),
        },
        _fit_svdpp,
        library="surprise",
    ),
)
