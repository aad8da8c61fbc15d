"""The environment that all parts share, and the secrets made once for it."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from moovier.errors import StackError
from moovier.settings import PREFIX, Settings
from moovier.stack.services import LOOPBACK, airflow_url, mlflow_url

#: Marks every process of one stack, so that none is ever lost: its value is the home folder.
#: Not ``MOOVIER_HOME``, which people export in their own shells.
MARKER = "_MOOVIER_STACK"
AIRFLOW_USER = "admin"
SIMPLE_AUTH_MANAGER = (
    "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
)
#: LocalExecutor starts this many workers at once and keeps them (its own default is 32).
PARALLELISM = 2


@dataclass(frozen=True)
class Secrets:
    """Generated on the first start, then kept in ``<home>/secrets.json`` (mode 0600)."""

    airflow_password: str
    jwt_secret: str
    api_secret_key: str
    fernet_key: str

    @classmethod
    def generate(cls) -> Secrets:
        return cls(
            airflow_password=secrets.token_urlsafe(12),
            # Airflow signs with HS512, which wants 64 bytes at least.
            jwt_secret=secrets.token_hex(64),
            api_secret_key=secrets.token_hex(32),
            fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
        )


def read_secrets(settings: Settings) -> Secrets:
    """The stack's secrets, generated when there are none yet.

    Raises:
        StackError: the file is damaged or cannot be written.
    """
    path = settings.path("secrets.json")
    try:
        if not path.exists():
            _write_private(path, asdict(Secrets.generate()))
        return Secrets(**json.loads(path.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise StackError(f"cannot use {path}: {error}; delete it to make new secrets") from error


def write_airflow_login(settings: Settings, password: str) -> None:
    """Give Airflow's simple auth manager its one user, so that it does not print a password."""
    _write_private(_login_file(settings), {AIRFLOW_USER: password})


def stack_environment(settings: Settings, keys: Secrets) -> dict[str, str]:
    """The whole environment of the stack's processes: this process's own, settled where needed."""
    return {
        **os.environ,
        **_moovier(settings),
        **_mlflow(settings),
        **_airflow(settings, keys),
        # BentoML keeps its own files in the user's home otherwise.
        "BENTOML_HOME": str(settings.path("bentoml")),
        "BENTOML_DO_NOT_TRACK": "true",
        MARKER: str(settings.path()),
        # A process that renames itself (Airflow does) would wipe its environment, and with it
        # the marker (setproctitle's README).
        "SPT_NOENV": "1",
        "NO_PROXY": _no_proxy(os.environ),
        "no_proxy": _no_proxy(os.environ),
        "PYTHONUNBUFFERED": "1",
    }


def _moovier(settings: Settings) -> dict[str, str]:
    """Places and ports as absolute values: parts run in other folders than this command."""
    remote = settings.dvc_remote_address
    data = Path(settings.data).expanduser()
    return {
        **({} if remote is None else {PREFIX + "DVC_REMOTE": remote}),
        PREFIX + "DATA": str(data.absolute()) if data.is_dir() else settings.data,
        PREFIX + "PROJECT": str(settings.project.absolute()),
        PREFIX + "HOME": str(settings.path()),
        PREFIX + "HOST": settings.host,
        PREFIX + "PORT": str(settings.port),
        PREFIX + "MLFLOW_PORT": str(settings.mlflow_port),
        PREFIX + "AIRFLOW_PORT": str(settings.airflow_port),
        PREFIX + "TRAIN_THREADS": str(
            settings.train_threads or max(settings.threads // PARALLELISM, 1)
        ),
        "MLFLOW_TRACKING_URI": mlflow_url(settings),
    }


def _mlflow(settings: Settings) -> dict[str, str]:
    return {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Seven job consumers for GenAI that nothing here uses: 1.4 GB.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"localhost:*,{LOOPBACK}:*",
    }


def _airflow(settings: Settings, keys: Secrets) -> dict[str, str]:
    home = settings.path("airflow")
    url = airflow_url(settings)
    options = {
        "CORE__DAGS_FOLDER": settings.project.absolute() / "dags",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "LocalExecutor",
        # The one user of a laptop; the provider for many users may be installed as well.
        "CORE__AUTH_MANAGER": SIMPLE_AUTH_MANAGER,
        "CORE__PARALLELISM": PARALLELISM,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__FERNET_KEY": keys.fernet_key,
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": _login_file(settings),
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "API__BASE_URL": url,
        "API__SECRET_KEY": keys.api_secret_key,
        "API_AUTH__JWT_SECRET": keys.jwt_secret,
        "API__INSTANCE_NAME": "Moovier",
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        # The defaults (30 and 50 s) are short for a laptop that trains at the same time.
        "CORE__DAGBAG_IMPORT_TIMEOUT": 120,
        "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": 150,
        # LocalExecutor queues more than it has workers for; a task that only waits for its turn
        # must not be failed for it (https://github.com/apache/airflow/pull/71914).
        "SCHEDULER__TASK_QUEUED_TIMEOUT": 86_400,
        # After a kill -9 and a new start, tasks of the dead scheduler are taken up within a
        # minute instead of five.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 30,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 90,
        "LOGGING__BASE_LOG_FOLDER": home / "logs",
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    return {
        "AIRFLOW_HOME": str(home),
        **{f"AIRFLOW__{name}": str(value) for name, value in options.items()},
    }


def _login_file(settings: Settings) -> Path:
    return settings.path("airflow", "passwords.json")


def _no_proxy(environment: Mapping[str, str]) -> str:
    given = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    return ",".join(dict.fromkeys([*hosts, LOOPBACK, "localhost"]))


def _write_private(path: Path, content: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)
    temporary.replace(path)
