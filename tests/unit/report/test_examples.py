from __future__ import annotations

import dataclasses

import numpy as np

from moovier.data.catalogue import Catalogue
from moovier.models.families import family
from moovier.models.family import FitContext
from moovier.report.examples import EXAMPLES, examples
from tests.contracts import toy


def test_examples_have_ratings_recommendations_and_reasons() -> None:
    learner, ratings = family("ease"), toy.ratings()
    params = learner.hyper_parameters.model_validate(toy.PARAMS["ease"])
    fitted = learner.fit(ratings, params, FitContext(toy.catalogue(), seed=0, epochs=1))
    example_users = examples(
        learner.scorer(fitted.arrays), ratings.histories, list(range(100, 112)), toy.catalogue()
    )
    assert len(example_users) == EXAMPLES
    first = next(example for example in example_users if example.user == 100)
    assert first.given[0].title == f"Movie {toy.MOVIE_IDS[toy.held_out(0)]} (1995)"
    assert not {title for title, _ in first.rated} & {movie.title for movie in first.given}
    assert first.given[0].because is not None


def test_no_ratings_give_no_examples() -> None:
    no_ratings = toy.ratings().take(np.zeros(0, dtype=np.int64))
    scorer = family("popular").scorer({"counts": np.ones(toy.N_MOVIES)})
    assert examples(scorer, no_ratings.histories, list(range(12)), toy.catalogue()) == []


def test_titles_are_spelt_as_on_the_web_page() -> None:
    scorer = family("popular").scorer({"counts": np.arange(toy.N_MOVIES)})
    movies = [dataclasses.replace(movie, title="Omen, The") for movie in toy.catalogue()]
    example_users = examples(scorer, toy.ratings().histories, list(range(12)), Catalogue.of(movies))
    shown = [title for example in example_users for title, _ in example.rated]
    shown += [movie.title for example in example_users for movie in example.given]
    assert shown
    assert set(shown) == {"The Omen (1995)"}
