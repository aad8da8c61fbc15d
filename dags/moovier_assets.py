"""The assets that the DAGs emit; other DAGs can be scheduled on them."""

from __future__ import annotations

from airflow.sdk import Asset

#: A validated version of the ratings. Extra: name, hash, numbers of ratings, users and movies.
RATINGS = Asset("moovier_ratings")
#: A new champion. Extra: name, version, data hash, metrics, reason, run in MLflow.
CHAMPION = Asset("moovier_champion")
#: The lists of all users. Extra: model, version, number of users, address of the files.
LISTS = Asset("moovier_lists")
#: A monitoring report. Extra: alarm, reasons, metrics, run in MLflow.
MONITORING = Asset("moovier_monitoring_report")
