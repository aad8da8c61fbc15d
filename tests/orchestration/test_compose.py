"""The containers' description: valid, without default secrets, and every command exists."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yaml"
#: What the base image python:3.11-slim brings along.
OF_THE_BASE_IMAGE = {"bash", "python", "sh"}
#: What the image postgres brings along.
OF_POSTGRES = {"pg_isready"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return content


def test_it_follows_the_compose_specification() -> None:
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


def test_every_secret_is_required_and_explained() -> None:
    example = (ROOT / ".env.example").read_text()
    offered = dict(re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE))
    used = dict(re.findall(r"\$\{([A-Z_]+)(:[-?])?", COMPOSE.read_text()))
    assert set(used) == set(offered)
    secret = [name for name in used if re.search("PASSWORD|SECRET|FERNET", name)]
    assert len(secret) >= 7
    for name in secret:
        assert used[name] == ":?", f"{name} must have no default"
        assert offered[name] == "", f"{name} must not be given away"


def test_ports_are_bound_to_this_machine_only(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_lasting_services_are_checked_and_waited_for(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        if service.get("restart") != "no":
            assert service["healthcheck"]["test"][0] == "CMD", name
        for other, how in service.get("depends_on", {}).items():
            lasting = services[other].get("restart") != "no"
            wanted = "service_healthy" if lasting else "service_completed_successfully"
            assert how["condition"] == wanted, f"{name} on {other}"


def test_every_volume_and_config_exists(compose: dict[str, Any]) -> None:
    used = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
    }
    assert used == set(compose["volumes"])
    for service in compose["services"].values():
        for config in service.get("configs", []):
            assert config["source"] in compose["configs"]


def _commands(service: dict[str, Any]) -> list[list[str]]:
    """The service's commands as argument lists, those inside a shell script included."""
    found = [service["command"]] if "command" in service else []
    found += [service["healthcheck"]["test"][1:]] if "healthcheck" in service else []
    scripts = [command[2] for command in found if command[:2] == ["bash", "-euc"]]
    lines = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", "\n".join(scripts)).splitlines()
    return found + [shlex.split(line) for line in lines if line.startswith("airflow ")]


def _extras(target: str) -> set[str]:
    """The extras that a target of the Dockerfile installs."""
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    (stage,) = [stage for stage in stages if re.match(rf"\S+ AS {target}$", stage, re.MULTILINE)]
    return set(re.findall(r"--extra (\w+)", stage))


def _installed_with(extras: set[str]) -> set[str]:
    """Names of all distributions that ``moovier[extras]`` pulls in, as installed here."""
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
    return {name for name, _ in seen}


def _programs(names: set[str]) -> set[str]:
    """The console scripts of the distributions ``names``."""
    return {
        script.name
        for found in distributions()
        if canonicalize_name(found.name) in names
        for script in found.entry_points.select(group="console_scripts")
    }


def test_every_command_exists_in_its_image(compose: dict[str, Any]) -> None:
    mlflow_image = (ROOT / "mlflow" / "Dockerfile").read_text()
    assert " mlflow " in mlflow_image
    for name, service in compose["services"].items():
        build = service.get("build")
        if build is None:
            there = OF_POSTGRES
        elif "target" in build:
            there = OF_THE_BASE_IMAGE | _programs(_installed_with(_extras(build["target"])))
        else:
            assert build["dockerfile"] == "mlflow/Dockerfile"
            there = OF_THE_BASE_IMAGE | _programs({"mlflow"})
        for command in _commands(service):
            assert command[0] in there, f"{name} runs {command[0]}"


def test_serving_needs_neither_tensorflow_nor_airflow_nor_mlflow() -> None:
    serving = _installed_with(_extras("serving"))
    assert "bentoml" in serving
    assert serving.isdisjoint(
        {"tensorflow", "tensorflow-cpu", "keras", "apache-airflow", "mlflow", "pandas"}
    )
    training = _installed_with(_extras("training"))
    assert {"keras", "apache-airflow", "mlflow", "dvc", "optuna", "psycopg2-binary"} <= training


def test_airflow_and_mlflow_take_the_options(compose: dict[str, Any]) -> None:
    """Their own parsers read each command line; nothing is run."""
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
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr


def test_the_database_script_is_valid_shell(compose: dict[str, Any]) -> None:
    script = compose["configs"]["databases"]["content"].replace("$$", "$")
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
