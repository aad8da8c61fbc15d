"""The containers' description: valid, without default secrets, and every command exists."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
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

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yaml"
EXAMPLE = (ROOT / ".env.example").read_text()
#: What the base image python:3.11-slim brings along.
OF_THE_BASE_IMAGE = {"bash", "python", "sh"}
#: What images of others bring along.
OF_IMAGES = {
    "postgres": {"postgres", "pg_isready"},
    "redis": {"sh"},
    "chrislusf/seaweedfs": {"server", "wget"},
    "quay.io/prometheuscommunity/postgres-exporter": {"/bin/postgres_exporter", "sh"},
    "oliver006/redis_exporter": {"/redis_exporter", "sh"},
    "prom/prometheus": {"/bin/prometheus", "wget"},
    "grafana/grafana": {"wget"},
}
OURS = {"moovier-serving", "moovier-training", "moovier-mlflow"}
#: Images that are nobody special from their first process on; the rest is asked for a `user`.
NOT_ROOT = {
    "quay.io/prometheuscommunity/postgres-exporter",
    "oliver006/redis_exporter",
    "prom/prometheus",
    "grafana/grafana",
    # Root for a moment, with what that takes and no more.
    "chrislusf/seaweedfs",
}
#: The one that writes into its own file system: DVC puts the data beside their pointer.
WRITES = {"airflow-worker"}


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
    offered = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    used: dict[str, set[str]] = {}
    for name, how in re.findall(r"\$\{([A-Z0-9_]+)(:[-?])?", COMPOSE.read_text()):
        used.setdefault(name, set()).add(how)
    assert set(used) == set(offered)
    secret = [name for name in used if re.search("PASSWORD|SECRET|FERNET|KEY", name)]
    assert len(secret) >= 15
    for name in set(secret) - OPTIONAL:
        assert used[name] == {":?"}, f"{name} must have no default"
    for name in secret:
        assert offered[name] == "", f"{name} must not be given away"


def test_a_missing_secret_stops_with_its_name() -> None:
    whole = generated_variables()
    assert len(read_compose(COMPOSE, whole)) >= 15
    for name in re.findall(r"^([A-Z0-9_]+)=$", EXAMPLE, re.MULTILINE):
        if name not in OPTIONAL:
            with pytest.raises(MissingVariable, match=f"variable {name} is missing"):
                read_compose(COMPOSE, {**whole, name: ""})


def test_generated_secrets_have_the_form_that_is_needed() -> None:
    made = generated_variables()
    Fernet(made["AIRFLOW_FERNET_KEY"])
    assert len(made["AIRFLOW_JWT_SECRET"]) >= 64
    secrets = [value for name, value in made.items() if re.search("PASSWORD|SECRET|KEY$", name)]
    assert len(set(secrets)) == len(secrets), "each has its own"
    for name, value in made.items():
        if name.endswith("PASSWORD"):
            assert re.fullmatch("[A-Za-z0-9]{32,}", value), "it goes into addresses as it is"
    # What somebody has set stays, also what the example does not know.
    again = filled(EXAMPLE, "REDIS_PASSWORD=mine\nMOOVIER_PORT=8001\nMORE=1\nS3_ACCESS_KEY=\n")
    assert "\nREDIS_PASSWORD=mine\n" in again
    assert "\nMOOVIER_PORT=8001\n" in again
    assert again.endswith("\nMORE=1\n")
    assert re.search("^S3_ACCESS_KEY=.{32}", again, re.MULTILINE)
    assert re.search("^TMDB_API_KEY=$", again, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a $$b ${FULL} $FULL", "a $b 1 1"),
        ("${EMPTY:-x}${EMPTY-x}${NONE-x}${NONE:-}", "xx"),
        ("${FULL:+y}${EMPTY:+y}${EMPTY+y}", "yy"),
        ("$${FULL}", "${FULL}"),
    ],
)
def test_variables_are_read_as_docker_reads_them(text: str, meant: str) -> None:
    assert interpolated(text, {"FULL": "1", "EMPTY": ""}) == meant


def test_services_are_pinned_bounded_and_without_rights(compose: dict[str, Any]) -> None:
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
            assert "\nUSER " in stage or " AS base" in stage, "nobody is root"


def test_workers_are_told_where_lists_go_and_whom_to_ask(compose: dict[str, Any]) -> None:
    """Settings that have no meaning on one machine, and no default that fits many."""
    environment = compose["services"]["airflow-worker"]["environment"]
    for name, value in {
        "dvc_remote": "s3://moovier-dvc",
        "lists": "s3://moovier-lists",
        "service_url": "http://service:8000",
    }.items():
        if name in Settings.model_fields:
            assert environment.get(f"MOOVIER_{name.upper()}") == value


def test_ports_are_bound_to_this_machine_only(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_lasting_services_are_checked_and_waited_for(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        if service.get("restart") != "no":
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        for other, how in service.get("depends_on", {}).items():
            lasting = services[other].get("restart") != "no"
            wanted = "service_healthy" if lasting else "service_completed_successfully"
            assert how["condition"] == wanted, f"{name} on {other}"


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
    for config in compose["configs"].values():
        assert "content" in config or (ROOT / config["file"]).is_file()


def _commands(service: dict[str, Any]) -> list[list[str]]:
    """The service's commands as argument lists, those inside a shell script included."""
    command = [*service.get("entrypoint", []), *service.get("command", [])]
    found = [command] if command else []
    test = service["healthcheck"]["test"] if "healthcheck" in service else []
    if test:
        found.append(["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:])
    scripts = [
        command[2] for command in found if command[0] in ("bash", "sh") and len(command) == 3
    ]
    text = re.sub(r"\$\$\w+", "1", "\n".join(scripts).replace("\\\n", " "))
    inner = [shlex.split(line.removeprefix("exec ")) for line in text.splitlines()]
    return found + [line for line in inner if line and line[0] in ("airflow", "celery", "optuna")]


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
    tracking = re.findall(r"--extra (\w+)", (ROOT / "mlflow" / "Dockerfile").read_text())
    assert tracking == ["tracking"]
    for name, service in compose["services"].items():
        build = service.get("build")
        if build is None:
            there = OF_IMAGES[service["image"].partition(":")[0]]
        elif "target" in build:
            there = OF_THE_BASE_IMAGE | _programs(_installed_with(_extras(build["target"])))
        else:
            assert build["dockerfile"] == "mlflow/Dockerfile"
            there = OF_THE_BASE_IMAGE | _programs(_installed_with(set(tracking)))
        for command in _commands(service):
            assert command[0] in there, f"{name} runs {command[0]}"


def test_serving_needs_neither_tensorflow_nor_airflow_nor_mlflow() -> None:
    serving = _installed_with(_extras("serving"))
    assert "bentoml" in serving
    assert serving.isdisjoint(
        {"tensorflow", "tensorflow-cpu", "keras", "apache-airflow", "mlflow", "pandas"}
    )
    training = _installed_with(_extras("training"))
    assert {"keras", "apache-airflow", "mlflow", "dvc", "dvc-s3", "optuna"} <= training
    assert {"psycopg2-binary", "celery", "redis", "apache-airflow-providers-fab"} <= training
    tracking = _installed_with({"tracking"})
    assert {"mlflow", "flask-wtf", "boto3", "psycopg2-binary", "optuna-dashboard"} <= tracking
    assert tracking.isdisjoint({"keras", "apache-airflow", "bentoml"})


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
    # Executor and users' manager bring commands of their own.
    settled = {
        name: value
        for name, value in compose["services"]["airflow-worker"]["environment"].items()
        if name in ("AIRFLOW__CORE__EXECUTOR", "AIRFLOW__CORE__AUTH_MANAGER")
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **settled},
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


def test_grafana_finds_its_source_and_dashboards(compose: dict[str, Any]) -> None:
    """Grafana cannot be run here: what it reads is checked as far as files go."""
    folder = ROOT / "deploy" / "grafana"
    (source,) = yaml.safe_load(
        (folder / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    )["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load(
        (folder / "provisioning" / "dashboards" / "moovier.yaml").read_text()
    )["providers"]
    mounted = [volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"]]
    assert ["./deploy/grafana/dashboards", provider["options"]["path"]] in mounted
    assert ["./deploy/grafana/provisioning", "/etc/grafana/provisioning"] in mounted
    seen = set()
    for file in (folder / "dashboards").glob("*.json"):
        dashboard = json.loads(file.read_text())
        seen.add(dashboard["uid"])
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                assert panel["datasource"]["uid"] == source["uid"], panel["title"]
                assert panel["targets"], panel["title"]
    assert len(seen) == 3
    home = compose["services"]["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert (folder / "dashboards" / Path(home).name).is_file()


def test_prometheus_takes_its_configuration() -> None:
    if shutil.which("promtool") is None:
        assert "CI" not in os.environ, "promtool is needed in CI (Debian's package prometheus)"
        pytest.skip("no promtool")
    folder = ROOT / "deploy" / "prometheus"
    for what, file in (
        (["config", "--syntax-only"], folder / "prometheus.yaml"),
        (["rules"], folder / "rules" / "moovier.yaml"),
    ):
        done = subprocess.run(
            ["promtool", "check", *what, str(file)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
