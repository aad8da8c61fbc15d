#!/bin/bash
# Runs once, on an empty volume. Airflow, MLflow and Optuna each need a database of their own: all
# three keep their schema's version in a table of the same name. MLflow keeps its users in one
# more, and the last has feedback and keys.
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
# Sizes and activity of all databases, and none of what is in them.
run --command "GRANT pg_monitor TO monitor"
