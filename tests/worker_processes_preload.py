"""Modules that the fork server of :mod:`tests.worker_processes` imports once.

The server computes nothing: a child hangs if TensorFlow ran an operation before the fork.
"""

import os

import jinja2  # noqa: F401
import keras  # noqa: F401
import matplotlib.backends.backend_agg
import matplotlib.figure
import matplotlib.pyplot  # noqa: F401
import mlflow.keras
import mlflow.tracking  # noqa: F401
import optuna
import optuna.visualization.matplotlib  # noqa: F401
import pandas  # noqa: F401
import pandera.pandas  # noqa: F401
import scipy.linalg  # noqa: F401
import tensorflow  # noqa: F401

import moovier.jobs.retrain
import moovier.report.page
import moovier.tuning.study  # noqa: F401

# The default of 2 waits longer than any outage of the tests lasts.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
