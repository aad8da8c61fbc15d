"""Build the environment of the stack's processes, and generate its secrets."""

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

#: Variable that marks every process of one stack; its value is the home folder. ``MOOVIER_HOME``
#: cannot be the marker, since users export it in their own shells.
MARKER = "_MOOVIER_STACK"
AIRFLOW_USER = "admin"
SIMPLE_AUTH_MANAGER = (
    "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
)
#: Number of tasks at a time: the slots of the pool of all tasks.
PARALLELISM = 2
#: Workers of LocalExecutor beyond :data:`PARALLELISM`. A worker is busy for up to five seconds
#: after its task has ended (Airflow's ``min_heartbeat_interval``); a spare one takes the next task.
SPARE_WORKERS = 2


@dataclass(frozen=True)
class Secrets:
    """The generated secrets of a stack, stored in ``<home>/secrets.json`` (mode 0600)."""

    airflow_password: str
    jwt_secret: str
    api_secret_key: str
    fernet_key: str

    @classmethod
    def generate(cls) -> Secrets:
        """Generate new secrets."""
        return cls(
            airflow_password=secrets.token_urlsafe(12),
            # Airflow signs with HS512, which needs at least 64 bytes.
            jwt_secret=secrets.token_hex(64),
            api_secret_key=secrets.token_hex(32),
            fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
        )


def read_secrets(settings: Settings) -> Secrets:
    """Return the stack's secrets; generate them on the first start.

    Raises:
        StackError: The file is damaged or cannot be written.
    """
    path = settings.path("secrets.json")
    try:
        if not path.exists():
            _write_private(path, asdict(Secrets.generate()))
        return Secrets(**json.loads(path.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise StackError(
            f"cannot use {path}: {error}; delete it to generate new secrets"
        ) from error


def write_airflow_login(settings: Settings, password: str) -> None:
    """Write the password of the user of Airflow's simple auth manager.

    Without the file Airflow generates a password and prints it.
    """
    _write_private(_login_file(settings), {AIRFLOW_USER: password})


def stack_environment(settings: Settings, keys: Secrets) -> dict[str, str]:
    """Return the environment of the stack's processes: that of this process, with overrides."""
    return {
        **os.environ,
        **_moovier(settings),
        **_mlflow(settings),
        **_airflow(settings, keys),
        # By default BentoML writes its files to the user's home.
        "BENTOML_HOME": str(settings.path("bentoml")),
        "BENTOML_DO_NOT_TRACK": "true",
        MARKER: str(settings.path()),
        # Airflow renames its processes, and setproctitle then overwrites the environment, with the
        # marker in it (setproctitle's README).
        "SPT_NOENV": "1",
        "NO_PROXY": _no_proxy(os.environ),
        "no_proxy": _no_proxy(os.environ),
        "PYTHONUNBUFFERED": "1",
    }


def shell_environment(settings: Settings) -> dict[str, str]:
    """Return the variables with which a shell's own commands reach this stack.

    Without the marker, so that `moovier down` does not end what the shell starts.
    """
    own = _moovier(settings)
    if settings.train_threads is None:
        # It divides the cores among parallel tasks, of which a shell has none.
        del own[PREFIX + "TRAIN_THREADS"]
    return {
        **own,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **_airflow(settings, read_secrets(settings)),
        "BENTOML_HOME": str(settings.path("bentoml")),
        "BENTOML_DO_NOT_TRACK": "true",
        "NO_PROXY": _no_proxy(os.environ),
        "no_proxy": _no_proxy(os.environ),
    }


def _moovier(settings: Settings) -> dict[str, str]:
    """Return absolute paths and all ports: the processes run in other folders than this one."""
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
        # The unused job consumers for GenAI take 1.4 GB.
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
        # One user is enough here, even if the provider for many users is installed.
        "CORE__AUTH_MANAGER": SIMPLE_AUTH_MANAGER,
        "CORE__PARALLELISM": PARALLELISM + SPARE_WORKERS,
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
        # The defaults (30 and 50 s) are too short while a training uses all cores.
        "CORE__DAGBAG_IMPORT_TIMEOUT": 120,
        "DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": 150,
        # LocalExecutor queues more tasks than it has workers. A task must not fail because it
        # waits for a worker (https://github.com/apache/airflow/pull/71914).
        "SCHEDULER__TASK_QUEUED_TIMEOUT": 86_400,
        # After a kill -9 and a restart, a new scheduler adopts the tasks of the dead one within a
        # minute instead of five.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 30,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 90,
        "LOGGING__BASE_LOG_FOLDER": home / "logs",
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    return {
        "AIRFLOW_HOME": str(home),
        # With it, tasks write the notes of their runs (dags/moovier_notify.py).
        "AIRFLOW_CONN_MOOVIER_AIRFLOW": url.replace(
            "://", f"://{AIRFLOW_USER}:{keys.airflow_password}@"
        ),
        **{f"AIRFLOW__{name}": str(value) for name, value in options.items()},
    }


def _login_file(settings: Settings) -> Path:
    return settings.path("airflow", "passwords.json")


def _no_proxy(environment: Mapping[str, str]) -> str:
    value = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    hosts = [host.strip() for host in value.split(",") if host.strip()]
    return ",".join(dict.fromkeys([*hosts, LOOPBACK, "localhost"]))


def _write_private(path: Path, content: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)
    temporary.replace(path)
