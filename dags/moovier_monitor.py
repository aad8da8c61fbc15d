"""Check whether the champion fits the data; trigger a retraining if not."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, get_current_context, task
from moovier_assets import CHAMPION, MONITORING, RATINGS
from moovier_notify import notify, set_run_note
from moovier_tasks import DEFAULTS, failing_fast, log_lines, result_of


def _limit(title: str, description: str, setting: str, **bounds: float) -> Param:
    """Return an optional number field with the setting as its default."""
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
        "Chance of a false alarm in a check of data without drift, 0 to 1",
        "MOOVIER_MONITOR_SIGNIFICANCE",
        exclusiveMinimum=0,
        maximum=1,
    ),
    "ratings": _limit(
        "Ratings",
        "Alarm limit: shift of the stars of new ratings, in stars",
        "MOOVIER_MONITOR_RATINGS",
        exclusiveMinimum=0,
    ),
    "users": _limit(
        "Users",
        "Alarm limit: lost share of the agreement with earlier ratings",
        "MOOVIER_MONITOR_USERS",
        exclusiveMinimum=0,
    ),
    "movies": _limit(
        "Movies",
        "Alarm limit: shift of ratings to other movies, 0 to 1",
        "MOOVIER_MONITOR_MOVIES",
        exclusiveMinimum=0,
    ),
    "genres": _limit(
        "Genres",
        "Alarm limit: shift of the genres, 0 to 1",
        "MOOVIER_MONITOR_GENRES",
        exclusiveMinimum=0,
    ),
    "quality": _limit(
        "Quality",
        "Alarm limit: liked share of other movies minus that of recommended ones, 0 to 1",
        "MOOVIER_MONITOR_QUALITY",
        exclusiveMinimum=0,
    ),
    "age_days": _limit(
        "Age",
        "Alarm limit: days without a retraining while the data have changed",
        "MOOVIER_MONITOR_AGE_DAYS",
        exclusiveMinimum=0,
    ),
    "act": Param(
        True,
        type="boolean",
        title="Act",
        description="Whether an alarm triggers a retraining; otherwise it is only reported.",
    ),
}


@task(
    inlets=[RATINGS, CHAMPION],
    outlets=[MONITORING],
    doc_md="Measures the metrics and decides whether to trigger a retraining.",
)
def check(*, outlet_events: Any = None) -> dict[str, Any]:
    """Measure the drift, report it and return the result."""
    from airflow.sdk.exceptions import AirflowSkipException

    from moovier.jobs import monitor

    context = get_current_context()
    with failing_fast():
        result = monitor.run_check(dict(context["params"]), key=context["run_id"])
    if result is None:
        raise AirflowSkipException("there is no champion yet")
    with failing_fast():
        text = monitor.describe_check(result)
    log_lines(text)
    set_run_note(context, text)
    outlet_events[MONITORING].extra = {
        key: result[key] for key in ("alarm", "reasons", "figures", "data", "champion")
    } | {"mlflow_run": result["run_id"]}
    if result["alarm"]:
        notify("Moovier: monitoring raised an alarm", text)
    return result


@dag(
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
    tags=["moovier"],
    params=PARAMS,
    default_args=DEFAULTS,
    doc_md="""
    ### Does the champion still fit?

    `check` compares the current data, with the users' feedback, with the champion's training data:
    ratings, users, movies and genres. It compares the champion's lists with those of the previous
    champion, and measures the feedback on recommended movies and several ages. Metrics and plots go
    to MLflow's experiment `<experiment>-monitoring`, a summary to the registered model's tag
    `monitoring`, from which the service exports it to Prometheus.

    Above a limit, `trigger_retraining` starts `moovier_retrain` with the reason, once for the same
    data, and not again for the same alarm of the same champion (docs/monitoring.md).
    """,
)
def moovier_monitor() -> None:
    """Define the tasks of a monitoring check."""

    @task.short_circuit(doc_md="Continues only if a retraining should start.")
    def should_retrain(trigger: bool | None) -> bool:
        return result_of("check", trigger)

    # `none_failed`: `trigger_retraining` is skipped if its run exists, after an earlier failure of
    # this task.
    @task(
        trigger_rule="none_failed",
        doc_md="Records the alarm, so that it does not trigger another retraining.",
    )
    def record_alarm(result: dict[str, Any] | None) -> None:
        from airflow.sdk.exceptions import AirflowSkipException

        from moovier.jobs import monitor

        if result is None:
            # `check` was skipped, but the trigger rule runs this task anyway.
            raise AirflowSkipException("there is no champion yet")
        with failing_fast():
            monitor.record_trigger(result)

    result = check()
    retrain = TriggerDagRunOperator(
        task_id="trigger_retraining",
        trigger_dag_id="moovier_retrain",
        # One run per data set: Airflow rejects a second run with the same id.
        trigger_run_id=result["trigger_key"],
        conf=result["retraining"],
        note="{{ ti.xcom_pull(task_ids='check')['retraining']['reason'] }}",
        skip_when_already_exists=True,
        # A retraining rejects unknown fields of `conf`.
        openlineage_inject_parent_info=False,
        doc_md="Starts a retraining with the reason, and does not wait for its end.",
    )
    should_retrain(result["trigger"]) >> retrain >> record_alarm(result)


moovier_monitor()
