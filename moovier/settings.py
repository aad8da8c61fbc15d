"""Every setting, once.

Environment variables with the prefix ``MOOVIER_``; ``TMDB_API_KEY`` and ``MLFLOW_TRACKING_URI``
keep the names people already know. Nothing is read at import: call :func:`load_settings` at a
door (command, DAG task, service) and pass the result on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import (
    AliasChoices,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from moovier.errors import SettingsError

PREFIX = "MOOVIER_"
Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseSettings):
    """The settings, frozen; each field's text is its documentation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True, env_ignore_empty=True
    )

    # Places
    project: Path = Field(
        Path(), description="The checkout: where `.dvc`, `data/` and `dags/` lie."
    )
    home: Path = Field(
        Path(".moovier"),
        description="Folder for everything that Moovier writes: databases, models, logs, caches.",
    )

    # Data
    data: str = Field(
        "auto",
        description="`ml-latest-small`, `sample`, a directory in MovieLens layout, or `auto`: the "
        "real set where it can be had, else the synthetic sample.",
    )
    dvc_remote: str | None = Field(
        None, description="URL or folder of the DVC remote; unset: the repository's default one."
    )
    grouplens_url: str = Field(
        "https://files.grouplens.org/datasets/movielens",
        description="Where MovieLens zips are downloaded when the DVC remote lacks them.",
    )
    download_timeout_s: PositiveFloat = Field(
        30.0, description="Seconds without a byte after which a download is given up."
    )
    bad_rows_share: Share = Field(
        0.0,
        description="Share of bad rows (0 to 1) that may be set aside instead of stopping the run.",
    )

    # MLflow and Optuna
    mlflow_port: Port = Field(5000, description="Port of MLflow in `moovier up`.")
    mlflow_tracking_uri: str = Field(
        default_factory=lambda fields: f"http://127.0.0.1:{fields['mlflow_port']}",
        validation_alias=AliasChoices("mlflow_tracking_uri", "MLFLOW_TRACKING_URI"),
        description="Address of the MLflow server (variable `MLFLOW_TRACKING_URI`); unset: this "
        "machine, at `mlflow_port`.",
    )
    registered_model: str = Field("moovier", description="Name of the registered model in MLflow.")
    experiment: str = Field("moovier", description="MLflow experiment that holds the runs.")
    optuna_storage: str | None = Field(
        None,
        description="Optuna storage URL (Postgres in production, and where tuning workers run on "
        "several machines); unset: a journal file in `home`.",
    )

    # Retraining
    trials: PositiveInt = Field(20, description="Optuna trials per family in a retraining.")
    first_run_trials: PositiveInt = Field(
        2, description="Optuna trials per family while there is no champion yet: a quick start."
    )
    tuning_workers: PositiveInt = Field(2, description="Processes that share one Optuna study.")
    train_threads: PositiveInt | None = Field(
        None,
        description="Threads that one training may use; unset: one per core, in `moovier up` "
        "shared out among the tasks that run at a time.",
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of splits and trainings.")

    # Serving
    host: str = Field("127.0.0.1", description="Address that the service listens on.")
    port: Port = Field(8000, description="Port of the HTTP API.")
    airflow_port: Port = Field(8080, description="Port of Airflow in `moovier up`.")
    registry_poll_s: PositiveFloat = Field(
        5.0, description="Seconds between two looks at the registry for a new champion."
    )
    mlflow_public_url: str | None = Field(
        None,
        description="Where a browser reaches MLflow, for links; unset: `MLFLOW_TRACKING_URI`.",
    )
    airflow_public_url: str | None = Field(
        None,
        description="Where a browser reaches Airflow, for links; unset: this machine, at "
        "`airflow_port`.",
    )
    trainer_url: str | None = Field(
        None,
        description="Address of a fine-tuning service that runs elsewhere; unset: the service "
        "starts one beside itself.",
    )
    loaded_models: PositiveInt = Field(
        4, description="Models that the service keeps in memory beside the champion."
    )

    lists: str | None = Field(
        None,
        description="Where `moovier batch` and `moovier_batch` write the lists of all users: a "
        "folder, or a URL such as `s3://bucket/lists` (keys and address by AWS's own variables); "
        "unset: `lists` in `home`.",
    )
    access_log: bool = Field(
        False, description="Whether the service logs every request; failed ones it logs anyway."
    )
    require_keys: bool | None = Field(
        None,
        description="Whether writing and fine-tuning need a key (`moovier keys make`); unset: "
        "unless service and client are both on this machine.",
    )
    rate_per_s: PositiveFloat | None = Field(
        None,
        description="Requests a second of one client, more are answered 429; unset: 50 for clients "
        "from elsewhere, no limit for this machine's.",
    )

    # TMDB
    tmdb_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("tmdb_api_key", "TMDB_API_KEY"),
        description="TMDB v3 key or v4 bearer token (variable `TMDB_API_KEY`); unset: details come "
        "from the catalogue.",
    )
    tmdb_url: str = Field("https://api.themoviedb.org/3", description="Address of the TMDB API.")
    tmdb_timeout_s: PositiveFloat = Field(
        2.0, description="Seconds that one answer may spend waiting for TMDB, all tries included."
    )
    tmdb_cache_h: PositiveFloat = Field(24.0, description="Hours that TMDB details stay cached.")

    # Feedback
    database_url: SecretStr | None = Field(
        None,
        description="Database of feedback and keys, as an SQLAlchemy URL (Postgres in production); "
        "unset: SQLite in `home`.",
    )
    recorded_lists_per_s: NonNegativeFloat = Field(
        50.0,
        description="Lists a second that each worker of the service records at most, for feedback "
        "to be joined to what was shown; 0: none.",
    )
    keep_lists_days: PositiveFloat = Field(90.0, description="Days that recorded lists are kept.")

    # Monitoring
    monitor_significance: Annotated[float, Field(gt=0, le=1)] = Field(
        0.01, description="Chance (0 to 1) that one look at data that did not drift is an alarm."
    )
    monitor_ratings: PositiveFloat = Field(
        0.25, description="Stars that new ratings must have moved by for an alarm."
    )
    monitor_users: PositiveFloat = Field(
        0.5,
        description="Share of their agreement with earlier ratings that new ones must have lost "
        "for an alarm.",
    )
    monitor_movies: PositiveFloat = Field(
        0.2,
        description="How far (0 to 1) new ratings must have gone to movies of another popularity, "
        "to unrated movies or (twice that) to a single one for an alarm.",
    )
    monitor_genres: PositiveFloat = Field(
        0.25, description="How far (0 to 1) the genres of new ratings must have moved for an alarm."
    )
    monitor_quality: PositiveFloat = Field(
        0.1,
        description="By how much the share of liked movies must be smaller among the rated "
        "recommendations than among other ratings for an alarm.",
    )
    monitor_age_days: PositiveFloat = Field(
        14.0, description="Days without a retraining, though the data changed, for an alarm."
    )
    service_url: str | None = Field(
        None,
        description="Address of the service whose answers monitoring counts, such as "
        "`http://127.0.0.1:8000`; unset: left out.",
    )

    @property
    def database(self) -> str:
        """URL of the database of feedback and keys; it may hold a password."""
        if self.database_url is None:
            return f"sqlite:///{self.path('moovier.db')}"
        return self.database_url.get_secret_value()

    @property
    def threads(self) -> int:
        """Threads of one training where nothing else runs."""
        return self.train_threads or os.cpu_count() or 1

    @property
    def dvc_remote_address(self) -> str | None:
        """``dvc_remote`` as it reads from any folder: a URL, or an absolute path."""
        if self.dvc_remote is None or "://" in self.dvc_remote:
            return self.dvc_remote
        return str(Path(self.dvc_remote).expanduser().absolute())

    def path(self, *parts: str) -> Path:
        """``home`` joined with ``parts``, absolute; nothing is created."""
        return self.home.absolute().joinpath(*parts)


def load_settings(**overrides: object) -> Settings:
    """Read the environment; ``overrides`` (field names) win over it.

    Raises:
        SettingsError: a value is out of range, or a ``MOOVIER_`` variable names no setting.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(
            f"unknown setting {', '.join(unknown)}; the settings are listed in docs/settings.md"
        )
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        reasons = "; ".join(
            f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}"
            for e in error.errors()
            if e["type"] != "default_factory_not_called"  # follows from another one listed here
        )
        raise SettingsError(reasons) from error
