"""The checkout of an earlier commit, and what the engine at hand needs to run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import yaml

from tests.containers.project import BUILT, network_overrides
from tests.stack_processes.container_paths import ROOT

#: What the test upgrades from: a commit with psycopg 2, two migrations of the feedback database and
#: the S3 keys in a file. Once there are releases, name the last one's tag.
PREVIOUS = "0ab58ae480a7"
TAG = "previous"


def checkout(commit: str, folder: Path, *, repository: Path = ROOT) -> Path:
    """Write the files of ``commit`` into ``folder``; raise RuntimeError without the history."""
    archive = folder / "files.tar"
    done = subprocess.run(
        ["git", "-C", str(repository), "archive", f"--output={archive}", commit],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"cannot read commit {commit} of {repository}: {done.stderr.strip()}. The test of the "
            "upgrade builds the images of that commit: run it in a clone with the whole history "
            "(`git fetch --unshallow`)"
        )
    root = folder / "previous"
    with tarfile.open(archive) as files:
        files.extractall(root, filter="data")
    archive.unlink()
    return root


def mend(root: Path) -> None:
    """Change the files of :data:`PREVIOUS` by hand as engines with runc 1.1 needed it.

    See the table of old and new engines in docs/operations.md.
    """
    compose = root / "docker-compose.yaml"
    compose.write_text(
        compose.read_text().replace(
            "/var/lib/moovier:mode=1777,", "/var/lib/moovier:uid=1000,gid=1000,"
        )
    )
    if "CONTAINERS_STANDINS" not in os.environ:
        return
    # The stand-in for Python has python3 and the installed scripts in different folders, and no
    # registry to fetch a parser from.
    link = "RUN ln -s /usr/bin/python3 /usr/local/bin/python3"
    for file in (root / "Dockerfile", root / "mlflow" / "Dockerfile"):
        text = re.sub(r"^# syntax=.*\n", "", file.read_text())
        file.write_text(re.sub(r"^(FROM python:.*)$", rf"\1\n{link}", text, flags=re.MULTILINE))


def overrides(root: Path, folder: Path) -> list[Path]:
    """Return compose files with the tag :data:`TAG` for our images, written to ``folder``."""
    services = yaml.safe_load((root / "docker-compose.yaml").read_text())["services"]
    changes: dict[str, dict[str, Any]] = {
        name: {"image": f"{service['image']}:{TAG}"}
        for name, service in services.items()
        if "build" in service
    }
    # Its config with inline content is copied into the root of the container. The stand-in reads
    # the keys from its environment.
    keys = {
        "AWS_ACCESS_KEY_ID": "${S3_ACCESS_KEY}",
        "AWS_SECRET_ACCESS_KEY": "${S3_SECRET_KEY}",
    }
    changes["s3"] = {"read_only": False, "environment": keys}
    file = folder / "previous.yaml"
    file.write_text(json.dumps({"services": changes}))
    return [*network_overrides(folder), file]


def images(root: Path) -> list[str]:
    """Return our images with their tag."""
    services = yaml.safe_load((root / "docker-compose.yaml").read_text())["services"]
    return [f"{services[name]['image']}:{TAG}" for name in BUILT]
