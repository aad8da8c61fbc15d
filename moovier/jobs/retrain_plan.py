"""A retraining's configuration, its plan, and the layout of its folder.

::

    <home>/retrain/<key>/
        prepared/
            plan.json           written last by `prepare`: if it exists, the folder is complete
            data/               snapshot of the ratings and the catalogue (moovier.jobs.dataset)
            popularity.npz      the popularity baseline's result on the hold-out
            popularity.json     the same result for the report
            recent_baselines.json  results of what is popular now, for the report
            covered.npy         of large data: movies that item-item weights cover
        statistics/             of large data: sums that trainings share, for this machine
        studies/                Optuna's journals, unless the settings name another storage
        candidates/<id>/        one trained candidate, complete or missing
        decision.json           the gate's decision
        done.json               written last by `promote`, which then deletes the large files

Each machine that works on a retraining has such a folder. `moovier.jobs.artifact_exchange` copies
files between machines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from moovier.errors import BadRequest
from moovier.jobs.config import parse_config
from moovier.jobs.run_key import run_key
from moovier.jobs.stage_results import parse_result, with_keys
from moovier.models.bundle import DataFacts
from moovier.models.families import FAMILIES, FOR_LARGE_CATALOGUES, ON_CLUSTER, RETIRED
from moovier.models.popular import NAME as POPULAR
from moovier.settings import EmbeddingSize, Seed, Settings, Trials, Workers
from moovier.training import budget, protocols
from moovier.training.budget import Size

#: Version of the hold-out protocols (docs/metrics.md). Increase the number when the split changes.
PROTOCOLS = "visitor-next-visit-1"
#: Fewest trials per tuning worker: starting a worker takes as long as a quick trial.
LEAST_TRIALS_PER_WORKER = 2
#: Names in a retraining's folder: output of `prepare`, the gate's decision, the final result.
PREPARED, DECISION, DONE = "prepared", "decision.json", "done.json"
#: Folder of sums that trainings share, which each machine computes for itself.
STATISTICS = "statistics"


class RetrainConfig(BaseModel):
    """Options of a retraining; None means the setting of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str | None = Field(None, description="Data set, as in the setting `data`.")
    trials: Trials | None = Field(
        None,
        description="Optuna trials per family; None: `trials`, or `first_run_trials` while there "
        "is no champion.",
    )
    families: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Families to tune and train; None: the setting `families`, by default those "
        "that suit the data.",
    )
    embedding_sizes: tuple[EmbeddingSize, ...] = Field(
        (50, 25, 10),
        max_length=20,
        description="Sizes of the `emb` models with default hyper-parameters.",
    )
    seed: Seed | None = None
    workers: Workers | None = Field(
        None,
        description="Tuning workers per family; None: `tuning_workers`, fewer for a few trials.",
    )
    force: bool = Field(
        False, description="Train even if the champion was trained on the same data."
    )
    reason: str | None = Field(
        None,
        max_length=4000,
        description="Why the retraining was started; a tag of the MLflow run.",
    )
    approval: bool | None = Field(
        None,
        description="Whether a person must approve a promotion in Airflow; None: "
        "`promotion_approval`. Only Airflow reads it.",
    )

    @classmethod
    def of(cls, config: RetrainConfig | Mapping[str, Any]) -> RetrainConfig:
        """Return ``config`` as a validated configuration.

        Raises:
            BadRequest: a field is unknown or out of range.
        """
        return parse_config(cls, config, "retraining")

    def trained_families(self, by_default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the families to train: these, else ``by_default``, else the current ones.

        Those are neither retired nor for large catalogues only.

        Raises:
            BadRequest: a family is unknown, or is the popularity baseline.
        """
        trainable = tuple(name for name in FAMILIES if name != POPULAR)
        chosen = self.families or by_default
        unknown = [name for name in chosen if name not in trainable]
        if unknown:
            raise BadRequest(
                f"unknown family {', '.join(unknown)}; choose from {', '.join(trainable)} "
                "(popularity is always compared with)"
            )
        others = RETIRED | FOR_LARGE_CATALOGUES
        current = tuple(name for name in trainable if name not in others)
        return tuple(dict.fromkeys(chosen or current))


class Recipe(BaseModel):
    """A family with hyper-parameters: how to train one candidate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="Unique in its retraining, such as `emb-25` or `ease-tuned`.")
    kind: Literal["default", "tuned", "champion"]
    family: str
    params: dict[str, Any]


class TuningTask(BaseModel):
    """One tuning worker of one family's study, numbered from 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    worker: NonNegativeInt


class RetrainPlan(BaseModel):
    """What the stages of one retraining share.

    Airflow passes it between tasks, so it is small.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    folder: Path = Field(exclude=True, description="The retraining's folder on this machine.")
    run_id: str = Field(description="Id of the parent run in MLflow.")
    data: DataFacts
    hold_out: str = Field(
        description="Data hash and protocol; only results on one hold-out are comparable."
    )
    champion: Recipe | None = Field(
        description="The champion's recipe, if the champion has no result on this hold-out."
    )
    trials: PositiveInt
    families: tuple[str, ...]
    embedding_sizes: tuple[PositiveInt, ...]
    seed: NonNegativeInt
    work: tuple[TuningTask, ...]
    budgets: dict[str, PositiveInt] = Field({}, description="Trials by family, unless `trials`.")
    covered: PositiveInt | None = Field(
        None, description="Most movies of item-item weights; None: no sums are shared."
    )
    grids: dict[str, dict[str, tuple[Any, ...]]] = Field(
        {}, description="By family, values to which the search of a parameter is limited."
    )
    notes: tuple[str, ...] = Field((), description="What was left out or thinned, and why.")

    @classmethod
    def of(
        cls,
        config: RetrainConfig,
        settings: Settings,
        *,
        folder: Path,
        run_id: str,
        data: DataFacts,
        first: bool,
        recipe: Recipe | None,
        frequent: int | None = None,
    ) -> RetrainPlan:
        """Return the plan of a configuration; the settings fill in what it leaves out.

        ``first``: whether no champion exists yet. ``recipe``: see ``champion``. ``frequent``: see
        :class:`Size`.
        """
        trials = config.trials or (settings.first_run_trials if first else settings.trials)
        families = config.trained_families(settings.families)
        left_out = [] if data.stars else list(filter(_predicts_stars, families))
        notes = [f"left out {', '.join(left_out)}: {data.name} has no stars"] if left_out else []
        found = budget.plan(
            [name for name in families if name not in left_out],
            Size(data.ratings, data.users, data.movies, frequent),
            trials=trials,
            embedding_sizes=config.embedding_sizes,
            memory=settings.train_memory_gb,
            fixed_trials=config.trials is not None,
            may_add=() if config.families or settings.families else _for_large(settings),
        )
        if not found.families:
            raise BadRequest("no family can be trained: " + "; ".join([*notes, *found.notes]))

        trained = budget.longest_first(found.families)

        def workers(family: str) -> int:
            most = found.trials[family] // LEAST_TRIALS_PER_WORKER
            return config.workers or min(settings.tuning_workers, max(most, 1))

        return cls(
            key=folder.name,
            folder=folder,
            run_id=run_id,
            data=data,
            hold_out=hold_out(data),
            champion=recipe,
            trials=trials,
            families=trained,
            embedding_sizes=found.embedding_sizes,
            seed=settings.seed if config.seed is None else config.seed,
            work=tuple(
                TuningTask(family=family, worker=worker)
                for family in trained
                for worker in range(workers(family))
            ),
            budgets=dict(found.trials),
            covered=found.covered,
            grids=_tuples(found.grids),
            notes=(*notes, *found.notes),
        )

    @classmethod
    def from_json(cls, plan: Mapping[str, Any], settings: Settings) -> RetrainPlan:
        """Return the plan that :meth:`to_json` wrote, possibly on another machine.

        Raises:
            StaleResult: another version of Moovier wrote it in another form.
        """
        plan = with_keys(plan, ("key",), "prepare")
        return parse_result(cls, {**plan, "folder": folder_of(settings, plan["key"])}, "prepare")

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values, without paths of this machine."""
        return self.model_dump(mode="json")

    def trials_of(self, family: str) -> int:
        """Return the number of trials of a family."""
        return self.budgets.get(family, self.trials)

    @property
    def covered_file(self) -> Path:
        """File of the movies that item-item weights cover, of large data."""
        return self.folder / PREPARED / "covered.npy"

    @property
    def statistics_folder(self) -> Path:
        """Folder of the sums that the trainings of large data share on this machine."""
        return self.folder / STATISTICS

    @property
    def data_folder(self) -> Path:
        """Folder of the data snapshot."""
        return data_folder(self.folder)

    @property
    def popularity_file(self) -> Path:
        """File of the popularity baseline's result on the hold-out."""
        return self.folder / PREPARED / "popularity.npz"

    @property
    def popularity_report_file(self) -> Path:
        """File of the popularity baseline's result for the report."""
        return self.folder / PREPARED / "popularity.json"

    @property
    def studies_folder(self) -> Path:
        """Folder of Optuna's journals."""
        return self.folder / "studies"

    @property
    def candidates_folder(self) -> Path:
        """Folder with one folder per trained candidate."""
        return self.folder / "candidates"


def _tuples(grids: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, dict[str, Any]]:
    return {
        family: {name: tuple(values) for name, values in grid.items()}
        for family, grid in grids.items()
    }


def _for_large(settings: Settings) -> list[str]:
    """Return the families that a large catalogue gets, with or without a cluster."""
    suitable = FOR_LARGE_CATALOGUES - (ON_CLUSTER if settings.engine == "local" else set())
    return [name for name in FAMILIES if name in suitable]


def _predicts_stars(family: str) -> bool:
    return FAMILIES[family].objective == "rating"


def hold_out(data: DataFacts) -> str:
    """Return the hold-out's identity: data hash and version of the protocols.

    A version that was evaluated under older protocols has another identity, so its recipe is
    trained again for a comparison.
    """
    sampled = "-sampled" if data.ratings > protocols.LARGE else ""
    return f"{data.hash}/{PROTOCOLS}{sampled}"


def folder_of(settings: Settings, key: str) -> Path:
    """Return the folder of the retraining ``key`` on this machine."""
    return settings.path("retrain", key)


def plan_file(folder: Path) -> Path:
    """Return the file of the plan in a retraining's folder."""
    return folder / PREPARED / "plan.json"


def data_folder(folder: Path) -> Path:
    """Return the folder of the data snapshot in a retraining's folder."""
    return folder / PREPARED / "data"


def key_of(
    settings: Settings,
    config: RetrainConfig,
    data_hash: str,
    key: str | None,
    *,
    is_taken: Callable[[str], bool] | None = None,
) -> str:
    """Return ``key`` as a folder name of its own, or a generated key if it is None.

    The generated key depends on the configuration and the data, so the same call continues an
    unfinished retraining; a number is appended that starts a new one after the last was finished.
    ``is_taken``: returns whether a generated key cannot be continued on this machine, for reasons
    that this machine's folders do not show.
    """
    if key:
        return run_key(key)
    options = config.model_dump(mode="json", exclude={"reason", "approval"})
    content = orjson.dumps([data_hash, options], option=orjson.OPT_SORT_KEYS)
    stem = hashlib.sha256(content).hexdigest()[:12]
    number = 1
    while (folder_of(settings, f"{stem}-{number}") / DONE).exists() or (
        is_taken is not None and is_taken(f"{stem}-{number}")
    ):
        number += 1
    return f"{stem}-{number}"
