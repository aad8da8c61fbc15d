#!/bin/bash
# Runs once, on an empty volume. Airflow, MLflow and Optuna need separate databases, because all
# three store their schema version in a table of the same name. MLflow stores its users in another
# one. The last database has feedback and API keys.
set -euo pipefail

run() {
    psql --username postgres --set ON_ERROR_STOP=1 "$@"
}

database() { # owner, database
    run --set owner="$1" --set name="$2" <<'SQL'
CREATE DATABASE :"name" OWNER :"owner";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}

role() { # name, password
    run --set name="$1" --set password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
SQL
}

role airflow "$AIRFLOW_DB_PASSWORD"
role mlflow "$MLFLOW_DB_PASSWORD"
role optuna "$OPTUNA_DB_PASSWORD"
role moovier "$MOOVIER_DB_PASSWORD"
role monitor "$MONITOR_DB_PASSWORD"
database airflow airflow
database mlflow mlflow
database mlflow mlflow_users
database optuna optuna
database moovier moovier
# The role may read sizes and activity of all databases, but no rows.
run --command "GRANT pg_monitor TO monitor"
