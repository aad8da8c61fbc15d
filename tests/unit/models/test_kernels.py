"""The compiled functions against NumPy."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from moovier.data.ratings import Ints
from moovier.models import kernels, top_k
from moovier.models.dae_scoring import DaeScorer
from moovier.models.kernels import Kernels
from moovier.models.variational_scoring import Predictor
from tests.unit.models.random_arrays import (
    N_COVERED,
    N_MOVIES,
    dae_arrays,
    random_history,
    taste_arrays,
)

SOURCE = Path(kernels.__file__).with_name("_kernels.c")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    """The compiled functions, built from the source that is tested."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no C compiler is installed; CI needs it")
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("kernels") / "_kernels.so"
    headers = sysconfig.get_path("include")
    options = ("-O3", "-fopenmp-simd", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
    subprocess.run(
        [compiler, *options, f"-I{headers}", str(SOURCE), "-o", str(library), "-lm"], check=True
    )
    spec = importlib.util.spec_from_file_location("_kernels", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Kernels, module)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("k", [0, 1, 2, 5, 30, N_MOVIES])
def test_dae_scores_and_reasons_equal_numpys(compiled: Kernels, seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = dae_arrays(rng)
    history = random_history(rng, k)
    ours, numpys = DaeScorer(arrays, compiled), DaeScorer(arrays, None)
    expected = numpys.fold_in(history)
    np.testing.assert_allclose(ours.fold_in(history), expected, rtol=1e-5, atol=1e-4)
    movies = rng.choice(N_MOVIES, 9, replace=False)
    np.testing.assert_allclose(
        ours.explain(history, movies), numpys.explain(history, movies), rtol=1e-4, atol=2e-4
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("k", [0, 1, 4, 40])
def test_taste_stars_equal_numpys(compiled: Kernels, seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = taste_arrays(rng)
    history = random_history(rng, k)
    ours, numpys = Predictor(arrays, compiled), Predictor(arrays, None)
    expected = numpys.fold_in(history.movies, history.stars)
    np.testing.assert_allclose(ours.fold_in(history.movies, history.stars), expected, atol=1e-4)
    targets = np.array([8, 0, N_MOVIES - 1])
    np.testing.assert_allclose(
        ours.fold_in(history.movies, history.stars, targets), expected[targets], atol=1e-4
    )


@pytest.mark.parametrize("seed", range(20))
def test_top_rows_equal_numpys(compiled: Kernels, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-3, 60, 5000).astype(np.float32)
    scores[rng.random(5000) < 0.5] = -np.inf
    for k in (1, 2, 11, 400, 5000):
        rows = np.empty(k, dtype=np.int64)
        found = rows[: compiled.top_rows(scores, rows)]
        assert found.tolist() == top_k.top_rows_by_numpy(scores, k).tolist()


def test_largest_parts_equal_a_stable_sort(
    compiled: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    parts = rng.integers(-2, 3, (11, 17)).astype(np.float32)
    allowed: Ints = np.flatnonzero(rng.random(17) < 0.7)
    for most in (1, 3, 17):
        answers = []
        for module in (compiled, None):
            monkeypatch.setattr(top_k, "_kernels", module)
            columns, weights = top_k.largest_parts(parts, allowed, most)
            answers.append((columns.tolist(), weights.tolist()))
        assert answers[0] == answers[1]


def test_rows_out_of_range_and_wrong_sizes_are_refused(compiled: Kernels) -> None:
    rng = np.random.default_rng(0)
    scorer: Any = DaeScorer(dae_arrays(rng), compiled)
    ratings = (np.array([N_COVERED]), np.ones(1, np.float32), np.ones(1, np.float32))
    scores = np.empty(N_MOVIES, np.float32)
    rest = (scorer._head, scorer._popularity, scorer.covered, scores)
    with pytest.raises(ValueError, match=f"row {N_COVERED} is not within 0 to {N_COVERED - 1}"):
        compiled.dae_scores(*scorer._model_arrays, *ratings, *rest)
    ratings = (np.array([0]), np.ones(2, np.float32), np.ones(1, np.float32))
    with pytest.raises(ValueError, match="argument 7 has 8 bytes, but its shape needs 4"):
        compiled.dae_scores(*scorer._model_arrays, *ratings, *rest)
    with pytest.raises(TypeError, match="13 arguments are needed, not 1"):
        compiled.dae_scores(scores)
