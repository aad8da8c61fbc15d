"""Save a Keras model as an MLflow model, without pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def preload() -> None:
    """Import the libraries that :func:`save_keras` needs, which takes seconds."""
    import keras  # noqa: F401
    import mlflow.keras
    import mlflow.pyfunc  # noqa: F401


def save_keras(model: Any, folder: Path) -> Path:
    """Write a functional Keras ``model`` in MLflow's keras flavour.

    The signature has the model's inputs and outputs, with a leading -1 for the batch. The input
    example is one row of zeros, which every family's model accepts. The requirements are pinned to
    the installed versions.
    """
    # mlflow.tensorflow pickles all registered custom objects; mlflow.keras does not.
    # log_model with an input example writes into a folder that does not exist yet (MLflow 3.17).
    import keras
    import mlflow.keras
    import tensorflow as tf
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema

    folder.mkdir(parents=True, exist_ok=True)
    mlflow.keras.save_model(
        model,
        str(folder),
        signature=ModelSignature(
            Schema([_spec(tensor) for tensor in model.inputs]),
            Schema([_spec(tensor) for tensor in model.outputs]),
        ),
        input_example={
            tensor.name: np.zeros((1, *_sizes(tensor, unknown=1)), dtype=tensor.dtype)
            for tensor in model.inputs
        },
        pip_requirements=[
            f"keras=={keras.__version__}",
            f"tensorflow=={tf.__version__}",
            f"numpy=={np.__version__}",
        ],
    )
    return folder


def _spec(tensor: Any) -> Any:
    from mlflow.types.schema import TensorSpec

    return TensorSpec(np.dtype(tensor.dtype), (-1, *_sizes(tensor, unknown=-1)), tensor.name)


def _sizes(tensor: Any, unknown: int) -> tuple[int, ...]:
    return tuple(unknown if size is None else int(size) for size in tensor.shape[1:])
