"""The manifests of deploy/kubernetes; `make lint-kubernetes` checks them against the schemas."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import moovier

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "airflow-values.yaml").read_text())
#: Keys that Airflow's chart reads from the Secrets that the values name.
CHART_KEYS = {
    "fernetKeySecretName": "fernet-key",
    "apiSecretKeySecretName": "api-secret-key",
    "jwtSecretName": "jwt-secret",
}


def documents(name: str) -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all((FOLDER / name).read_text()) if item]


RESOURCES = [item for name in KUSTOMIZATION["resources"] for item in documents(name)]
SECRETS = {
    item["metadata"]["name"]: set(item["stringData"]) for item in documents("secrets.example.yaml")
}


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in RESOURCES if item["kind"] == kind}


PODS = {
    name: item["spec"]["template"]
    for kind in ("Deployment", "Job")
    for name, item in of_kind(kind).items()
}


@pytest.fixture(params=PODS)
def pod(request: pytest.FixtureRequest) -> dict[str, Any]:
    spec: dict[str, Any] = PODS[request.param]["spec"]
    return spec


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    return dict(only)


def environment(name: str) -> dict[str, Any]:
    return {item["name"]: item for item in container(PODS[name]["spec"])["env"]}


def test_every_file_is_used() -> None:
    others = {"kustomization.yaml", "airflow-values.yaml", "secrets.example.yaml"}
    assert {file.name for file in FOLDER.glob("*.yaml")} == others | set(KUSTOMIZATION["resources"])


def test_pods_run_without_rights(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    # Kubernetes would set MLFLOW_PORT and the like, which our settings read or refuse.
    assert pod["enableServiceLinks"] is False
    rights = container(pod)["securityContext"]
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["capabilities"] == {"drop": ["ALL"]}
    mounts = {mount["name"] for mount in container(pod)["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}


def test_pods_have_limits(pod: dict[str, Any]) -> None:
    resources = container(pod)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    # A limit of processor time would slow answers down while cores are idle.
    assert set(resources["limits"]) == {"memory"}


def test_images_have_the_version_of_the_release(pod: dict[str, Any]) -> None:
    versions = {image["name"]: image["newTag"] for image in KUSTOMIZATION["images"]}
    assert versions[container(pod)["image"]] == moovier.__version__
    assert VALUES["images"]["airflow"]["tag"] == moovier.__version__


def test_secrets_come_by_reference_and_exist(pod: dict[str, Any]) -> None:
    for item in container(pod).get("env", []):
        if "valueFrom" in item:
            reference = item["valueFrom"]["secretKeyRef"]
            assert reference["key"] in SECRETS[reference["name"]], item
        else:
            assert not re.search("PASSWORD|SECRET|TOKEN|_KEY$", item["name"]), item
    maps = of_kind("ConfigMap")
    for item in container(pod).get("envFrom", []):
        assert item["configMapRef"]["name"] in maps
    for settings in maps.values():
        assert not re.search("PASSWORD|SECRET|ACCESS_KEY", " ".join(settings["data"]))


def test_airflow_reads_existing_secrets_and_settings() -> None:
    assert "connection" in SECRETS[VALUES["data"]["metadataSecretName"]]
    for value, key in CHART_KEYS.items():
        assert key in SECRETS[VALUES[value]]
    for item in VALUES["secret"]:
        assert item["secretKey"] in SECRETS[item["secretName"]]
    for item in yaml.safe_load(VALUES["extraEnvFrom"]):
        assert item["configMapRef"]["name"] in of_kind("ConfigMap")


def test_services_reach_their_pods() -> None:
    services = of_kind("Service")
    assert set(services) == {"mlflow", "trainer", "service"}
    for name, service in services.items():
        assert PODS[name]["metadata"]["labels"].items() >= service["spec"]["selector"].items()
        (port,) = container(PODS[name]["spec"])["ports"]
        assert service["spec"]["ports"][0]["targetPort"] == port["name"]
        assert service["spec"]["ports"][0]["port"] == port["containerPort"]
    settings = of_kind("ConfigMap")["moovier-settings"]["data"]
    assert settings["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert environment("service")["MOOVIER_TRAINER_URL"]["value"] == "http://trainer:3000"


def test_service_scales_and_only_the_service_reaches_the_trainer() -> None:
    scaler = of_kind("HorizontalPodAutoscaler")["service"]["spec"]
    assert scaler["minReplicas"] >= 2
    assert scaler["scaleTargetRef"]["name"] == "service"
    # A number in the Deployment would undo the autoscaler with each apply.
    assert "replicas" not in of_kind("Deployment")["service"]["spec"]
    assert environment("service")["MOOVIER_REQUIRE_KEYS"]["value"] == "true"
    (rule,) = of_kind("NetworkPolicy")["trainer"]["spec"]["ingress"]
    (allowed,) = rule["from"]
    assert (
        allowed["podSelector"]["matchLabels"].items()
        <= PODS["service"]["metadata"]["labels"].items()
    )


def test_tasks_run_at_once_as_the_pool_allows() -> None:
    assert VALUES["executor"] == "KubernetesExecutor"
    pool = environment("airflow-user")["AIRFLOW__CORE__PARALLELISM"]["value"]
    assert int(pool) == VALUES["config"]["core"]["parallelism"]


def test_airflow_version_is_the_locked_one() -> None:
    locked = re.search(r"^apache-airflow==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)
    assert locked is not None
    assert VALUES["airflowVersion"] == locked[1]


def test_mlflow_users_are_configured_as_in_the_containers() -> None:
    ours, theirs = configparser.ConfigParser(), configparser.ConfigParser()
    ours.read_string(of_kind("ConfigMap")["mlflow-users"]["data"]["basic_auth.ini"])
    theirs.read(ROOT / "mlflow" / "basic_auth.ini")
    different = {key for key, value in theirs["mlflow"].items() if ours["mlflow"].get(key) != value}
    assert different == {"database_uri"}
    assert set(ours["mlflow"]) == set(theirs["mlflow"])
