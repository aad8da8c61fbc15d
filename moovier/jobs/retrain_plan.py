"""What a retraining is: its configuration, its plan, and the folder that holds its parts.

<home>/retrain/<key>/
    prepared/
        plan.json           written last by `prepare`: with it, what it made is there
        data/               index, all ratings and the catalogue, as a popularity bundle
        popularity.npz      popularity's result on the hold-out
        popularity.json     the same as the page shows it
    studies/                Optuna's journals, unless the settings name another storage
    candidates/<id>/        one trained candidate, whole or not there
    decision.json           what the gate said
    done.json               written last by `promote`; the big parts are gone then

Each machine that works on a retraining has such a folder. How they get what others made:
`moovier.jobs.artifact_exchange`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from moovier.errors import BadRequest
from moovier.models.bundle import DataFacts
from moovier.models.families import FAMILIES, RETIRED
from moovier.models.popular import NAME as POPULAR
from moovier.settings import Settings

#: The protocols of a hold-out (docs/metrics.md). Another number says that their cuts changed.
PROTOCOLS = "visitor-next-visit-1"
#: Trials that are worth a tuning worker: starting one takes as long as a quick trial.
LEAST_TRIALS_PER_WORKER = 2
#: In a retraining's folder: what `prepare` made, what the gate said, that it is finished.
PREPARED, DECISION, DONE = "prepared", "decision.json", "done.json"


class RetrainConfig(BaseModel):
    """What a person may ask of a retraining; None means the setting of that name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str | None = Field(None, description="Data set, as in the setting `data`.")
    trials: PositiveInt | None = Field(
        None,
        description="Optuna trials per family; None: `trials`, or `first_run_trials` while there "
        "is no champion.",
    )
    families: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Families to tune and train; None: all that learn.",
    )
    embedding_sizes: tuple[PositiveInt, ...] = Field(
        (50, 25, 10), description="Sizes of the `emb` models with default hyper-parameters."
    )
    seed: NonNegativeInt | None = None
    workers: PositiveInt | None = Field(
        None,
        description="Tuning workers per family; None: `tuning_workers`, fewer for a few trials.",
    )
    force: bool = Field(False, description="Train also when the champion knows these data.")
    reason: str | None = Field(
        None, max_length=4000, description="Why it was asked for; kept on the run."
    )

    @classmethod
    def of(cls, config: RetrainConfig | Mapping[str, Any]) -> RetrainConfig:
        """
        Raises:
            BadRequest: a field is unknown or out of range.
        """
        if isinstance(config, RetrainConfig):
            return config
        try:
            return cls.model_validate(dict(config))
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()
            )
            raise BadRequest(f"the retraining's configuration: {reasons}") from error

    def learning(self) -> tuple[str, ...]:
        """The families asked for, each once; all that learn where none is named.

        Raises:
            BadRequest: a family is unknown, or learns nothing.
        """
        there = tuple(name for name in FAMILIES if name != POPULAR)
        unknown = [name for name in self.families or () if name not in there]
        if unknown:
            raise BadRequest(
                f"unknown family {', '.join(unknown)}; there are {', '.join(there)} (popularity "
                "is always compared with)"
            )
        current = tuple(name for name in there if name not in RETIRED)
        return tuple(dict.fromkeys(self.families or current))


class Recipe(BaseModel):
    """How to train one candidate."""

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


class Plan(BaseModel):
    """All that the stages of one retraining share. Small: it travels between Airflow's tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    folder: Path = Field(exclude=True, description="Where its parts lie on this machine.")
    run_id: str = Field(description="MLflow's parent run.")
    data: DataFacts
    hold_out: str = Field(description="Data hash and protocol: results on it can be compared.")
    champion: Recipe | None = Field(
        description="The champion's recipe, where the champion has no result on this hold-out."
    )
    trials: PositiveInt
    families: tuple[str, ...]
    embedding_sizes: tuple[PositiveInt, ...]
    seed: NonNegativeInt
    work: tuple[TuningTask, ...]

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
    ) -> Plan:
        """What ``config`` asks for, the settings where it says nothing.

        ``first``: there is no champion yet. ``recipe``: the champion's, see ``champion``.
        """
        families = config.learning()
        trials = config.trials or (settings.first_run_trials if first else settings.trials)
        worth_starting = max(trials // LEAST_TRIALS_PER_WORKER, 1)
        workers = config.workers or min(settings.tuning_workers, worth_starting)
        return cls(
            key=folder.name,
            folder=folder,
            run_id=run_id,
            data=data,
            hold_out=hold_out(data),
            champion=recipe,
            trials=trials,
            families=families,
            embedding_sizes=config.embedding_sizes,
            seed=settings.seed if config.seed is None else config.seed,
            work=tuple(
                TuningTask(family=family, worker=worker)
                for family in families
                for worker in range(workers)
            ),
        )

    @classmethod
    def from_json(cls, plan: Mapping[str, Any], settings: Settings) -> Plan:
        """A plan that another stage, maybe on another machine, handed on."""
        return cls.model_validate({**plan, "folder": folder_of(settings, plan["key"])})

    def to_json(self) -> dict[str, Any]:
        """What :meth:`from_json` takes: JSON, without a path of this machine."""
        return self.model_dump(mode="json")

    @property
    def data_folder(self) -> Path:
        return data_folder(self.folder)

    @property
    def popularity_file(self) -> Path:
        return self.folder / PREPARED / "popularity.npz"

    @property
    def popularity_figures_file(self) -> Path:
        return self.folder / PREPARED / "popularity.json"

    @property
    def studies_folder(self) -> Path:
        return self.folder / "studies"

    @property
    def candidates_folder(self) -> Path:
        return self.folder / "candidates"

    @property
    def decision_file(self) -> Path:
        return self.folder / DECISION


def hold_out(data: DataFacts) -> str:
    """Return the hold-out's identity: the data, and the protocols that decide on them.

    Results of versions that were evaluated under other protocols have another identity, so their
    recipe is trained again for a comparison.
    """
    return f"{data.hash}/{PROTOCOLS}"


def folder_of(settings: Settings, key: str) -> Path:
    """Where the parts of the retraining ``key`` lie on this machine."""
    return settings.path("retrain", key)


def plan_file(folder: Path) -> Path:
    """Where a retraining's folder keeps its plan."""
    return folder / PREPARED / "plan.json"


def data_folder(folder: Path) -> Path:
    """Where a retraining's folder keeps the ratings."""
    return folder / PREPARED / "data"


def key_of(
    settings: Settings,
    config: RetrainConfig,
    data_hash: str,
    key: str | None,
    *,
    taken: Callable[[str], bool] | None = None,
) -> str:
    """``key`` made fit for a folder's name, or else a key of its own making.

    Without a key, the same configuration on the same data goes on with the retraining that was
    not finished, and starts a new one when the last was. ``taken`` says of a key whether nothing
    can go on under it here, for reasons that only others know.
    """
    if key:
        return re.sub(r"[^A-Za-z0-9_-]+", "-", key).strip("-")[:100] or "retraining"
    asked = config.model_dump(mode="json", exclude={"reason"})
    said = orjson.dumps([data_hash, asked], option=orjson.OPT_SORT_KEYS)
    stem = hashlib.sha256(said).hexdigest()[:12]
    number = 1
    while (folder_of(settings, f"{stem}-{number}") / DONE).exists() or (
        taken is not None and taken(f"{stem}-{number}")
    ):
        number += 1
    return f"{stem}-{number}"


def read_json(file: Path) -> Any:
    """What :func:`write_json` wrote; None where there is no such file."""
    try:
        return orjson.loads(file.read_bytes())
    except FileNotFoundError:
        return None


def write_json(file: Path, value: Any) -> None:
    """Write a JSON file that is whole or not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    temporary.replace(file)
