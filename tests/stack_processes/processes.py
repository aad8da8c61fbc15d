"""The services of docker-compose.yaml as local processes: started, watched, killed, ended."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import psutil

from tests.stack_processes import standins
from tests.stack_processes.compose import Service, read_compose
from tests.stack_processes.container import MARKER, Container, end_processes, marked_processes
from tests.stack_processes.container_paths import ROOT, ContainerPaths

#: Services without a local program.
ABSENT = {"grafana"}
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
_TICK_S = 0.5
_CHECK_S = 60.0


class ProcessStack:
    """All services but :data:`ABSENT`. Create one with :func:`process_stack`."""

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        scale: Mapping[str, int],
        project_files: Mapping[str, str],
    ) -> None:
        self.folder = folder
        self.variables: Mapping[str, str] = dict(variables)
        self._project_files = project_files
        services = read_compose(ROOT / "docker-compose.yaml", self.variables)
        self.services = {name: service for name, service in services.items() if name not in ABSENT}
        network = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
        names = [
            (name, number) for name in self.services for number in range(1, scale.get(name, 1) + 1)
        ]
        hosts = {name: f"{network}.{host}" for host, name in enumerate(names, start=10)}
        first = {name: hosts[name, 1] for name in self.services}
        self.containers = {
            f"{name}-{number}": self._container(name, number, hosts[name, number], first)
            for name, number in names
        }
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    # Interface of :class:`tests.stack_processes.driver.Stack`

    def url(self, service: str, port: int) -> str:
        """Return the local address of a port of the service."""
        return f"http://{self.containers[f'{service}-1'].paths.address}:{port}"

    def up(self, *, timeout_s: float, without: frozenset[str] = frozenset()) -> None:
        """Start the containers in the order of `depends_on`; wait until all are healthy or done.

        Raises:
            RuntimeError: A container failed or took too long; the message ends with its log.
        """
        todo = [
            container
            for container in self.containers.values()
            if container.service.name not in without
        ]
        deadline = time.monotonic() + timeout_s
        checks: dict[str, concurrent.futures.Future[bool]] = {}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            while not all(self._settled(container) for container in todo):
                for container in todo:
                    if not container.wanted and self._may_start(container.service):
                        self.start(container.name)
                    if container.wanted and container.service.restarts and not container.healthy:
                        self._update_health(container, checks, pool)
                    self._check_failed(container)
                if time.monotonic() > deadline:
                    late = [container for container in todo if not self._settled(container)]
                    raise RuntimeError(
                        "\n".join(map(self._report, late)) or f"not up within {timeout_s:.0f} s"
                    )
                time.sleep(_TICK_S)

    def start(self, name: str) -> None:
        """Start a container, again or for the first time."""
        with self._lock:
            container = self.containers[name]
            container.wanted, container.healthy = True, False
            self._spawn(container)

    def kill(self, name: str) -> None:
        """Send SIGKILL to all processes of the container, as a machine that loses power.

        The container stays down until it is started again.
        """
        with self._lock:
            container = self.containers[name]
            container.wanted, container.healthy = False, False
            if not (running := self._processes(container)):
                raise RuntimeError(f"{name} has no running process to kill")
            # A process may start another child while the list is read.
            for _ in range(10):
                end_processes(running, hard=True)
                if not (running := self._processes(container)):
                    break

    def stop(self, name: str, *, grace_s: float = 20.0) -> None:
        """Send SIGTERM to the container's first process, then SIGKILL to all that are left."""
        with self._lock:
            container = self.containers[name]
            container.wanted = False
        if container.process is not None and container.process.poll() is None:
            container.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                container.process.wait(grace_s)
        end_processes(self._processes(container), hard=True)

    def await_healthy(self, name: str, *, timeout_s: float) -> None:
        container = self.containers[name]
        deadline = time.monotonic() + timeout_s
        while not self._is_healthy(container):
            if time.monotonic() > deadline:
                raise RuntimeError(self._report(container))
            time.sleep(_TICK_S)

    def run(self, service: str, *command: str, timeout_s: float = 120.0) -> str:
        """Run a command in the service's first container and return its output.

        Raises:
            CalledProcessError: The command failed.
        """
        container = self.containers[f"{service}-1"]
        return subprocess.run(
            [container.paths.translate(word) for word in command],
            env=self._environment(container),
            cwd=container.paths.workdir,
            capture_output=True,
            text=True,
            check=True,
            timeout=timeout_s,
        ).stdout

    def logs(self, name: str) -> str:
        log = self.containers[name].log
        return log.read_text(errors="replace") if log.exists() else ""

    def put(self, bucket: str, folder: Path) -> bool:
        """Copy the files of ``folder`` into the S3 store."""
        import boto3

        s3 = boto3.client(
            "s3",
            endpoint_url=self.url("s3", 8333),
            region_name="us-east-1",
            aws_access_key_id=self.variables["S3_ACCESS_KEY"],
            aws_secret_access_key=self.variables["S3_SECRET_KEY"],
        )
        for file in folder.rglob("*"):
            if file.is_file():
                s3.upload_file(str(file), bucket, file.relative_to(folder).as_posix())
        return True

    def health(self) -> dict[str, str]:
        """Return per container the result of its last health check, or how it ended."""
        return {container.name: container.state for container in self.containers.values()}

    def end(self) -> None:
        """End all processes of the stack."""
        self._ended.set()
        self._watcher.join()
        for container in reversed(self.containers.values()):
            container.wanted = False
        end_processes(self._all_processes(), hard=False)
        for _ in range(10):
            if not (left := self._all_processes()):
                break
            end_processes(left, hard=True)

    # Starting

    def _container(
        self, name: str, number: int, address: str, addresses: Mapping[str, str]
    ) -> Container:
        service = self.services[name]
        paths = ContainerPaths(
            service, address, addresses, self.folder / f"{name}-{number}", self.folder / "volumes"
        )
        paths.create()
        for path, text in self._project_files.items():
            # Only where the image has a copy: a link leads to the checkout itself.
            if (copy := paths.workdir / path).exists() and not copy.is_symlink():
                copy.write_text(text)
        container = Container(f"{name}-{number}", paths, [], None)
        container.command = standins.command(paths, self._environment(container))
        container.user = standins.user(service)
        return container

    def _environment(self, container: Container) -> dict[str, str]:
        here = {
            key: container.paths.translate(value)
            for key, value in container.service.environment.items()
        }
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "HOSTNAME": container.name,
            "PYTHONUNBUFFERED": "1",
            **here,
            **standins.environment(container.paths),
            MARKER: str(container.paths.folder),
            # Without it, a process that renames itself wipes the marker (setproctitle's README).
            "SPT_NOENV": "1",
        }

    def _spawn(self, container: Container) -> None:
        container.starts.append(time.monotonic())
        environment = self._environment(container)
        standins.prepare(container.paths, environment)
        with container.log.open("ab") as log:
            container.process = subprocess.Popen(
                container.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=container.paths.workdir,
                start_new_session=True,
                user=container.user,
            )

    def _watch(self) -> None:
        """Restart ended containers, after growing delays, as Docker does by `unless-stopped`."""
        while not self._ended.wait(_TICK_S):
            for container in self.containers.values():
                with self._lock:
                    if (
                        container.wanted
                        and container.service.restarts
                        and container.exit_code is not None
                    ):
                        recent = [s for s in container.starts if time.monotonic() - s < 120]
                        if time.monotonic() - container.starts[-1] > min(len(recent), 10):
                            end_processes(self._processes(container), hard=True)
                            self._spawn(container)

    # Order and health

    def _may_start(self, service: Service) -> bool:
        return all(
            self._is_done(other)
            if condition == "service_completed_successfully"
            else self._are_healthy(other)
            for other, condition in service.depends_on.items()
        )

    def _of(self, service: str) -> list[Container]:
        return [
            container for container in self.containers.values() if container.service.name == service
        ]

    def _is_done(self, service: str) -> bool:
        return all(container.exit_code == 0 for container in self._of(service))

    def _are_healthy(self, service: str) -> bool:
        return all(container.healthy for container in self._of(service))

    def _settled(self, container: Container) -> bool:
        return container.healthy if container.service.restarts else container.exit_code == 0

    def _update_health(
        self,
        container: Container,
        checks: dict[str, concurrent.futures.Future[bool]],
        pool: concurrent.futures.Executor,
    ) -> None:
        """Start the health check, or take the result of the one that has ended."""
        if (check := checks.get(container.name)) is None:
            checks[container.name] = pool.submit(self._is_healthy, container)
        elif check.done():
            container.healthy = check.result()
            del checks[container.name]

    def _is_healthy(self, container: Container) -> bool:
        """Run the health check of the file once."""
        assert container.service.healthcheck is not None, f"{container.name} has no health check"
        environment = self._environment(container)
        command = standins.healthcheck(container.paths, environment)
        try:
            done = subprocess.run(
                command,
                env=environment,
                cwd=container.paths.workdir,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=_CHECK_S,
            )
        except subprocess.TimeoutExpired:
            return False
        (container.paths.folder / "health.txt").write_bytes(done.stdout)
        container.healthy = done.returncode == 0
        return container.healthy

    def _check_failed(self, container: Container) -> None:
        if (
            container.wanted
            and not container.service.restarts
            and container.exit_code not in (None, 0)
        ):
            raise RuntimeError(self._report(container))
        if len(container.starts) > 3:
            raise RuntimeError(f"{container.name} does not stay up\n{self._report(container)}")

    def _report(self, container: Container) -> str:
        health = container.paths.folder / "health.txt"
        check_output = health.read_text(errors="replace")[-1500:] if health.exists() else ""
        state = "not started" if not container.starts else f"exit code {container.exit_code}"
        command = standins.healthcheck(container.paths, self._environment(container))
        log = self.logs(container.name)[-4000:]
        return f"{container.name}: {state}\n{log}\nhealth check {command}: {check_output}"

    # Ending

    def _processes(self, container: Container) -> list[psutil.Process]:
        return list(
            {
                *marked_processes(lambda mark: mark == str(container.paths.folder)),
                *container.family(),
            }
        )

    def _all_processes(self) -> list[psutil.Process]:
        families = [
            process for container in self.containers.values() for process in container.family()
        ]
        return list({*marked_processes(lambda mark: mark.startswith(f"{self.folder}/")), *families})


@contextlib.contextmanager
def process_stack(
    variables: Mapping[str, str],
    scale: Mapping[str, int],
    project_files: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[ProcessStack]:
    """Yield a stack that is not started yet, in a folder of its own; end it afterwards.

    ``project_files``: texts of copied project files that differ from the checkout's, such as
    `data/ml-latest-small.dvc`, in all containers that have the file.
    The folder is kept if ``KEEP_STACK`` is set in the environment.
    """
    # Not pytest's folder, which the user postgres must not enter.
    folder = Path(tempfile.mkdtemp(prefix="moovier-stack-"))
    folder.chmod(0o711)
    stack = None
    try:
        stack = ProcessStack(folder, variables, scale, project_files)
        yield stack
    finally:
        if stack is not None:
            stack.end()
        if "KEEP_STACK" not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)


def has_loopback_network() -> bool:
    """Return whether all of 127.0.0.0/8 belongs to this machine, as on Linux."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.77.1.2", 0))
        return True
    return False
