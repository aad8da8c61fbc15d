"""Tune, train, compare and promote: from new ratings to the champion that the service loads."""

from __future__ import annotations

from typing import Any

from airflow.sdk import (
    Asset,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    Param,
    dag,
    get_current_context,
    task,
)
from moovier_tasks import DEFAULTS

RATINGS = Asset("moovier_ratings")

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
        description="Model families to tune and train, one a line, such as `emb`; empty: all.",
    ),
    "embedding_sizes": Param(
        [50, 25, 10],
        type="array",
        items={"type": "integer", "minimum": 1, "maximum": 1024},
        title="Embedding sizes",
        description="Sizes that the `emb` family is trained with beside the tuned one.",
    ),
    "seed": Param(
        None,
        type=["null", "integer"],
        minimum=0,
        title="Seed",
        description="Seed of trainings and studies; empty: the setting `MOOVIER_SEED`.",
    ),
    "workers": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=64,
        title="Tuning workers",
        description="Tasks that share one study per family; empty: the setting "
        "`MOOVIER_TUNING_WORKERS`. The pool `moovier` bounds how many run at once.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        maxLength=4000,
        title="Reason",
        description="Why this retraining is asked for; kept as a tag of its run in MLflow. "
        "`moovier_monitor` writes its alarm here.",
    ),
}


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 3 * * SUN", timezone="UTC"), assets=RATINGS
    ),
    catchup=False,
    max_active_runs=1,
    tags=["moovier"],
    params=PARAMS,
    default_args=DEFAULTS,
    doc_md="""
    ### Ratings to champion

    Runs when `moovier_ingest` brings in other ratings than the champion was trained on, every
    Sunday at 03:00 UTC, and by hand, with the parameters of the trigger form.

    `prepare` checks the data, `tune` searches hyper-parameters (every mapped task is one worker of
    a shared Optuna study), `train` fits the candidates, `register` makes versions of the
    registered model, `gate` compares the best one with the champion and with popularity on
    visitors and next visits, and `promote` moves the alias `champion` when it won. The service
    follows the alias by itself. Every run, trial and metric is in MLflow.

    Each task can be run again at any time: what is finished is found and kept.
    """,
)
def moovier_retrain() -> None:
    @task(doc_md="Splits the ratings, opens the parent run in MLflow; returns the families.")
    def prepare() -> list[str]:
        from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

        from moovier.errors import BadRequest, InvalidData
        from moovier.jobs import retrain

        context = get_current_context()
        try:
            plan = retrain.prepare(
                dict(context["params"]),
                key=context["run_id"],
                only_new_data=bool(context["triggering_asset_events"]),
            )
        except (BadRequest, InvalidData) as error:
            # Neither the form's values nor the rows are better on the next attempt.
            reasons = [str(error), *getattr(error, "problems", ())]
            raise AirflowFailException("\n".join(reasons)) from error
        if plan is None:
            raise AirflowSkipException("the champion was trained on the same data")
        # Only a return value can be mapped over, and the plan is needed whole as well.
        context["ti"].xcom_push("plan", plan)
        return list(plan["families"])

    @task(doc_md="One entry for each worker of each family's study.")
    def share_out(plan: dict[str, Any]) -> list[dict[str, Any]]:
        return list(plan["work"])

    @task(
        map_index_template="{{ work.family }}, worker {{ work.worker }}",
        doc_md="One worker of a family's Optuna study: runs trials until the study has enough.",
    )
    def tune(plan: dict[str, Any], work: dict[str, Any]) -> dict[str, Any]:
        from moovier.jobs import retrain

        return retrain.tune(plan, **work)

    @task(
        map_index_template="{{ family }}",
        doc_md="Fits a family's candidates, measures them on the hold-out, refits on all ratings.",
    )
    def train(plan: dict[str, Any], family: str) -> list[dict[str, Any]]:
        from moovier.jobs import retrain

        return retrain.train(plan, family)

    @task(doc_md="Makes a version of the registered model from each candidate.")
    def register(plan: dict[str, Any], candidates: list[list[dict[str, Any]]]) -> list[int]:
        from moovier.jobs import retrain

        return retrain.register(plan, [one for family in candidates for one in family])

    @task(doc_md="Compares the best candidate with champion and popularity on two protocols.")
    def gate(plan: dict[str, Any], versions: list[int]) -> dict[str, Any]:
        from moovier.jobs import retrain

        return retrain.gate(plan, versions)

    @task(doc_md="Moves the alias `champion` if the gate said so, and notes why or why not.")
    def promote(plan: dict[str, Any], decision: dict[str, Any]) -> dict[str, Any]:
        from moovier.jobs import retrain

        return retrain.promote(plan, decision)

    families = prepare()
    plan = families["plan"]
    tuned = tune.partial(plan=plan).expand(work=share_out(plan))
    candidates = train.partial(plan=plan).expand(family=families)
    tuned >> candidates
    promote(plan, gate(plan, register(plan, candidates)))


moovier_retrain()
