"""The files of Prometheus and Grafana beside docker-compose.yaml."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def test_grafana_files_name_the_data_source_and_the_dashboards() -> None:
    """Only the files are tested, because Grafana has no local program."""
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
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
    dashboards = set()
    for file in (folder / "dashboards").glob("*.json"):
        dashboard = json.loads(file.read_text())
        dashboards.add(dashboard["uid"])
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                assert panel["datasource"]["uid"] == source["uid"], panel["title"]
                assert panel["targets"], panel["title"]
    assert len(dashboards) == 3
    home = compose["services"]["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert (folder / "dashboards" / Path(home).name).is_file()


def test_prometheus_accepts_its_configuration() -> None:
    if shutil.which("promtool") is None:
        assert "CI" not in os.environ, "CI needs promtool (Debian's package prometheus)"
        pytest.skip("no promtool")
    folder = ROOT / "deploy" / "prometheus"
    for arguments, file in (
        (["config", "--syntax-only"], folder / "prometheus.yaml"),
        (["rules"], folder / "rules" / "moovier.yaml"),
    ):
        done = subprocess.run(
            ["promtool", "check", *arguments, str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
