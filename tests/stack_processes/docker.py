"""The services of docker-compose.yaml as containers, through ``docker compose``.

Tests use it where a Docker engine answers. It relies on documented behaviour of compose only.
"""

from __future__ import annotations

import contextlib
import functools
import json
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.servers import free_port
from tests.stack_processes.container_paths import ROOT


@functools.cache
def has_engine() -> bool:
    """Return whether a Docker engine with the compose plugin answers."""
    if shutil.which("docker") is None:
        return False
    return all(
        subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
        for command in (["docker", "info"], ["docker", "compose", "version"])
    )


class DockerStack:
    """A compose project with its own name, ports and volumes; see :func:`docker_stack`.

    ``overrides``: compose files that change docker-compose.yaml of the folder ``root``.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        scale: Mapping[str, int],
        env: Path,
        overrides: Sequence[Path] = (),
        root: Path = ROOT,
    ) -> None:
        ports = {name: str(free_port()) for name in variables if name.endswith("_PORT")}
        self.variables = {**variables, **ports}
        self._scale = scale
        env.write_text("".join(f"{name}={value}\n" for name, value in self.variables.items()))
        self.project = f"moovier-test-{secrets.token_hex(4)}"
        self._env = env
        self.use(root, overrides)

    def use(self, root: Path, overrides: Sequence[Path] = ()) -> None:
        """Use the files of the checkout in ``root`` for what starts from now on."""
        self._base = [
            *("docker", "compose", "--project-name", self.project, "--env-file", str(self._env)),
            *("--project-directory", str(root)),
        ]
        for file in (root / "docker-compose.yaml", *overrides):
            self._base += ["--file", str(file)]

    def url(self, service: str, port: int) -> str:
        return f"http://{self._compose('port', service, str(port)).strip()}"

    def up(self, *, timeout_s: float, without: frozenset[str] = frozenset()) -> None:
        """Build the images, start all services but ``without``, and wait until all are healthy."""
        names = self._compose("config", "--services").split()
        scale = [word for name, n in self._scale.items() for word in ("--scale", f"{name}={n}")]
        self.build()
        chosen = [name for name in names if name not in without]
        self._compose("up", "--detach", "--no-build", *scale, *chosen, timeout_s=1800.0)
        self.await_all_healthy(timeout_s=timeout_s)

    def build(self) -> None:
        """Build the images that the compose file builds."""
        self._compose("build", timeout_s=3600.0)

    def await_all_healthy(self, *, timeout_s: float) -> None:
        """Wait until the health check of every container succeeds."""
        deadline = time.monotonic() + timeout_s
        while bad := {n: s for n, s in self.health().items() if s not in ("healthy", "done")}:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not healthy after {timeout_s:.0f} s: {bad}")
            time.sleep(2.0)

    def start(self, name: str) -> None:
        """Start a container that was killed, or its service for the first time."""
        service, _, number = name.rpartition("-")
        if container := self._container(service, number):
            subprocess.run(["docker", "start", container], check=True, capture_output=True)
        else:
            self._compose("up", "--detach", "--no-build", "--no-deps", service)

    def kill(self, name: str) -> None:
        service, _, number = name.rpartition("-")
        container = self._container(service, number)
        assert container is not None, f"{name} does not run"
        subprocess.run(["docker", "kill", container], check=True, capture_output=True)

    def await_healthy(self, name: str, *, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self.health().get(name) != "healthy":
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name}: {self.health().get(name)}\n{self.logs(name)[-4000:]}")
            time.sleep(1.0)

    def run(self, service: str, *command: str, timeout_s: float = 120.0) -> str:
        return self._compose("exec", "--no-TTY", service, *command, timeout_s=timeout_s)

    def logs(self, name: str) -> str:
        service, _, number = name.rpartition("-")
        return self._compose("logs", "--no-color", "--index", number, service)

    def put(self, bucket: str, folder: Path) -> bool:
        """Return False: the store publishes no port."""
        return False

    def health(self) -> dict[str, str]:
        states = {}
        for line in self._compose("ps", "--all", "--format", "json").splitlines():
            container = json.loads(line)
            name = f"{container['Service']}-{container['Name'].rpartition('-')[2]}"
            if container["State"] == "exited":
                states[name] = (
                    "done" if container["ExitCode"] == 0 else f"exit code {container['ExitCode']}"
                )
            else:
                states[name] = container["Health"] or container["State"]
        return states

    def end(self) -> None:
        self._compose("down", "--volumes", "--remove-orphans", "--timeout", "10", timeout_s=300.0)

    def _container(self, service: str, number: str) -> str | None:
        labels = {"project": self.project, "service": service, "container-number": number}
        filters = [f"--filter=label=com.docker.compose.{name}={labels[name]}" for name in labels]
        listed = subprocess.run(
            ["docker", "ps", "--all", "--quiet", *filters],
            check=True,
            capture_output=True,
            text=True,
        )
        return listed.stdout.strip() or None

    def _compose(self, *command: str, timeout_s: float = 120.0) -> str:
        done = subprocess.run(
            [*self._base, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        if done.returncode != 0:
            raise RuntimeError(f"docker compose {' '.join(command)}: {done.stderr[-2000:]}")
        return done.stdout


@contextlib.contextmanager
def docker_stack(variables: Mapping[str, str], scale: Mapping[str, int]) -> Iterator[DockerStack]:
    """Yield a project that is not started yet; remove it with its volumes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        stack = DockerStack(variables, scale, Path(folder) / "env")
        try:
            yield stack
        finally:
            stack.end()
