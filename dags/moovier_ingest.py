"""Fetch and validate the ratings, and emit the asset that starts a retraining."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import dag, task
from moovier_assets import RATINGS
from moovier_spark import cluster_task, on_cluster
from moovier_tasks import DEFAULTS, failing_fast, result_of

if TYPE_CHECKING:
    from moovier.jobs.ingest import Pulled

FACTS = ("name", "hash", "synthetic", "ratings", "users", "movies", "report")


@dag(
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
    tags=["moovier"],
    default_args=DEFAULTS,
    doc_md="""
    ### Ingest the ratings

    Fetches the data set through DVC (otherwise from GroupLens, otherwise the synthetic sample),
    merges the users' feedback (ratings and deletions over HTTP) into a new version of it, validates
    every row, and emits the asset `moovier_ratings` with the data's hash. The asset starts
    `moovier_retrain`, which does nothing if the champion was trained on the same data.

    Invalid data fails the run before any training: the task's log lists file, row and reason. The
    champion stays in service.

    With `MOOVIER_ENGINE=spark`, `sort_on_cluster` reads, checks and sorts the ratings as a Spark
    job, and `validate` reports the result.
    """,
)
def moovier_ingest() -> None:
    """Define the tasks of an ingest."""

    @task(doc_md="Fetches the data set and merges the feedback; returns its name, folder and hash.")
    def pull() -> dict[str, Any]:
        from moovier.jobs import ingest

        with failing_fast():
            return dict(ingest.pull())

    @task(outlets=[RATINGS], doc_md="Validates every row; emits the asset with the data's facts.")
    def validate(pulled: Pulled, *, outlet_events: Any = None) -> dict[str, Any]:
        from moovier.jobs import ingest

        with failing_fast():
            report = ingest.validate(result_of("pull", pulled))
        facts = {key: value for key, value in report.items() if key in FACTS}
        outlet_events[RATINGS].extra = facts
        return facts

    pulled = pull()
    validated = validate(pulled)
    if on_cluster():
        sorted_ = cluster_task(
            "sort_on_cluster",
            "histories",
            after="pull",
            doc_md="Validates and sorts the ratings on the Spark cluster, for `validate`.",
        )
        pulled >> sorted_ >> validated


moovier_ingest()
