"""What runs instead of a program that only an image has."""

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
from tests.stack_processes.container_paths import Place

#: Debian's names of what the images call so.
PROGRAMS = {
    "/bin/prometheus": "prometheus",
    "/bin/postgres_exporter": "prometheus-postgres-exporter",
    "/redis_exporter": "prometheus-redis-exporter",
}
_DATA = "/var/lib/postgresql/data"
_SETTLED = "/docker-entrypoint-initdb.d/databases.sh"


def missing() -> list[str]:
    """The programs that are not installed here."""
    wanted = [*PROGRAMS.values(), "redis-server", "rclone"]
    there = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    found = [name for name in wanted if shutil.which(name, path=there) is None]
    return found + ([] if _postgres_folder() else ["postgresql"])


def command(place: Place, environment: Mapping[str, str]) -> list[str]:
    """The service's own command, with the names and paths of this machine."""
    match place.service.name:
        case "postgres":
            return _postgres(place)
        case "s3":
            key, secret = _s3_keys(place)
            return [
                *("rclone", "serve", "s3", "--addr", f"{place.address}:8333"),
                *("--auth-key", f"{key},{secret}", "--config", "/dev/null"),
                str(place.path("/data")),
            ]
    program, *arguments = place.service.command
    return [PROGRAMS.get(program, program), *map(place.here, arguments)]


def healthcheck(place: Place, environment: Mapping[str, str]) -> list[str]:
    """The service's own check; the S3 server here has no page for it, so its buckets are listed."""
    if place.service.name == "s3":
        key, secret = _s3_keys(place)
        script = (
            "import boto3; boto3.client('s3', region_name='us-east-1', "
            f"endpoint_url='http://{place.address}:8333', aws_access_key_id='{key}', "
            f"aws_secret_access_key='{secret}').list_buckets()"
        )
        return [sys.executable, "-c", script]
    assert place.service.healthcheck is not None
    return [place.here(word) for word in place.service.healthcheck]


def environment(place: Place) -> dict[str, str]:
    """What differs because the containers share one machine."""
    if place.service.name.startswith("airflow-worker"):
        # The page of a running task's log listens on all addresses.
        return {"AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(_log_port(place))}
    return {}


def user(service: Service) -> str | None:
    """Postgres refuses to run as root."""
    return "postgres" if service.name == "postgres" and os.geteuid() == 0 else None


def prepare(place: Place, environment: Mapping[str, str]) -> None:
    """Before each start."""
    if place.service.name == "postgres" and not (place.path(_DATA) / "PG_VERSION").exists():
        _initialise(place, environment)


def _log_port(place: Place) -> int:
    file = place.folder / "log-port"
    if not file.exists():
        file.write_text(str(free_port()))
    return int(file.read_text())


def _s3_keys(place: Place) -> tuple[str, str]:
    """From the configuration that the store would read."""
    import json

    told = json.loads(place.path("/etc/seaweedfs/s3.json").read_text())
    keys = told["identities"][0]["credentials"][0]
    return keys["accessKey"], keys["secretKey"]


def _postgres_folder() -> Path | None:
    """Where the newest Postgres keeps its programs; Debian does not put the server on the path."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(versions, key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).parent if there else None


def _postgres(place: Place) -> list[str]:
    folder = _postgres_folder()
    assert folder is not None
    program, *arguments = place.service.command
    return [str(folder / program), *arguments, *_postgres_places(place, place.address)]


def _postgres_places(place: Place, address: str) -> list[str]:
    settings = {
        "listen_addresses": address,
        "port": "5432",
        "unix_socket_directories": str(place.path("/run/postgresql")),
        # What was handed to the system outlives a killed process; only its own end would lose it.
        "fsync": "off",
    }
    return [
        *("-D", str(place.path(_DATA))),
        *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
    ]


def _initialise(place: Place, environment: Mapping[str, str]) -> None:
    """What the image does with an empty volume: a cluster, then the scripts that were mounted."""
    folder = _postgres_folder()
    assert folder is not None
    data, sockets = place.path(_DATA), place.path("/run/postgresql")
    secret = place.folder / "password"
    secret.write_text(environment["POSTGRES_PASSWORD"])
    who = user(place.service)
    if who:
        ids = pwd.getpwnam(who)
        for path in (data, sockets, secret):
            os.chown(path, ids.pw_uid, ids.pw_gid)
        for path in (place.folder, data.parent, sockets.parent):
            path.chmod(0o711)
    data.chmod(0o700)

    def run(*command: str) -> None:
        subprocess.run(
            command,
            env={**environment, "PGHOST": str(sockets), "PATH": f"{folder}:{environment['PATH']}"},
            cwd=data,
            user=who,
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    with (place.folder / "log.txt").open("ab") as log:
        run(
            *(str(folder / "initdb"), "-D", str(data), "--username=postgres", "--no-sync"),
            *("--auth-host=scram-sha-256", "--auth-local=trust", f"--pwfile={secret}"),
        )
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        control = (str(folder / "pg_ctl"), "-D", str(data), "-w", "-l", str(sockets / "setup.log"))
        run(*control, "-o", " ".join(_postgres_places(place, "")[2:]), "start")
        try:
            run("bash", str(place.path(_SETTLED)))
        finally:
            run(*control, "-m", "fast", "stop")
