"""What the server of :mod:`tests.machines` imports once. It computes nothing: a TensorFlow that was
only imported survives a fork, one that has run an operation does not."""

import os

import keras  # noqa: F401
import mlflow.keras
import mlflow.tracking  # noqa: F401
import optuna  # noqa: F401
import scipy.linalg  # noqa: F401
import tensorflow  # noqa: F401

import moovier.jobs.retrain
import moovier.report.page
import moovier.tuning.study  # noqa: F401

# The outages of tests are short.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
