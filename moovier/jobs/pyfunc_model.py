"""The model that MLflow loads as a Python function: recommendations from a bundle.

MLflow copies this file into each registered model and runs it when the model is loaded ("models
from code"). The packages that it imports from Moovier are copied beside it, so that the model also
works where Moovier is not installed::

    model = mlflow.pyfunc.load_model("models:/moovier@champion")
    model.predict(pandas.DataFrame({"user_id": [1, 2]}), params={"top_k": 5})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from moovier.errors import BadRequest
from moovier.feedback.ratings import NewRating
from moovier.ids import MOVIE as MOVIE_ID
from moovier.ids import USER as USER_ID
from moovier.ids import Kind, number_of
from moovier.models import bundle
from moovier.serving.filters import Filter
from moovier.serving.recommender import MAX_TOP_K, MIN_TOP_K, Recommender

#: Name of the artefact with the bundle.
ARTEFACT = "bundle"
USER, RATINGS, TOP_K = "user_id", "ratings", "top_k"
DEFAULT_TOP_K = 10
_NO_MOVIES = np.zeros(0, dtype=np.int64)


class RecommenderModel(PythonModel):  # type: ignore[misc]  # MLflow has no types
    """Recommend movies to users by id, or to anybody by their ratings."""

    def load_context(self, context: Any) -> None:
        """Load the bundle."""
        self.recommender = Recommender(bundle.load(Path(context.artifacts[ARTEFACT])))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return the best unseen movies of each row, in the order of the rows.

        ``model_input``: a data frame with the column ``user_id`` (ids as in the data set; unknown
        users get popular movies) or the column ``ratings`` (a list of objects with ``movie_id`` and
        ``stars``, 0.5 to 5). ``params``: ``top_k``, 1 to 1,000. The result has the columns
        ``movie_ids``, ``titles`` and ``scores``; each cell holds a list, best first.

        Raises:
            BadRequest: the input has another form.
        """
        top_k = int((params or {}).get(TOP_K, DEFAULT_TOP_K))
        columns = list(model_input.columns)
        if (USER in columns) == (RATINGS in columns):
            raise BadRequest(
                f"the input has the columns {columns}; give either {USER!r} or {RATINGS!r}"
            )
        if USER in columns:
            users = [self._number(USER_ID, user) for user in model_input[USER]]
            answers = self.recommender.recommend(users, top_k)
            lists = [[(item.movie, item.score) for item in answer.items] for answer in answers]
        else:
            lists = [self._of_ratings(ratings, top_k) for ratings in model_input[RATINGS]]
        return pd.DataFrame(
            {
                "movie_ids": [[self._shown(movie.id) for movie, _ in movies] for movies in lists],
                "titles": [[movie.title for movie, _ in movies] for movies in lists],
                "scores": [[float(score) for _, score in movies] for movies in lists],
            }
        )

    def _number(self, kind: Kind, value: Any) -> int:
        """Return the number of an id, which is a text where the data set has text ids."""
        texts = self.recommender.bundle.ids
        is_text = texts is not None and texts.is_text(kind)
        return number_of(str(value)) if is_text else int(value)

    def _shown(self, movie_id: int) -> int | str:
        texts = self.recommender.bundle.ids
        text = None if texts is None else texts.text(MOVIE_ID, movie_id)
        return movie_id if text is None else text

    def _of_ratings(
        self, ratings: Iterable[Mapping[str, Any]], top_k: int
    ) -> list[tuple[Any, float]]:
        """Return the best movies, with their scores, of somebody who gave these ratings."""
        if not MIN_TOP_K <= top_k <= MAX_TOP_K:
            raise BadRequest(f"top_k must be from {MIN_TOP_K} to {MAX_TOP_K}, not {top_k}")
        recommender = self.recommender.user_recommender
        newest = int(self.recommender.bundle.histories.timestamps.max(initial=0))
        rated = []
        for rating in ratings:
            try:
                movie_id = self._number(MOVIE_ID, rating["movie_id"])
                stars = float(rating["stars"])
            except (KeyError, TypeError, ValueError) as error:
                raise BadRequest(
                    f"the rating {rating!r} must be an object with the numbers movie_id and stars"
                ) from error
            if not 0.5 <= stars <= 5:
                raise BadRequest(f"stars must be from 0.5 to 5, not {stars}")
            rated.append(NewRating(movie_id, stars, newest))
        page = recommender.page(
            recommender.anonymous(rated), Filter(), exclude=_NO_MOVIES, top_k=top_k, reasons=False
        )
        return [(item.movie, item.score) for item in page.items]


mlflow.models.set_model(RecommenderModel())
