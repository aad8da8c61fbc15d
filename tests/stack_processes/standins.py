"""Local programs that replace those of images."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.servers import free_port
from tests.stack_processes.compose import Service
from tests.stack_processes.container_paths import ContainerPaths

#: The programs of the images, and Debian's names for them.
PROGRAMS = {
    "/bin/prometheus": "prometheus",
    "/bin/postgres_exporter": "prometheus-postgres-exporter",
    "/redis_exporter": "prometheus-redis-exporter",
}
_DATA = "/var/lib/postgresql/data"
_INIT_SCRIPT = "/docker-entrypoint-initdb.d/databases.sh"


def missing() -> list[str]:
    """Return the names of the programs that are not installed on this machine."""
    programs = [*PROGRAMS.values(), "redis-server", "rclone"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    absent = [name for name in programs if shutil.which(name, path=path) is None]
    return absent + ([] if _postgres_folder() else ["postgresql"])


def command(paths: ContainerPaths, environment: Mapping[str, str]) -> list[str]:
    """Return the service's own command with local names and paths."""
    match paths.service.name:
        case "postgres":
            return _postgres(paths)
        case "s3":
            keys = f"{environment['AWS_ACCESS_KEY_ID']},{environment['AWS_SECRET_ACCESS_KEY']}"
            return [
                *("rclone", "serve", "s3", "--addr", f"{paths.address}:8333"),
                *("--auth-key", keys, "--config", "/dev/null"),
                str(paths.path("/data")),
            ]
    program, *arguments = paths.service.command
    return [PROGRAMS.get(program, program), *map(paths.translate, arguments)]


def healthcheck(paths: ContainerPaths, environment: Mapping[str, str]) -> list[str]:
    """Return the service's own check.

    rclone has no health page, so the check of the S3 store lists the buckets.
    """
    if paths.service.name == "s3":
        # The keys come from the service's environment.
        script = (
            "import boto3; boto3.client('s3', region_name='us-east-1', "
            f"endpoint_url='http://{paths.address}:8333').list_buckets()"
        )
        return [sys.executable, "-c", script]
    assert paths.service.healthcheck is not None
    return [paths.translate(word) for word in paths.service.healthcheck]


def environment(paths: ContainerPaths) -> dict[str, str]:
    """Return the variables that differ because the containers share one machine."""
    if paths.service.name.startswith("airflow-worker"):
        # The server of task logs listens on all addresses, so each worker needs its own port.
        return {"AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(_log_port(paths))}
    return {}


def user(service: Service) -> str | None:
    """Return the user to run as: Postgres refuses to run as root."""
    return "postgres" if service.name == "postgres" and os.geteuid() == 0 else None


def prepare(paths: ContainerPaths, environment: Mapping[str, str]) -> None:
    """Initialise an empty Postgres volume; called before each start."""
    if paths.service.name == "postgres" and not (paths.path(_DATA) / "PG_VERSION").exists():
        _initialise(paths, environment)


def _log_port(paths: ContainerPaths) -> int:
    file = paths.folder / "log-port"
    if not file.exists():
        file.write_text(str(free_port()))
    return int(file.read_text())


def _postgres_folder() -> Path | None:
    """Return the folder of the newest Postgres; Debian does not put the server on the path."""
    programs = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if newest_last := sorted(programs, key=lambda path: int(path.parts[-3])):
        return newest_last[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


def _postgres(paths: ContainerPaths) -> list[str]:
    folder = _postgres_folder()
    assert folder is not None
    program, *arguments = paths.service.command
    return [str(folder / program), *arguments, *_postgres_options(paths, paths.address)]


def _postgres_options(paths: ContainerPaths, address: str) -> list[str]:
    settings = {
        "listen_addresses": address,
        "port": "5432",
        "unix_socket_directories": str(paths.path("/run/postgresql")),
        # Tests kill processes, not the machine, and the system's page cache survives that.
        "fsync": "off",
    }
    return [
        *("-D", str(paths.path(_DATA))),
        *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
    ]


def _initialise(paths: ContainerPaths, environment: Mapping[str, str]) -> None:
    """Create a cluster and run the mounted scripts, as the image does with an empty volume."""
    folder = _postgres_folder()
    assert folder is not None
    data, sockets = paths.path(_DATA), paths.path("/run/postgresql")
    secret = paths.folder / "password"
    secret.write_text(environment["POSTGRES_PASSWORD"])
    owner = user(paths.service)
    if owner:
        ids = pwd.getpwnam(owner)
        for path in (data, sockets, secret):
            os.chown(path, ids.pw_uid, ids.pw_gid)
        for path in (paths.folder, data.parent, sockets.parent):
            path.chmod(0o711)
    data.chmod(0o700)

    def run(*command: str) -> None:
        subprocess.run(
            command,
            env={**environment, "PGHOST": str(sockets), "PATH": f"{folder}:{environment['PATH']}"},
            cwd=data,
            user=owner,
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    with (paths.folder / "log.txt").open("ab") as log:
        run(
            *(str(folder / "initdb"), "-D", str(data), "--username=postgres", "--no-sync"),
            *("--auth-host=scram-sha-256", "--auth-local=trust", f"--pwfile={secret}"),
        )
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        control = (str(folder / "pg_ctl"), "-D", str(data), "-w", "-l", str(sockets / "setup.log"))
        run(*control, "-o", " ".join(_postgres_options(paths, "")[2:]), "start")
        try:
            run("bash", str(paths.path(_INIT_SCRIPT)))
        finally:
            run(*control, "-m", "fast", "stop")
