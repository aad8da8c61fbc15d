"""Trigger the first ingest in Airflow if MLflow has no champion."""

from __future__ import annotations

import os

from moovier.registry.client import Registry
from moovier.settings import load_settings
from moovier.stack.airflow_api import AirflowApi
from moovier.stack.pipeline import trigger_first_ingest


def main() -> None:
    """Trigger the ingest and print the result."""
    settings = load_settings()
    registry = Registry(settings.mlflow_tracking_uri, settings.registered_model)
    password = os.environ["AIRFLOW_ADMIN_PASSWORD"]
    with AirflowApi(os.environ["AIRFLOW_URL"], "admin", password) as airflow:
        print(trigger_first_ingest(airflow, registry))


if __name__ == "__main__":
    main()
