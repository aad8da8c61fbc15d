from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.models import families
from tests.unit.training.spy import DAY_S, N_MOVIES, N_USERS, SpyFamily


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> SpyFamily:
    family = SpyFamily()
    table = MappingProxyType({**families.FAMILIES, "spy": family})
    monkeypatch.setattr(families, "FAMILIES", table)
    return family


@pytest.fixture
def ratings() -> Ratings:
    """Return three visits of twelve ratings per user; the users start two days apart."""
    random = np.random.default_rng(2)
    users = np.repeat(np.arange(N_USERS), 36)
    movies = np.concatenate([random.permutation(N_MOVIES)[:36] for _ in range(N_USERS)])
    place = np.tile(np.arange(36), N_USERS)
    moments = users * 2 * DAY_S + place // 12 * 10 * DAY_S + place
    stars = random.integers(1, 11, users.size).astype(np.float32) / np.float32(2)
    shuffled = random.permutation(users.size)
    return Ratings(users, movies, stars, moments, N_USERS, N_MOVIES).take(shuffled)
