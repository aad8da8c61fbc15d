"""The services that need each secret of `.env`; no other service may get it."""

from __future__ import annotations

from collections.abc import Mapping

#: Processes of Airflow that read its database; the worker only has Celery's results in it.
_AIRFLOW = {f"airflow-{name}" for name in ("init", "api-server", "scheduler", "dag-processor")}
_S3 = {"s3", "buckets", "mlflow", "airflow-api-server", "airflow-worker", "spark-worker"}

#: The names of the services by variable. Postgres's script makes all roles.
SECRET_READERS: Mapping[str, set[str]] = {
    "POSTGRES_PASSWORD": {"postgres"},
    "AIRFLOW_DB_PASSWORD": {"postgres", *_AIRFLOW, "airflow-worker"},
    "MLFLOW_DB_PASSWORD": {"postgres", "mlflow"},
    "OPTUNA_DB_PASSWORD": {"postgres", "optuna-init", "optuna-dashboard", "airflow-worker"},
    "MOOVIER_DB_PASSWORD": {"postgres", "service", "airflow-worker"},
    "MONITOR_DB_PASSWORD": {"postgres", "postgres-exporter"},
    "REDIS_PASSWORD": {"redis", "redis-exporter", "airflow-scheduler", "airflow-worker"},
    "S3_ACCESS_KEY": _S3,
    "S3_SECRET_KEY": _S3,
    "GRAFANA_ADMIN_PASSWORD": {"grafana"},
    "AIRFLOW_ADMIN_PASSWORD": {"airflow-init", "airflow-worker", "first-training"},
    "MLFLOW_ADMIN_PASSWORD": {
        *("mlflow", "service", "trainer"),
        *("airflow-worker", "spark-worker", "first-training"),
    },
    "MLFLOW_SECRET_KEY": {"mlflow"},
    "AIRFLOW_JWT_SECRET": {"airflow-api-server", "airflow-scheduler"},
    "AIRFLOW_API_SECRET_KEY": {"airflow-api-server", "airflow-worker"},
    "AIRFLOW_FERNET_KEY": _AIRFLOW,
    "TMDB_API_KEY": {"service"},
}
