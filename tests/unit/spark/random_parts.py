"""Random histories as files of parts, for tests without Spark."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moovier.data.ratings import Histories, Index
from moovier.spark import history_parts
from moovier.spark.history_parts import HistoryParts
from moovier.spark.shared_folder import SharedFolder
from tests.unit.models.random_arrays import random_ratings

INDEX = Index(np.arange(60) * 3 + 1, np.arange(25) * 2 + 10)


def random_parts(folder: Path) -> tuple[HistoryParts, Histories]:
    """Store 60 users' ratings of 25 movies; the ids differ from the rows."""
    histories = random_ratings(5, n_users=60, n_movies=25).histories
    return history_parts.store(SharedFolder(str(folder)), INDEX, histories), histories
