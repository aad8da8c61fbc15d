"""All settings of Moovier.

Settings are environment variables with the prefix ``MOOVIER_``. ``TMDB_API_KEY`` and
``MLFLOW_TRACKING_URI`` keep their established names. Importing the module reads nothing. Each entry
point (command, DAG task, service) calls :func:`load_settings` and passes the result on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from moovier.errors import SettingsError
from moovier.event_weights import DEFAULT_WEIGHTS, valid_event_weights
from moovier.project_files import default_project
from moovier.urls import database_url, server_url, spark_url, study_storage

PREFIX = "MOOVIER_"
Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(ge=0, le=1)]
#: NumPy, Keras and Optuna take seeds of 32 bits.
MAX_SEED = 2**32 - 1
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
#: Bounds of one retraining; the trigger form has the same ones.
MAX_TRIALS, MAX_WORKERS, MAX_EMBEDDING_SIZE = 10_000, 64, 1024
Trials = Annotated[int, Field(ge=1, le=MAX_TRIALS)]
Workers = Annotated[int, Field(ge=1, le=MAX_WORKERS)]
EmbeddingSize = Annotated[int, Field(ge=1, le=MAX_EMBEDDING_SIZE)]
#: Longer times overflow the clocks of sockets and dates.
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Hours = Annotated[float, Field(gt=0, le=87_600)]
Days = Annotated[float, Field(gt=0, le=36_500)]
Rate = Annotated[float, Field(gt=0, le=1e9)]
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ServerUrl = Annotated[str, AfterValidator(server_url)]


def _names(value: object) -> object:
    """Return the names of a comma-separated text; anything else is left to pydantic."""
    if not isinstance(value, str):
        return value
    return tuple(name for part in value.split(",") if (name := part.strip()))


#: In a variable, names separated by commas; NoDecode: not JSON.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]


def _secret_database_url(secret: SecretStr) -> SecretStr:
    return SecretStr(database_url(secret.get_secret_value()))


class Settings(BaseSettings):
    """The settings, frozen; the description of each field is its documentation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True, env_ignore_empty=True
    )

    # Folders
    home: Path = Field(
        Path(".moovier"),
        description="Folder for all files that Moovier writes: databases, models, logs, caches.",
    )
    project: Path = Field(
        default_factory=lambda fields: default_project(fields["home"]),
        description="Folder of the checkout, with `.dvc`, `data/` and `dags/`. Unset: the current "
        "folder; without a checkout, `project` in the folder `MOOVIER_HOME`, which the commands "
        "of an installed wheel fill.",
    )

    # Data
    data: str = Field(
        "auto",
        description="`ml-latest-small`, `sample`, a folder in MovieLens layout, or `auto`: "
        "`ml-latest-small` if it can be downloaded, else the synthetic sample, unless `dvc_remote` "
        "is set or real ratings were used before.",
    )
    dvc_remote: str | None = Field(
        None,
        description="URL or folder of the DVC remote; unset: the checkout's default remote, or its "
        "only one.",
    )
    grouplens_url: ServerUrl = Field(
        "https://files.grouplens.org/datasets/movielens",
        description="Address of the MovieLens zip files, for data that the DVC remote lacks.",
    )
    download_timeout_s: Seconds = Field(
        30.0, description="Seconds without a received byte after which a download fails."
    )
    bad_rows_share: Share = Field(
        0.0,
        description="Share of bad rows (0 to 1) that may be skipped instead of stopping the run.",
    )

    # MLflow and Optuna
    mlflow_port: Port = Field(5000, description="Port of MLflow in `moovier up`.")
    mlflow_tracking_uri: ServerUrl = Field(
        default_factory=lambda fields: f"http://127.0.0.1:{fields['mlflow_port']}",
        validation_alias=AliasChoices("mlflow_tracking_uri", "MLFLOW_TRACKING_URI"),
        description="Address of the MLflow server (variable `MLFLOW_TRACKING_URI`); unset: this "
        "machine, port `mlflow_port`.",
    )
    registered_model: str = Field("moovier", description="Name of the registered model in MLflow.")
    experiment: str = Field("moovier", description="MLflow experiment that holds the runs.")
    optuna_storage: Annotated[str, AfterValidator(study_storage)] | None = Field(
        None,
        description="Optuna storage URL (Postgres in production, and for tuning workers on several "
        "machines), or a journal file; unset: a journal file in `home`.",
    )

    # Retraining
    trials: Trials = Field(20, description="Optuna trials per family in a retraining.")
    first_run_trials: Trials = Field(
        2, description="Optuna trials per family while there is no champion, for a quick start."
    )
    families: Names = Field(
        (),
        description="Model families that a retraining trains, separated by commas, such as "
        "`dae,ease`; empty: those that suit the data.",
    )
    tuning_workers: Workers = Field(2, description="Processes that share one Optuna study.")
    train_threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None,
        description="Threads of one training; unset: one per core, which `moovier up` divides "
        "among parallel tasks.",
    )
    train_memory_gb: Annotated[float, Field(gt=0, le=1e6)] = Field(
        8.0,
        description="Memory that the tasks of a retraining may use together, in GB; with large "
        "data a retraining thins or leaves out models to stay within it, and reports so.",
    )
    engine: Literal["local", "spark"] = Field(
        "local",
        description="What computes on large data: `local`, or `spark`, an Apache Spark cluster "
        "(extra `spark`, see docs/spark.md).",
    )
    spark_master: Annotated[str, AfterValidator(spark_url)] | None = Field(
        None,
        description="Master of the cluster: `spark://host:7077`, `k8s://https://host:443`, or "
        "`sc://host:15002` (Spark Connect).",
    )
    spark_folder: str | None = Field(
        None,
        description="Folder or URL such as `s3://bucket/spark` that this machine and the cluster's "
        "workers share, for sorted histories; unset: `spark` in `home`.",
    )
    promotion_approval: bool = Field(
        False,
        description="Whether a person must approve each promotion in Airflow, under Required "
        "Actions.",
    )
    notify_connection: str | None = Field(
        None,
        description="Id of an Airflow connection, type `smtp` or `http` (a webhook), that sends "
        "notifications of failed retrainings, alarms and promotions; unset: none are sent.",
    )
    seed: Seed = Field(0, description="Seed of splits and trainings, 0 to 4294967295.")

    # Serving
    host: str = Field("127.0.0.1", description="Address that the service listens on.")
    port: Port = Field(8000, description="Port of the HTTP API.")
    workers: Workers = Field(
        default_factory=lambda: min(max((os.cpu_count() or 1) // 2, 1), 4),
        description="Processes of the service that answer requests and share one port; unset: one "
        "for each two cores, 1 to 4.",
    )
    preload_trainer: bool = Field(
        True,
        description="Whether the service imports Keras and MLflow at its start, so that the first "
        "fine-tuning is quick; `false` saves some 300 MB until then.",
    )
    keep_alive_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        75,
        description="Seconds for which the service keeps an idle connection open; more than the "
        "proxy in front of it does, or the proxy sends requests on closed connections.",
    )
    airflow_port: Port = Field(8080, description="Port of Airflow in `moovier up`.")
    registry_poll_s: Seconds = Field(
        5.0, description="Seconds between two polls of the registry for a new champion."
    )
    mlflow_public_url: ServerUrl | None = Field(
        None,
        description="Address of MLflow for links in the browser; unset: `MLFLOW_TRACKING_URI`.",
    )
    airflow_public_url: ServerUrl | None = Field(
        None,
        description="Address of Airflow for links in the browser; unset: this machine, port "
        "`airflow_port`.",
    )
    trainer_url: ServerUrl | None = Field(
        None,
        description="Address of a separate fine-tuning service; unset: the service starts its own "
        "trainer.",
    )
    loaded_models: PositiveInt = Field(
        4, description="Models that the service keeps in memory in addition to the champion."
    )

    new_movies_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05,
        description="Share of the places of a personal list for movies that were added and that "
        "nobody has rated (docs/decisions/new-movies.md); 0: they have no places of their own.",
    )
    lists: str | None = Field(
        None,
        description="Folder or URL for the lists of all users from `moovier batch` and "
        "`moovier_batch`, such as `s3://bucket/lists` (keys and address from AWS's variables); "
        "unset: `lists` in `home`.",
    )
    access_log: bool = Field(
        False, description="Whether the service logs every request; it always logs failed requests."
    )
    require_keys: bool | None = Field(
        None,
        description="Whether writing and fine-tuning need an API key (`moovier keys make`); unset: "
        "yes, unless service and client are both on this machine.",
    )
    rate_per_s: Rate | None = Field(
        None,
        description="Requests per second and client that a process of the service answers; it "
        "answers more with 429. Unset: 50 for clients on other machines, no limit for clients on "
        "this machine.",
    )

    # TMDB
    tmdb_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("tmdb_api_key", "TMDB_API_KEY"),
        description="TMDB v3 key or v4 bearer token (variable `TMDB_API_KEY`); unset: details come "
        "from the catalogue.",
    )
    tmdb_url: ServerUrl = Field(
        "https://api.themoviedb.org/3", description="Address of the TMDB API."
    )
    tmdb_timeout_s: Seconds = Field(
        2.0, description="Seconds that one request may wait for TMDB, including retries."
    )
    tmdb_cache_h: Hours = Field(24.0, description="Hours that TMDB details stay cached.")

    # Feedback
    database_url: Annotated[SecretStr, AfterValidator(_secret_database_url)] | None = Field(
        None,
        description="SQLAlchemy URL of the database of feedback and API keys (Postgres in "
        "production); unset: SQLite in `home`.",
    )
    event_weights: Annotated[str, AfterValidator(valid_event_weights)] = Field(
        DEFAULT_WEIGHTS,
        description="What each kind of event says about a movie, from -1 (disliked) to 1 (liked), "
        "as `kind=weight` pairs; kinds that are not named count as 0.",
    )
    recorded_lists_per_s: Annotated[float, Field(ge=0, le=1e9)] = Field(
        50.0,
        description="Most served lists per second that each worker of the service records, to "
        "join them with feedback; 0: none.",
    )
    keep_lists_days: Days = Field(90.0, description="Days that recorded lists are kept.")

    # Monitoring
    monitor_significance: Annotated[float, Field(gt=0, le=1)] = Field(
        0.01, description="Chance (0 to 1) of a false alarm in a check of data without drift."
    )
    monitor_ratings: Limit = Field(
        0.25, description="Alarm limit: shift of the stars of new ratings, in stars."
    )
    monitor_users: Limit = Field(
        0.5,
        description="Alarm limit: share (0 to 1) of the agreement with earlier ratings that new "
        "ratings have lost.",
    )
    monitor_movies: Limit = Field(
        0.2,
        description="Alarm limit: shift (0 to 1) of new ratings to movies of a different "
        "popularity or to unrated movies; for a shift to a single movie, twice the value.",
    )
    monitor_genres: Limit = Field(
        0.25, description="Alarm limit: shift (0 to 1) of the genres of new ratings."
    )
    monitor_quality: Limit = Field(
        0.1,
        description="Alarm limit: share of liked movies among other ratings minus that among "
        "rated recommendations (0 to 1).",
    )
    monitor_age_days: Days = Field(
        14.0, description="Alarm limit: days without a retraining while the data have changed."
    )
    service_url: ServerUrl | None = Field(
        None,
        description="Address of the service whose metrics monitoring reads, such as "
        "`http://127.0.0.1:8000`; unset: these metrics are left out.",
    )

    @property
    def database(self) -> str:
        """URL of the database of feedback and API keys; it may contain a password."""
        if self.database_url is None:
            return f"sqlite:///{self.path('moovier.db')}"
        return self.database_url.get_secret_value()

    @property
    def threads(self) -> int:
        """Number of threads of one training without parallel tasks."""
        return self.train_threads or os.cpu_count() or 1

    @property
    def dvc_remote_address(self) -> str | None:
        """``dvc_remote`` as a URL or an absolute path, which is valid in any folder."""
        if self.dvc_remote is None or "://" in self.dvc_remote:
            return self.dvc_remote
        return str(Path(self.dvc_remote).expanduser().absolute())

    def path(self, *parts: str) -> Path:
        """Return the absolute path of ``parts`` in ``home``; create nothing."""
        return self.home.absolute().joinpath(*parts)


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; ``overrides`` (field names) take precedence.

    Raises:
        SettingsError: A value is out of range, or a ``MOOVIER_`` variable is not a setting.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(
            f"unknown setting {', '.join(unknown)}: unset it, or see docs/settings.md for the "
            "settings"
        )
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        reasons = "; ".join(
            _reason(e)
            for e in error.errors()
            # A default that depends on an invalid field is not an error of its own.
            if e["type"] != "default_factory_not_called"
        )
        # Without the cause, which holds the value of a URL with its password.
        raise SettingsError(reasons) from None


def _reason(error: Mapping[str, Any]) -> str:
    """Return what is wrong with which variable; the value of a URL may be a secret."""
    name = str(error["loc"][0]).upper()
    variable = name if name in ("TMDB_API_KEY", "MLFLOW_TRACKING_URI") else PREFIX + name
    if error["type"] == "value_error":
        return f"{variable}: {error['ctx']['error']}"
    return f"{variable}: {error['msg']}, not {str(error['input'])[:100]!r}"
