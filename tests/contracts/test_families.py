"""The contract of all model families; the table of families brings a new one here."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.data.split import split_last_share
from moovier.errors import BadRequest
from moovier.models import bundle
from moovier.models.families import FAMILIES, family
from moovier.models.family import (
    CoveredScorer,
    Family,
    FineTuneRequest,
    FitContext,
    FitResult,
    HyperParameters,
    PairScorer,
    Scorer,
)
from moovier.serving.recommender import Recommender
from tests.contracts import toy

RANKING = [name for name in FAMILIES if FAMILIES[name].objective == "ranking"]
RATING = [name for name in FAMILIES if FAMILIES[name].objective == "rating"]
#: Popularity gives all users the same list.
LEARNING = [name for name in FAMILIES if name != "popular"]


@dataclass(frozen=True)
class Case:
    """A family trained on the toy data, once for all tests."""

    family: Family
    params: HyperParameters
    ratings: Ratings
    fitted: FitResult

    @cached_property
    def scorer(self) -> Scorer:
        return self.family.scorer(self.fitted.arrays)

    def scores(self, *users: int) -> Any:
        return self.scorer.score(np.array(users, dtype=np.int64), self.ratings.histories)

    def fit(self, seed: int) -> FitResult:
        context = FitContext(toy.catalogue(), seed, epochs=toy.EPOCHS)
        return self.family.fit(self.ratings, self.params, context)


@cache
def case_of(name: str) -> Case:
    kind = family(name)
    params = kind.hyper_parameters.model_validate(toy.PARAMS.get(name, {}))
    ratings = toy.ratings()
    fitted = kind.fit(ratings, params, FitContext(toy.catalogue(), seed=3, epochs=toy.EPOCHS))
    return Case(kind, params, ratings, fitted)


@pytest.fixture(params=FAMILIES)
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


@pytest.fixture(params=LEARNING)
def learning(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


@pytest.mark.parametrize("name", RANKING)
def test_the_held_out_movie_ranks_first(name: str) -> None:
    case = case_of(name)
    # Popularity can only be right about the larger group.
    users = range(toy.N_USERS) if name in LEARNING else toy.MAJORITY
    for user in users:
        scores = case.scores(user)[0]
        scores[case.ratings.histories[user].movies] = -np.inf
        assert scores.argmax() == toy.held_out(user), f"user {user}"


@pytest.mark.parametrize("name", RATING)
def test_predicted_stars_follow_the_taste(name: str) -> None:
    case = case_of(name)
    for user in range(toy.N_USERS):
        stars = case.scores(user)[0]
        liked, disliked = toy.taste(user)
        assert ((stars >= 0.5) & (stars <= 5)).all()
        assert stars[toy.held_out(user)] > np.median(stars[disliked]) + 1, f"user {user}"
        assert stars[liked].min() > 3.5, f"user {user}"


@pytest.mark.parametrize("name", LEARNING)
def test_fold_in_ranks_by_taste(name: str) -> None:
    case = case_of(name)
    for rated, expected, other in (
        ((0, 1, 2, 3), slice(4, 8), slice(8, 16)),
        ((9, 10, 11, 12), slice(13, 16), slice(0, 8)),
    ):
        scores = case.scorer.fold_in(toy.history(*rated))
        assert scores[expected].min() > scores[other].max()


def test_explanations_follow_the_taste(case: Case) -> None:
    history = toy.history(0, 1, 2, 9)
    parts = case.scorer.explain(history, np.array([4, 16, 5]))
    assert parts.shape == (3, 4)
    assert parts.dtype == np.float32
    assert np.isfinite(parts).all()
    if parts.any():
        # Ratings of the movie's own taste contribute more than ratings of the other.
        assert parts[0, :3].mean() > parts[0, 3]
    for place, movie in enumerate((4, 16, 5)):
        alone = case.scorer.explain(history, np.array([movie]))[0]
        np.testing.assert_allclose(parts[place], alone, rtol=1e-4, atol=1e-6)


def test_scores_cover_the_catalogue_as_finite_float32(case: Case) -> None:
    scores = case.scores(*range(toy.N_USERS))
    assert scores.shape == (toy.N_USERS, toy.N_MOVIES)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert case.scorer.n_movies == toy.N_MOVIES


def test_a_batch_equals_one_by_one_in_any_order(case: Case) -> None:
    order = [4, 0, 11, 7, 4]
    one_by_one = np.concatenate([case.scores(user) for user in order])
    np.testing.assert_allclose(case.scores(*order), one_by_one, rtol=1e-5, atol=1e-6)


def test_covered_scores_equal_those_of_each_history(case: Case) -> None:
    scorer, histories = case.scorer, case.ratings.histories
    if not isinstance(scorer, CoveredScorer):
        assert case.family.name not in ("dae", "ease", "elsa", "als")
        return
    scores = scorer.fold_in_covered(histories)
    each = np.stack([scorer.fold_in(histories[user]) for user in range(histories.n_users)])
    np.testing.assert_allclose(scores, each[:, scorer.covered], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", RATING)
def test_stars_of_pairs_equal_the_scores(name: str) -> None:
    case = case_of(name)
    assert isinstance(case.scorer, PairScorer)
    users, movies = np.array([4, 0, 11, 4, 7]), np.array([0, 5, 2, 9, 9])
    expected = case.scores(*users.tolist())[np.arange(5), movies]
    np.testing.assert_allclose(case.scorer.stars(users, movies), expected, rtol=1e-5, atol=1e-5)


def test_no_users_give_no_scores(case: Case) -> None:
    assert case.scores().shape == (0, toy.N_MOVIES)


def test_callers_may_change_the_scores(case: Case) -> None:
    first = case.scores(2, 9)
    first[:] = -np.inf
    folded = case.scorer.fold_in(toy.history(1, 2))
    folded[:] = -np.inf
    assert np.isfinite(case.scores(2, 9)).all()
    assert np.isfinite(case.scorer.fold_in(toy.history(1, 2))).all()


def test_an_empty_history_gets_finite_scores(case: Case) -> None:
    scores = case.scorer.fold_in(toy.history())
    assert scores.shape == (toy.N_MOVIES,)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_a_history_of_an_unrated_movie_gets_finite_scores(case: Case) -> None:
    assert np.isfinite(case.scorer.fold_in(toy.history(toy.N_MOVIES - 1))).all()


def test_rated_movies_are_never_recommended(case: Case) -> None:
    recommender = Recommender(bundle_of(case))
    for row, answer in enumerate(recommender.recommend([100 + 3 * u for u in range(12)], 1000)):
        shown = [item.movie.id for item in answer.items]
        seen = 10 + 2 * case.ratings.histories[row].movies
        assert answer.source == "model"
        assert set(shown).isdisjoint(seen.tolist())
        assert len(set(shown)) == toy.N_MOVIES - seen.size


def test_a_saved_bundle_scores_the_same(case: Case, tmp_path: Path) -> None:
    bundle.save(bundle_of(case), tmp_path)
    loaded = bundle.load(tmp_path)
    scorer = family(loaded.card.family).scorer(loaded.arrays)
    users = np.arange(toy.N_USERS)
    np.testing.assert_array_equal(
        scorer.score(users, loaded.histories), case.scores(*range(toy.N_USERS))
    )
    visitor = toy.history(2, 5)
    np.testing.assert_array_equal(scorer.fold_in(visitor), case.scorer.fold_in(visitor))
    assert case.family.hyper_parameters.model_validate(loaded.card.params) == case.params


def test_the_same_seed_gives_the_same_model(case: Case) -> None:
    again = case.fit(seed=3)
    assert again.arrays.keys() == case.fitted.arrays.keys()
    for name, array in case.fitted.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array, err_msg=name)


def test_the_arrays_are_numeric(case: Case) -> None:
    assert all(array.dtype.kind in "fiu" for array in case.fitted.arrays.values())


def test_unknown_hyper_parameters_are_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="sise"):
        case.family.hyper_parameters.model_validate({"sise": 4})


def test_a_missing_array_is_an_error(case: Case) -> None:
    for name in case.fitted.arrays:
        rest = {key: array for key, array in case.fitted.arrays.items() if key != name}
        with pytest.raises(KeyError):
            case.family.scorer(rest)


def test_early_stopping_keeps_the_best_epoch(learning: Case) -> None:
    train, validation = split_last_share(learning.ratings)
    epochs: list[int] = []

    def ndcg(scorer: Scorer) -> float:
        return float(scorer.score(np.arange(2), train.histories)[1, 3] > -np.inf)

    context = FitContext(
        toy.catalogue(),
        seed=0,
        validation=validation,
        validation_ndcg=ndcg,
        on_epoch=lambda epoch, metrics: epochs.append(epoch),
    )
    fitted = learning.family.fit(train, learning.params, context)
    assert epochs == list(range(len(epochs)))
    assert 1 <= fitted.epochs <= len(epochs)
    assert all(len(values) == len(epochs) for values in fitted.curves.values())


def test_the_epoch_callback_can_end_the_training(learning: Case) -> None:
    class StopTraining(Exception):
        pass

    def end(epoch: int, figures: Any) -> None:
        raise StopTraining

    context = FitContext(toy.catalogue(), seed=0, epochs=50, on_epoch=end)
    with pytest.raises(StopTraining):
        learning.family.fit(learning.ratings, learning.params, context)


def test_fine_tuning_learns_the_tastes_of_new_users(learning: Case, tmp_path: Path) -> None:
    import keras

    learning.fitted.keras_model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    batch, merged = with_two_new_users(learning.ratings)
    tuned = learning.family.fine_tune(
        FitResult(learning.fitted.arrays, model),
        learning.params,
        fine_tune_request(batch, merged),
    )
    scorer = learning.family.scorer(tuned.arrays)
    scores = scorer.score(np.arange(toy.N_USERS + 2), merged.histories)
    assert scores.shape == (toy.N_USERS + 2, toy.N_MOVIES)
    assert np.isfinite(scores).all()
    first, second = scores[toy.N_USERS :]
    assert first[7] - first[15] > second[7] - second[15], "the new users have opposite tastes"
    assert tuned.arrays.keys() == learning.fitted.arrays.keys()
    assert tuned.keras_model is not None


def test_popularity_cannot_be_fine_tuned() -> None:
    popular = case_of("popular")
    assert popular.fitted.keras_model is None
    with pytest.raises(BadRequest, match="cannot be fine-tuned"):
        popular.family.fine_tune(
            popular.fitted, popular.params, fine_tune_request(popular.ratings, popular.ratings)
        )


def test_the_keras_model_survives_saving_without_custom_code(
    learning: Case, tmp_path: Path
) -> None:
    import keras

    model = learning.fitted.keras_model
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    shapes = [[length or 4 for length in tensor.shape[1:]] for tensor in model.inputs]
    rows = [
        np.eye(6, int(np.prod(shape))).reshape(6, *shape) if shape else np.arange(6)
        for shape in shapes
    ]
    inputs = rows if len(rows) > 1 else rows[0]
    outputs, expected = loaded.predict_on_batch(inputs), model.predict_on_batch(inputs)
    for pair in zip(keras.tree.flatten(outputs), keras.tree.flatten(expected), strict=True):
        np.testing.assert_array_equal(*pair)


@pytest.mark.parametrize("name", RATING)
def test_numpy_and_keras_predict_the_same_stars(name: str) -> None:
    case = case_of(name)
    users, movies = np.divmod(np.arange(toy.N_USERS * toy.N_MOVIES), toy.N_MOVIES)
    predicted = case.fitted.keras_model.predict_on_batch([users, movies])
    np.testing.assert_allclose(
        case.scores(*range(toy.N_USERS)).ravel(), predicted.ravel(), rtol=1e-4
    )


SCORING = """
import sys
from pathlib import Path
from moovier.models import bundle
from moovier.serving import model_store
from moovier.serving.recommender import Recommender

for folder in sys.argv[1:]:
    answers = Recommender(bundle.load(Path(folder))).recommend([100, 130, 999], 3)
    assert [len(answer.items) for answer in answers] == [3, 3, 3], answers
heavy = {"tensorflow", "keras", "mlflow", "pandas", "scipy", "optuna", "dvc", "airflow"}
print(sorted(heavy & set(sys.modules)))
"""


def test_scoring_imports_no_heavy_library(tmp_path: Path) -> None:
    folders = [str(bundle.save(bundle_of(case_of(name)), tmp_path / name)) for name in FAMILIES]
    process = subprocess.run(
        [sys.executable, "-c", SCORING, *folders], capture_output=True, text=True, timeout=240
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "[]"


def bundle_of(case: Case) -> bundle.Bundle:
    return toy.bundle_of(case.family.name, case.params, case.fitted.arrays, case.ratings)


def fine_tune_request(batch: Ratings, merged: Ratings) -> FineTuneRequest:
    return FineTuneRequest(
        catalogue=toy.catalogue(),
        old_n_users=toy.N_USERS,
        batch=batch,
        merged=merged,
        validation_split=0.2,
        patience=3,
        seed=1,
    )


def with_two_new_users(known: Ratings) -> tuple[Ratings, Ratings]:
    """Return ratings of users 12 and 13, one of each taste, and all ratings with them."""
    n = known.n_users
    rows = [
        (n + new, movie, stars, 90_000 + movie)
        for step in range(6)
        for new, movie, stars in (
            (0, step, 5.0),
            (0, 8 + step, 0.5),
            (1, step, 0.5),
            (1, 8 + step, 5.0),
        )
    ]
    batch = toy.ratings_of(rows, n + 2)
    old = np.column_stack([known.users, known.movies, known.stars, known.timestamps])
    return batch, toy.ratings_of([*old.tolist(), *rows], n + 2)
