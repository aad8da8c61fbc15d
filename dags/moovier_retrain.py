"""Tune, train, compare and promote models on new ratings."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import (
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    Param,
    dag,
    get_current_context,
    task,
)
from moovier_assets import CHAMPION, RATINGS
from moovier_notify import notify, notify_failure, set_run_note
from moovier_tasks import DEFAULTS, failing_fast, log_lines, result_of, results_of

#: Options of the approval.
APPROVE, REJECT = "Approve", "Reject"
#: What started a run, by Airflow's type of the run; in the name of the run in MLflow.
CAUSES = {
    "scheduled": "weekly",
    "asset_triggered": "new ratings",
    "operator_triggered": "another DAG",
    "backfill": "backfill",
}

PARAMS = {
    "data": Param(
        None,
        type=["null", "string"],
        title="Data set",
        description="`ml-latest-small`, `sample`, or a directory in MovieLens layout; empty: the "
        "setting `MOOVIER_DATA`.",
    ),
    "trials": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=10_000,
        title="Trials",
        description="Optuna trials per family, over all workers; empty: the setting "
        "`MOOVIER_TRIALS` (`MOOVIER_FIRST_RUN_TRIALS` while there is no champion).",
    ),
    "families": Param(
        None,
        type=["null", "array"],
        items={"type": "string"},
        minItems=1,
        title="Families",
        description="Model families to tune and train, one per line, such as `emb`; empty: the "
        "setting `MOOVIER_FAMILIES`, by default those that suit the data.",
    ),
    "embedding_sizes": Param(
        [50, 25, 10],
        type="array",
        items={"type": "integer", "minimum": 1, "maximum": 1024},
        maxItems=20,
        title="Embedding sizes",
        description="Sizes of the `emb` models that are trained besides the tuned one.",
    ),
    "seed": Param(
        None,
        type=["null", "integer"],
        minimum=0,
        maximum=2**32 - 1,
        title="Seed",
        description="Seed of trainings and studies; empty: the setting `MOOVIER_SEED`.",
    ),
    "workers": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=64,
        title="Tuning workers",
        description="Tasks that share each family's study; empty: the setting "
        "`MOOVIER_TUNING_WORKERS`. The pool `moovier` limits how many run at once.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        maxLength=4000,
        title="Reason",
        description="Why this retraining is started; a tag of its run in MLflow. "
        "`moovier_monitor` writes its alarm here.",
    ),
    "approval": Param(
        None,
        type=["null", "boolean"],
        title="Approval",
        description="Whether a person must approve a promotion, under Required Actions; "
        "empty: the setting `MOOVIER_PROMOTION_APPROVAL`.",
    ),
}


@task(doc_md="Validates the ratings, opens the parent run in MLflow; returns the families.")
def prepare() -> list[str]:
    """Push the plan of a new retraining and return its families."""
    from airflow.sdk.exceptions import AirflowSkipException

    from moovier.jobs import retrain
    from moovier.jobs.retraining_outcome import describe_plan

    context = get_current_context()
    with failing_fast():
        plan = retrain.prepare(
            dict(context["params"]),
            key=context["run_id"],
            only_new_data=bool(context["triggering_asset_events"]),
            # `str` of the type is `DagRunType.MANUAL`.
            cause=CAUSES.get(context["dag_run"].run_type.value, "by hand"),
        )
    if plan is None:
        raise AirflowSkipException("the champion was trained on the same data")
    log_lines(describe_plan(plan))
    # Airflow can map tasks over a return value only; the other tasks need the plan.
    context["ti"].xcom_push("plan", plan)
    return list(plan["families"])


@task(doc_md="Returns one entry per worker of each family's study.")
def plan_tuning(families: list[str]) -> list[dict[str, Any]]:
    """Return the tuning tasks of the plan."""
    result_of("prepare", families)
    # As an argument, a plan that is missing would fail before this task can say so.
    plan = get_current_context()["ti"].xcom_pull(task_ids="prepare", key="plan")
    return list(result_of("prepare", plan, "work")["work"])


@task(
    map_index_template="{{ work.family }}, worker {{ work.worker }}",
    doc_md="One worker of a family's Optuna study: runs trials until the study has enough.",
)
def tune(plan: dict[str, Any], work: dict[str, Any]) -> dict[str, Any]:
    """Run one tuning worker."""
    from moovier.jobs import retrain

    with failing_fast():
        result = retrain.tune(result_of("prepare", plan), **result_of("plan_tuning", work))
    log_lines(f"{result['family']}: {result['trials']} trials finished, best {result['best']}")
    return result


@task(
    map_index_template="{{ family }}",
    doc_md="Trains a family's candidates, evaluates them on the hold-out, refits on all ratings.",
)
def train(plan: dict[str, Any], family: str) -> list[dict[str, Any]]:
    """Train the candidates of one family."""
    from moovier.jobs import retrain
    from moovier.jobs.retraining_outcome import describe_candidates

    with failing_fast():
        candidates = retrain.train(result_of("prepare", plan), family)
    log_lines(describe_candidates(candidates))
    return candidates


@task(doc_md="Registers each candidate as a version of the registered model.")
def register(plan: dict[str, Any], candidates: list[list[dict[str, Any]]]) -> list[int]:
    """Register the candidates of all families; return the version numbers."""
    from moovier.jobs import retrain

    plan = result_of("prepare", plan, "families")
    by_family = results_of("train", candidates, len(plan["families"]))
    with failing_fast():
        return retrain.register(plan, [candidate for family in by_family for candidate in family])


@task(doc_md="Compares the best candidate with champion and popularity on two protocols.")
def gate(plan: dict[str, Any], versions: list[int]) -> dict[str, Any]:
    """Return the gate's decision."""
    from moovier.jobs import retrain

    with failing_fast():
        decision = retrain.gate(result_of("prepare", plan), result_of("register", versions))
    log_lines("\n".join(decision["reasons"]))
    return decision


@task.short_circuit(
    ignore_downstream_trigger_rules=False,
    doc_md="Continues with `approve` only if a person must approve this promotion.",
)
def needs_approval(decision: dict[str, Any]) -> bool:
    """Return whether the gate wants a promotion that a person must approve."""
    from moovier.settings import load_settings

    chosen = get_current_context()["params"]["approval"]
    asks = load_settings().promotion_approval if chosen is None else bool(chosen)
    return asks and bool(result_of("gate", decision, "promote")["promote"])


# `approve` is skipped if nobody has to approve. If there are no new data, all tasks are skipped.
@task(
    trigger_rule="none_failed_min_one_success",
    doc_md="Moves the alias `champion` if the gate decided so, and writes the reasons.",
)
def promote(plan: dict[str, Any], decision: dict[str, Any]) -> dict[str, Any]:
    """Carry out the gate's decision, unless a person rejected it."""
    from moovier.jobs import retrain
    from moovier.jobs.retraining_outcome import note, rejected, run_page

    plan, decision = result_of("prepare", plan), result_of("gate", decision, "reasons")
    context = get_current_context()
    answer = context["ti"].xcom_pull(task_ids="approve") or {}
    with failing_fast():
        if REJECT in answer.get("chosen_options", []):
            decision = rejected(decision, answer.get("responded_by_user"))
        decision = retrain.promote(plan, decision)
        text = note(decision, run_page(plan))
    log_lines(text)
    set_run_note(context, text)
    if decision["promote"]:
        notify(f"Moovier: {decision['name']} is the new champion", text)
    return decision


@task(outlets=[CHAMPION], doc_md="Emits the asset `moovier_champion` if the champion changed.")
def emit_champion(
    plan: dict[str, Any], decision: dict[str, Any], *, outlet_events: Any = None
) -> None:
    """Emit the asset of a new champion, on which other DAGs can be scheduled."""
    from airflow.sdk.exceptions import AirflowSkipException

    from moovier.jobs.retraining_outcome import champion_facts

    if not result_of("promote", decision, "promote")["promote"]:
        raise AirflowSkipException("the champion did not change")
    with failing_fast():
        outlet_events[CHAMPION].extra = champion_facts(result_of("prepare", plan), decision)


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 3 * * SUN", timezone="UTC"), assets=RATINGS
    ),
    catchup=False,
    max_active_runs=1,
    tags=["moovier"],
    params=PARAMS,
    default_args={**DEFAULTS, "on_failure_callback": notify_failure},
    doc_md="""
    ### From ratings to a champion

    Runs when `moovier_ingest` fetches other ratings than the champion was trained on, every Sunday
    at 03:00 UTC, and when a person triggers it with the parameters of the form.

    `prepare` validates the data, `tune` searches hyper-parameters (each mapped task is one worker
    of a shared Optuna study), `train` trains the candidates, `register` registers them as versions,
    `gate` compares the best one with the champion and with popularity on visitors and next visits,
    and `promote` moves the alias `champion` if it won, after an approval by a person if the form or
    the setting `MOOVIER_PROMOTION_APPROVAL` asks for one. `emit_champion` emits the asset
    `moovier_champion`. The run's note has the decision and its reasons. The service follows the
    alias. Every run, trial and metric is in MLflow.

    Each task can be run again at any time and reuses what is finished.
    """,
)
def moovier_retrain() -> None:
    """Define the order of the tasks of a retraining."""
    families = prepare()
    plan = families["plan"]
    tuned = tune.partial(plan=plan).expand(work=plan_tuning(families))
    candidates = train.partial(plan=plan).expand(family=families)
    tuned >> candidates
    decision = gate(plan, register(plan, candidates))
    approve = HITLOperator(
        task_id="approve",
        subject="Promote {{ ti.xcom_pull(task_ids='gate')['name'] }}?",
        body="{{ ti.xcom_pull(task_ids='gate')['reasons'] | join('\\n\\n') }}",
        options=[APPROVE, REJECT],
        doc_md="Waits for a person under Required Actions; rejecting keeps the champion.",
    )
    promoted = promote(plan, decision)
    needs_approval(decision) >> approve >> promoted
    emit_champion(plan, promoted)


moovier_retrain()
