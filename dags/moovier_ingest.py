"""Fetch the ratings, check them, and tell Airflow that there are new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, dag, task
from moovier_tasks import DEFAULTS

if TYPE_CHECKING:
    from moovier.jobs.ingest import Pulled

RATINGS = Asset("moovier_ratings")
FACTS = ("name", "hash", "synthetic", "ratings", "users", "movies", "report")


@dag(
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
    tags=["moovier"],
    default_args=DEFAULTS,
    doc_md="""
    ### Ratings in

    Fetches the data set through DVC (else from GroupLens, else the synthetic sample), merges what
    people rated over HTTP since (and what they deleted) into a version of its own, checks every
    row, and emits the asset `moovier_ratings` with the data's hash. That starts
    `moovier_retrain`, which does nothing when the champion was trained on the same data.

    Bad data fails the run before any training: the task's log lists file, row and reason. The
    last good model keeps serving.
    """,
)
def moovier_ingest() -> None:
    @task(doc_md="Brings the data set into the workspace and says which one it is.")
    def pull() -> dict[str, Any]:
        from moovier.jobs import ingest

        return dict(ingest.pull())

    @task(outlets=[RATINGS], doc_md="Checks every row; emits the asset with the data's facts.")
    def validate(pulled: Pulled, *, outlet_events: Any = None) -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowFailException

        from moovier.errors import InvalidData
        from moovier.jobs import ingest

        try:
            report = ingest.validate(pulled)
        except InvalidData as error:
            # The same rows are as bad on the next attempt.
            raise AirflowFailException("\n".join([str(error), *error.problems])) from error
        facts = {key: value for key, value in report.items() if key in FACTS}
        outlet_events[RATINGS].extra = facts
        return facts

    validate(pull())


moovier_ingest()
