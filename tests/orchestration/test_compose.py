"""The compose file: its syntax, secrets, limits, and that every command exists."""

from __future__ import annotations

import functools
import itertools
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.environment import OPTIONAL, filled
from moovier.settings import Settings
from tests.stack_processes.compose import MissingVariable, interpolated, read_compose
from tests.stack_processes.driver import generated_variables
from tests.stack_processes.secret_readers import SECRET_READERS

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yaml"
EXAMPLE = (ROOT / ".env.example").read_text()
#: Programs of the base image python:3.11-slim.
BASE_IMAGE_PROGRAMS = {"bash", "python", "sh"}
#: Programs of the third-party images.
IMAGE_PROGRAMS = {
    "postgres": {"postgres", "pg_isready"},
    "redis": {"sh"},
    "chrislusf/seaweedfs": {"server", "wget"},
    "quay.io/prometheuscommunity/postgres-exporter": {"/bin/postgres_exporter", "sh"},
    "oliver006/redis_exporter": {"/redis_exporter", "sh"},
    "prom/prometheus": {"/bin/prometheus", "wget"},
    "grafana/grafana": {"wget"},
}
OURS = {"moovier-serving", "moovier-training", "moovier-mlflow"}
#: Images that do not run as root by themselves; all others need a `user`.
NOT_ROOT = {
    "quay.io/prometheuscommunity/postgres-exporter",
    "oliver006/redis_exporter",
    "prom/prometheus",
    "grafana/grafana",
    # Starts as root to give its folder to another user.
    "chrislusf/seaweedfs",
}
#: Programs of pyspark, which the training image has with the engine `spark` only.
SPARK_PROGRAMS = {"spark-class"}
#: The service that writes into its own file system: DVC puts the data beside their pointer.
WRITES = {"airflow-worker"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return content


def test_file_follows_the_compose_specification() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", str(COMPOSE)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_secret_is_required_and_has_no_default() -> None:
    offered = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    used: dict[str, set[str]] = {}
    for name, operator in re.findall(r"\$\{([A-Z0-9_]+)(:[-?])?", COMPOSE.read_text()):
        used.setdefault(name, set()).add(operator)
    assert set(used) == set(offered)
    secret = [name for name in used if re.search("PASSWORD|SECRET|FERNET|KEY", name)]
    assert len(secret) >= 15
    for name in set(secret) - OPTIONAL:
        assert used[name] == {":?"}, f"{name} must have no default"
    for name in secret:
        assert offered[name] == "", f"{name} must have no value in the example"


def test_missing_secret_is_an_error_with_its_name() -> None:
    variables = generated_variables()
    assert len(read_compose(COMPOSE, variables)) >= 15
    for name in re.findall(r"^([A-Z0-9_]+)=$", EXAMPLE, re.MULTILINE):
        if name not in OPTIONAL:
            with pytest.raises(MissingVariable, match=f"variable {name} is missing"):
                read_compose(COMPOSE, {**variables, name: ""})


def test_services_get_only_the_secrets_that_they_need() -> None:
    variables = generated_variables(TMDB_API_KEY="only-one-key-of-tmdb")
    secret = re.compile("PASSWORD|SECRET|FERNET|KEY")
    assert set(SECRET_READERS) == {name for name in variables if secret.search(name)}
    readers: dict[str, set[str]] = {name: set() for name in SECRET_READERS}
    for name, service in read_compose(COMPOSE, variables, {"spark"}).items():
        text = repr((service.command, service.healthcheck, dict(service.environment)))
        for variable in SECRET_READERS:
            if variables[variable] in text:
                readers[variable].add(name)
    assert readers == SECRET_READERS


def test_generated_secrets_have_the_required_form() -> None:
    variables = generated_variables()
    Fernet(variables["AIRFLOW_FERNET_KEY"])
    assert len(variables["AIRFLOW_JWT_SECRET"]) >= 64
    secrets = [
        value for name, value in variables.items() if re.search("PASSWORD|SECRET|KEY$", name)
    ]
    assert len(set(secrets)) == len(secrets), "no two secrets are equal"
    for name, value in variables.items():
        if name.endswith("PASSWORD"):
            assert re.fullmatch("[A-Za-z0-9]{32,}", value), (
                "a password is part of a URL and is not escaped"
            )
    # Values that are already set stay, also those of variables that the example lacks.
    again = filled(EXAMPLE, "REDIS_PASSWORD=mine\nMOOVIER_PORT=8001\nMORE=1\nS3_ACCESS_KEY=\n")
    assert "\nREDIS_PASSWORD=mine\n" in again
    assert "\nMOOVIER_PORT=8001\n" in again
    assert again.endswith("\nMORE=1\n")
    assert re.search("^S3_ACCESS_KEY=.{32}", again, re.MULTILINE)
    assert re.search("^TMDB_API_KEY=$", again, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a $$b ${FULL} $FULL", "a $b 1 1"),
        ("${EMPTY:-x}${EMPTY-x}${NONE-x}${NONE:-}", "xx"),
        ("${FULL:+y}${EMPTY:+y}${EMPTY+y}", "yy"),
        ("$${FULL}", "${FULL}"),
    ],
)
def test_variables_are_interpolated_as_docker_does(text: str, expected: str) -> None:
    assert interpolated(text, {"FULL": "1", "EMPTY": ""}) == expected


def test_services_have_pinned_images_limits_and_no_privileges(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        image, _, tag = service["image"].partition(":")
        assert image in OURS or re.search(r"\d+\.\d+", tag), f"{name}: {service['image']}"
        assert image in OURS | NOT_ROOT or service["user"] not in ("root", "0"), name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        assert service["logging"]["options"]["max-size"], name
        assert service["read_only"] is (name not in WRITES), name
    for file in ("Dockerfile", "mlflow/Dockerfile"):
        text = (ROOT / file).read_text()
        assert re.findall(r"^FROM python:(\S+)", text, re.MULTILINE) == ["3.11.14-slim-bookworm"]
        for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
            assert "\nUSER " in stage or " AS base" in stage, "a stage without USER runs as root"


def test_workers_know_the_stores_and_the_service(compose: dict[str, Any]) -> None:
    """The settings that have no useful default on several machines."""
    environment = compose["services"]["airflow-worker"]["environment"]
    for name, value in {
        "dvc_remote": "s3://moovier-dvc",
        "lists": "s3://moovier-lists",
        "service_url": "http://service:8000",
    }.items():
        if name in Settings.model_fields:
            assert environment.get(f"MOOVIER_{name.upper()}") == value


def test_ports_are_bound_to_the_loopback_address(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_services_have_health_checks_and_wait_for_their_dependencies(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    for name, service in services.items():
        if service.get("restart") != "no":
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        for other, dependency in service.get("depends_on", {}).items():
            is_job = services[other].get("restart") == "no"
            condition = "service_completed_successfully" if is_job else "service_healthy"
            assert dependency["condition"] == condition, f"{name} on {other}"


def test_every_volume_and_config_exists(compose: dict[str, Any]) -> None:
    sources = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if ":" in volume
    }
    folders = {source for source in sources if source.startswith("./")}
    assert sources - folders == set(compose["volumes"])
    for folder in folders:
        assert (ROOT / folder).is_dir()
    used = {
        config["source"]
        for service in compose["services"].values()
        for config in service.get("configs", [])
    }
    assert used == set(compose["configs"])
    for name, config in compose["configs"].items():
        # Compose copies inline content into the container, which a read-only root forbids.
        assert (ROOT / config["file"]).is_file(), name


def test_tmpfs_over_a_folder_of_an_image_of_ours_belongs_to_its_user(
    compose: dict[str, Any],
) -> None:
    """Under runc 1.1 the folder's mode in the image wins over the option ``mode``."""
    for name, service in compose["services"].items():
        for mount in service.get("tmpfs", []):
            target, _, options = mount.partition(":")
            if target != "/tmp" and service["image"] in OURS:
                assert {"uid=1000", "gid=1000"} <= set(options.split(",")), f"{name}: {mount}"


def _commands(service: dict[str, Any]) -> list[list[str]]:
    """Return the commands of a service as argument lists, including those of shell scripts."""
    command = [*service.get("entrypoint", []), *service.get("command", [])]
    commands = [command] if command else []
    test = service["healthcheck"]["test"] if "healthcheck" in service else []
    if test:
        commands.append(["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:])
    scripts = [
        command[2] for command in commands if command[0] in ("bash", "sh") and len(command) == 3
    ]
    text = re.sub(r"\$\$\w+", "1", "\n".join(scripts).replace("\\\n", " "))
    inner = [shlex.split(line.removeprefix("exec ")) for line in text.splitlines()]
    return commands + [
        line for line in inner if line and line[0] in ("airflow", "celery", "optuna")
    ]


def _extras(target: str) -> frozenset[str]:
    """Return the extras that a target of the Dockerfile installs with the local engine."""
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    (stage,) = [stage for stage in stages if re.match(rf"\S+ AS {target}$", stage, re.MULTILINE)]
    return frozenset(re.findall(r"--extra (\w+)", stage)) - {"spark"}


@functools.cache
def _installed_with(extras: frozenset[str]) -> frozenset[str]:
    """Return the names of all distributions that ``moovier[extras]`` requires."""
    seen: set[tuple[str, str]] = set()
    todo = [("moovier", extra) for extra in ["", *extras]]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                wanted = canonicalize_name(requirement.name)
                todo += [(wanted, more) for more in ["", *requirement.extras]]
    return frozenset(name for name, _ in seen)


@functools.cache
def _programs(names: frozenset[str]) -> frozenset[str]:
    """Return the console scripts of the distributions ``names``."""
    return frozenset(
        script.name
        for installed in distributions()
        if canonicalize_name(installed.name) in names
        for script in installed.entry_points.select(group="console_scripts")
    )


def test_every_command_exists_in_its_image(compose: dict[str, Any]) -> None:
    tracking = re.findall(r"--extra (\w+)", (ROOT / "mlflow" / "Dockerfile").read_text())
    assert tracking == ["tracking"]
    for name, service in compose["services"].items():
        build = service.get("build")
        if build is None:
            programs = IMAGE_PROGRAMS[service["image"].partition(":")[0]]
        elif "target" in build:
            programs = BASE_IMAGE_PROGRAMS | _programs(_installed_with(_extras(build["target"])))
            if service.get("profiles") == ["spark"]:
                programs |= SPARK_PROGRAMS
        else:
            assert build["dockerfile"] == "mlflow/Dockerfile"
            programs = BASE_IMAGE_PROGRAMS | _programs(_installed_with(frozenset(tracking)))
        for command in _commands(service):
            assert command[0] in programs, f"{name} runs {command[0]}"


def test_serving_image_has_no_tensorflow_airflow_or_mlflow() -> None:
    serving = _installed_with(_extras("serving"))
    assert {"bentoml", "psycopg-binary"} <= serving
    assert "psycopg2-binary" not in serving
    assert serving.isdisjoint(
        {"tensorflow", "tensorflow-cpu", "keras", "apache-airflow", "mlflow", "pandas"}
    )
    training = _installed_with(_extras("training"))
    assert {"keras", "apache-airflow", "mlflow", "dvc", "dvc-s3", "optuna"} <= training
    assert {"psycopg-binary", "celery", "redis", "apache-airflow-providers-fab"} <= training
    tracking = _installed_with(frozenset({"tracking"}))
    assert {"mlflow", "flask-wtf", "boto3", "psycopg-binary", "optuna-dashboard"} <= tracking
    assert tracking.isdisjoint({"keras", "apache-airflow", "bentoml"})


def test_airflow_and_mlflow_accept_the_options(compose: dict[str, Any]) -> None:
    """Each command line goes through the program's own parser and is not run."""
    commands = list(itertools.chain(*map(_commands, compose["services"].values())))
    airflow = [command[1:] for command in commands if command[0] == "airflow"]
    mlflow = [command[1:] for command in commands if command[0] == "mlflow"]
    assert len(airflow) >= 6
    assert len(mlflow) == 1
    script = f"""
from airflow.cli.cli_parser import get_parser
for arguments in {airflow!r}:
    get_parser().parse_args(arguments)
from mlflow.cli import cli
for name, *arguments in {mlflow!r}:
    command = cli.get_command(None, name)
    command.make_context(name, list(arguments))
    assert any(option.envvar == "MLFLOW_BACKEND_STORE_URI" for option in command.params)
"""
    # The executor and the auth manager add commands of their own.
    variables = {
        name: value
        for name, value in compose["services"]["airflow-worker"]["environment"].items()
        if name in ("AIRFLOW__CORE__EXECUTOR", "AIRFLOW__CORE__AUTH_MANAGER")
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr


def test_the_database_script_is_valid_shell() -> None:
    script = ROOT / "deploy" / "postgres" / "databases.sh"
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
