"""Look whether the champion still fits, and ask for a retraining when it does not."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, get_current_context, task
from moovier_tasks import DEFAULTS


def _limit(title: str, description: str, setting: str, **bounds: float) -> Param:
    return Param(
        None,
        type=["null", "number"],
        title=title,
        description=f"{description}; empty: the setting `{setting}`.",
        **bounds,
    )


PARAMS = {
    "data": Param(
        None,
        type=["null", "string"],
        title="Data set",
        description="`ml-latest-small`, `sample`, or a directory in MovieLens layout; empty: the "
        "setting `MOOVIER_DATA`.",
    ),
    "significance": _limit(
        "Significance",
        "Chance of an alarm where nothing drifted",
        "MOOVIER_MONITOR_SIGNIFICANCE",
        exclusiveMinimum=0,
        maximum=1,
    ),
    "ratings": _limit(
        "Ratings",
        "Stars that new ratings must have moved by",
        "MOOVIER_MONITOR_RATINGS",
        exclusiveMinimum=0,
    ),
    "users": _limit(
        "Users",
        "Share of the agreement with earlier ratings that must be lost",
        "MOOVIER_MONITOR_USERS",
        exclusiveMinimum=0,
    ),
    "movies": _limit(
        "Movies",
        "How far ratings must have gone to other movies, 0 to 1",
        "MOOVIER_MONITOR_MOVIES",
        exclusiveMinimum=0,
    ),
    "genres": _limit(
        "Genres",
        "How far genres must have moved, 0 to 1",
        "MOOVIER_MONITOR_GENRES",
        exclusiveMinimum=0,
    ),
    "quality": _limit(
        "Quality",
        "By how much fewer recommended movies must be liked than others",
        "MOOVIER_MONITOR_QUALITY",
        exclusiveMinimum=0,
    ),
    "age_days": _limit(
        "Age",
        "Days without a retraining, though the data changed",
        "MOOVIER_MONITOR_AGE_DAYS",
        exclusiveMinimum=0,
    ),
    "act": Param(
        True,
        type="boolean",
        title="Act",
        description="Whether an alarm asks for a retraining; else it is only shown.",
    ),
}


@dag(
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
    tags=["moovier"],
    params=PARAMS,
    default_args=DEFAULTS,
    doc_md="""
    ### Does the champion still fit?

    `look` compares the data there are now, people's feedback merged in, with what the champion was
    trained on: ratings, users, movies, genres; its lists with those of the champion before it; what
    people think of recommended movies; and ages. Figures and pictures go to MLflow's experiment
    `<experiment>-monitoring`, a summary to the registered model's tag `monitoring`, from where
    the service shows it to Prometheus.

    Past a limit, `retrain` starts `moovier_retrain` with the reason, once for the same data, and
    not again for the same alarm while the champion stays the same (docs/monitoring.md).
    """,
)
def moovier_monitor() -> None:
    @task(doc_md="Gathers the figures and says whether a retraining is asked for.")
    def look() -> dict[str, Any]:
        from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

        from moovier.errors import BadRequest, InvalidData
        from moovier.jobs import monitor

        context = get_current_context()
        try:
            said = monitor.run_check(dict(context["params"]), key=context["run_id"])
        except (BadRequest, InvalidData) as error:
            # Neither the form's values nor the rows are better on the next attempt.
            reasons = [str(error), *getattr(error, "problems", ())]
            raise AirflowFailException("\n".join(reasons)) from error
        if said is None:
            raise AirflowSkipException("there is no champion yet")
        return said

    @task.short_circuit(doc_md="Goes on only where a retraining is asked for.")
    def asked(trigger: bool) -> bool:
        return trigger

    # Also where the very run was there already: then this task failed the last time.
    @task(
        trigger_rule="none_failed",
        doc_md="Remembers the alarm, so that it does not ask for a retraining again.",
    )
    def remember(said: dict[str, Any] | None) -> None:
        from airflow.sdk.exceptions import AirflowSkipException

        from moovier.jobs import monitor

        if said is None:
            # `look` was skipped; this rule runs the task all the same.
            raise AirflowSkipException("there is no champion yet")
        monitor.record_trigger(said)

    said = look()
    retrain = TriggerDagRunOperator(
        task_id="retrain",
        trigger_dag_id="moovier_retrain",
        # One run for the same data: Airflow refuses another of the same id.
        trigger_run_id=said["trigger_key"],
        conf=said["retraining"],
        skip_when_already_exists=True,
        # A retraining refuses what it does not know.
        openlineage_inject_parent_info=False,
        doc_md="Starts a retraining with the reason; it may run long after this one ended.",
    )
    asked(said["trigger"]) >> retrain >> remember(said)


moovier_monitor()
