from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.registry.keras_export import save_keras


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Save a small model with two inputs, like NeuMF, and return its folder."""
    import keras

    users = keras.Input((1,), name="users", dtype="int32")
    movies = keras.Input((1,), name="movies", dtype="int32")
    vectors = [keras.layers.Embedding(5, 2)(rows) for rows in (users, movies)]
    model = keras.Model([users, movies], keras.layers.Dot(-1)(vectors), name="toy")
    return save_keras(model, tmp_path / "model")


def test_saved_model_has_signature_example_and_pinned_requirements(saved: Path) -> None:
    import mlflow.pyfunc

    loaded = mlflow.pyfunc.load_model(str(saved))
    schema = loaded.metadata.signature.inputs
    assert [(spec.name, spec.shape) for spec in schema.inputs] == [
        ("users", (-1, 1)),
        ("movies", (-1, 1)),
    ]
    assert loaded.metadata.signature.outputs.inputs[0].shape[0] == -1
    scores = loaded.predict({name: np.array(value) for name, value in loaded.input_example.items()})
    assert np.isfinite(scores).all()
    required = (saved / "requirements.txt").read_text().split()
    assert all("==" in line for line in required)
    assert any(line.startswith("keras==") for line in required)


def test_saved_model_has_no_pickle(saved: Path) -> None:
    files = [path for path in saved.rglob("*") if path.is_file()]
    assert (saved / "data" / "model.keras") in files
    assert not [path for path in files if "pickle" in path.name or path.suffix == ".pkl"]
