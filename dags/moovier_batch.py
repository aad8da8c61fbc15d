"""Write the best movies of all users to Parquet files."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from moovier_assets import CHAMPION, LISTS
from moovier_spark import cluster_task, on_cluster
from moovier_tasks import DEFAULTS, failing_fast, result_of, results_of

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

    Runs when a person, another DAG or a script triggers it. Writes each user's best movies to
    `MOOVIER_LISTS`, the same as `/predict` returns at that time, with the feedback since the
    training: `<model>-v<version>/part-*.parquet` with the columns `user_id`, `rank`, `movie_id`,
    `score` and `model_version`.

    `prepare` resolves the version, `plan_shards` numbers the shards, each mapped task `write`
    writes one shard's file to a staging folder, and `publish` publishes all files at once, with
    `_manifest.json` and, last, `_SUCCESS`, and emits the asset `moovier_lists`. Readers see the
    complete set or none. Each task can be run again at any time.

    With `MOOVIER_ENGINE=spark`, `write_on_cluster` takes the place of `plan_shards` and `write`: a
    Spark job whose tasks write one shard each.
    """,
)
def moovier_batch() -> None:
    """Define the tasks of a batch run."""

    @task(
        doc_md="Resolves the model's version; returns what the shards share.",
        multiple_outputs=False,
        inlets=[CHAMPION],
    )
    def prepare() -> dict[str, Any]:
        from moovier.jobs import batch

        context = get_current_context()
        with failing_fast():
            return batch.prepare(dict(context["params"]))

    # A task of its own, since a mapped task cannot say that `prepare` has no result.
    @task(doc_md="Returns the numbers of the shards.")
    def plan_shards(plan: dict[str, Any]) -> list[int]:
        return list(range(result_of("prepare", plan, "shards")["shards"]))

    @task(map_index_template="shard {{ shard }}", doc_md="Writes the lists of one shard's users.")
    def write(plan: dict[str, Any], shard: int) -> dict[str, Any]:
        from moovier.jobs import batch

        with failing_fast():
            return batch.write(result_of("prepare", plan), shard)

    @task(
        outlets=[LISTS],
        doc_md="Checks that every part is complete and publishes them; returns the manifest.",
    )
    def publish(
        plan: dict[str, Any], parts: list[dict[str, Any]] | None, *, outlet_events: Any = None
    ) -> dict[str, Any]:
        from moovier.jobs import batch

        plan = result_of("prepare", plan, "shards")
        with failing_fast():
            if on_cluster():
                manifest = batch.finish_on_cluster(plan)
            else:
                manifest = batch.finish(plan, results_of("write", parts, plan["shards"]))
        outlet_events[LISTS].extra = {
            key: value for key, value in manifest.items() if not isinstance(value, list | dict)
        }
        return manifest

    plan = prepare()
    if on_cluster():
        written = cluster_task(
            "write_on_cluster",
            "lists",
            after="prepare",
            doc_md="Writes the lists of all users on the Spark cluster, one task per shard.",
        )
        plan >> written >> publish(plan, None)
        return
    publish(plan, write.partial(plan=plan).expand(shard=plan_shards(plan)))


moovier_batch()
