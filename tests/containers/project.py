"""A compose project, and the observed state of its containers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stack_processes.compose import read_compose
from tests.stack_processes.container_paths import ROOT
from tests.stack_processes.docker import DockerStack
from tests.stack_processes.driver import generated_variables

#: Grafana has no stand-in: Debian has no package of it.
ABSENT = frozenset({"grafana"} if "CONTAINERS_STANDINS" in os.environ else ())

#: The services of docker-compose.yaml that need no profile, by name.
SERVICES = read_compose(ROOT / "docker-compose.yaml", generated_variables())

HOG = Path(__file__).with_name("memory_hog.py")
#: One service for each image of ours.
BUILT = ("service", "trainer", "mlflow")


def docker(*command: str, timeout_s: float = 120.0) -> str:
    """Return the output of a docker command; raise RuntimeError if it fails."""
    done = subprocess.run(
        ["docker", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"docker {' '.join(command)}: exit code {done.returncode}: {done.stderr[-4000:]}"
        )
    return done.stdout


@dataclass(frozen=True)
class Process:
    """A process in a container. Capabilities are a bit mask."""

    name: str
    uids: frozenset[int]
    capabilities: int
    no_new_privileges: bool


def backup_commands() -> tuple[str, str]:
    """Return the commands of docs/operations.md that back up and restore.

    Without the last line, which starts all services: this machine may lack some of them.
    """
    text = (ROOT / "docs" / "operations.md").read_text()
    (section,) = re.findall(r"^### Backup and restore$(.*?)^### ", text, re.MULTILINE | re.DOTALL)
    backup, restore = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    last = "docker compose up -d\n"
    assert restore.endswith(last)
    return backup, restore.removesuffix(last)


class Project(DockerStack):
    """A stack whose containers can be inspected."""

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return `docker inspect` of every container, running or not, by ``<service>-<number>``."""
        ids = self._compose("ps", "--all", "--quiet").split()
        described: list[dict[str, Any]] = json.loads(docker("inspect", *ids))
        names = "com.docker.compose.service", "com.docker.compose.container-number"
        return {"-".join(c["Config"]["Labels"][name] for name in names): c for c in described}

    def running(self) -> dict[str, dict[str, Any]]:
        """Return those of :meth:`containers` that run."""
        return {name: c for name, c in self.containers().items() if c["State"]["Running"]}

    def processes(self, container: str) -> list[Process]:
        """Return the processes of a container without those that look, from inside."""
        text = docker("exec", container, "sh", "-c", "cat /proc/[0-9]*/status 2>/dev/null || true")
        found = {}
        for block in re.split(r"^(?=Name:)", text, flags=re.MULTILINE)[1:]:
            lines = dict(line.split(":", 1) for line in block.splitlines() if ":" in line)
            found[int(lines["Pid"])] = lines
        return [
            Process(
                name=lines["Name"].strip(),
                uids=frozenset(map(int, lines["Uid"].split())),
                capabilities=int(lines["CapPrm"], 16) | int(lines["CapEff"], 16),
                no_new_privileges=lines["NoNewPrivs"].strip() == "1",
            )
            for pid, lines in found.items()
            if _first_ancestor(pid, found) == 1
        ]

    def restart(self, service: str) -> None:
        """Restart the containers of a service as its grace period allows."""
        self._compose("restart", service, timeout_s=700.0)

    def shell(self, script: str, folder: Path, *, timeout_s: float = 300.0) -> str:
        """Run a script of docs/operations.md, whose `docker compose` is this project."""
        files, env = (
            [self._base[i + 1] for i, word in enumerate(self._base) if word == option]
            for option in ("--file", "--env-file")
        )
        variables = {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": ":".join(files),
            "COMPOSE_ENV_FILES": env[0],
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def exhaust_memory(self, name: str, word: str = "") -> None:
        """Allocate memory in a container until the kernel kills one of its processes.

        The process is the main program, or with ``word`` one that has mapped a file of that name.
        """
        container, since = self.containers()[name]["Id"], time.time()
        hog = ("python", "-c", HOG.read_text(), word)
        problem = "0"
        try:
            docker("exec", container, *hog)
        except RuntimeError as error:
            # It fails if its container ends, too.
            problem = str(error).rpartition("exit code ")[2]
        filters = ("--filter", f"container={container}", "--filter", "event=oom")
        period = ("--since", f"{since:.3f}", "--until", f"{time.time() + 1:.3f}")
        events = docker("events", *period, *filters)
        assert events, f"{name} was never out of memory: exit code {problem}"

    def down(self, *, volumes: bool) -> None:
        """Remove the containers and networks, and with ``volumes`` the data."""
        options = ["--volumes"] if volumes else []
        self._compose("down", "--remove-orphans", *options, timeout_s=900.0)

    def left_over(self) -> list[str]:
        """Return the containers, volumes and networks of the project."""
        label = ("--quiet", "--filter", f"label=com.docker.compose.project={self.project}")
        return [
            *docker("ps", "--all", *label).split(),
            *docker("volume", "ls", *label).split(),
            *docker("network", "ls", *label).split(),
        ]

    def build(self) -> None:
        """Build nothing: :meth:`build_ours` builds our images if a test starts any."""

    def build_ours(self) -> None:
        """Build each of our images once."""
        self._compose("build", *BUILT, timeout_s=3600.0)

    def scale(self, service: str, number: int) -> None:
        """Run so many containers of a service."""
        scale = f"{service}={number}"
        self._compose(
            *("up", "--detach", "--no-build", "--no-deps", "--scale", scale, service),
            timeout_s=300.0,
        )


def _first_ancestor(pid: int, found: Mapping[int, Mapping[str, str]]) -> int:
    """Return the ancestor that was started from outside; 1 for the container's own processes."""
    while (parent := int(found[pid]["PPid"])) in found:
        pid = parent
    return pid


@contextlib.contextmanager
def project(root: Path = ROOT, **variables: str) -> Iterator[Project]:
    """Yield a project that is not started; remove it with its data afterwards.

    ``root``: the checkout whose files it takes at first.
    """
    with tempfile.TemporaryDirectory() as folder:
        created = Project(
            generated_variables(root=root, **variables),
            {},
            Path(folder) / "env",
            network_overrides(Path(folder)),
            root,
        )
        try:
            yield created
        finally:
            created.down(volumes=True)


def network_overrides(folder: Path) -> list[Path]:
    """Return the compose files with which this engine can build; ``folder``: where to write them.

    The engine of engine.sh reaches the package registries through the host only.
    """
    if "CONTAINERS_STANDINS" not in os.environ:
        return []
    file = folder / "network.yaml"
    services = {name: {"build": {"network": "host"}} for name in BUILT}
    file.write_text(json.dumps({"services": services}))
    return [file]
