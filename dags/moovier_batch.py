"""The best movies of all users as Parquet files, for those who serve from a store of their own."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from moovier_tasks import DEFAULTS

PARAMS = {
    "top_k": Param(
        100,
        type="integer",
        minimum=1,
        maximum=1000,
        title="Movies for each user",
        description="Best first; a list is shorter where fewer movies are left.",
    ),
    "shards": Param(
        2,
        type="integer",
        minimum=1,
        maximum=256,
        title="Shards",
        description="Mapped tasks that share the users; each writes one file.",
    ),
    "model": Param(
        None,
        type=["null", "string"],
        title="Model",
        description="Name, alias or version number; empty: the champion.",
    ),
}


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["moovier"],
    params=PARAMS,
    default_args=DEFAULTS,
    doc_md="""
    ### Lists of all users

    Runs by hand, or from another DAG or a script through Airflow's API. Writes each user's best
    movies, as `/predict` gives them at that moment, what people rated and deleted since included,
    to `MOOVIER_LISTS`: `<model>-v<version>/part-*.parquet` with the columns `user_id`, `rank`,
    `movie_id`, `score` and `model_version`.

    `prepare` decides on the version, each mapped task `write` writes one shard's file aside, and
    `finish` publishes all of them at once, with `_manifest.json` and, last, `_SUCCESS`. Readers see
    the set whole or not at all. Each task can be run again at any time.
    """,
)
def moovier_batch() -> None:
    @task(doc_md="Decides on the model's version; returns the numbers of the shards.")
    def prepare() -> list[int]:
        from airflow.sdk.exceptions import AirflowFailException

        from moovier.errors import BadRequest, UnknownModel
        from moovier.jobs import batch

        context = get_current_context()
        try:
            plan = batch.prepare(dict(context["params"]))
        except (BadRequest, UnknownModel) as error:
            # The form's values are no better on the next attempt.
            raise AirflowFailException(str(error)) from error
        # Only a return value can be mapped over, and the plan is needed whole as well.
        context["ti"].xcom_push("plan", plan)
        return list(range(plan["shards"]))

    @task(map_index_template="shard {{ shard }}", doc_md="Writes the lists of one shard's users.")
    def write(plan: dict[str, Any], shard: int) -> dict[str, Any]:
        from moovier.jobs import batch

        return batch.write(plan, shard)

    @task(doc_md="Checks that every part is whole and publishes them; returns the manifest.")
    def finish(plan: dict[str, Any], parts: list[dict[str, Any]]) -> dict[str, Any]:
        from moovier.jobs import batch

        return batch.finish(plan, list(parts))

    shards = prepare()
    plan = shards["plan"]
    finish(plan, write.partial(plan=plan).expand(shard=shards))


moovier_batch()
