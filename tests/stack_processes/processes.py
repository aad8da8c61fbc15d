"""The containers of docker-compose.yaml as processes: started in order, watched, killed, ended."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.stack_processes import standins
from tests.stack_processes.compose import Service, read_compose
from tests.stack_processes.container_paths import ROOT, Place

#: In the environment of every process: children inherit it wherever they move to. Some programs
#: (Redis) wipe theirs, and are found as what was started.
MARKER = "_MOOVIER_CONTAINER"
#: No program of it is to be had here.
ABSENT = {"grafana"}
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
_TICK_S = 0.5
_CHECK_S = 60.0


@dataclass
class Container:
    """One container of a service. ``wanted``: it is meant to run."""

    name: str
    place: Place
    command: list[str]
    user: str | None
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    healthy: bool = False
    starts: list[float] = field(default_factory=list)

    @property
    def service(self) -> Service:
        return self.place.service

    @property
    def log(self) -> Path:
        return self.place.folder / "log.txt"

    @property
    def exit_code(self) -> int | None:
        return None if self.process is None else self.process.poll()

    def family(self) -> list[psutil.Process]:
        """What was started, as long as it runs, and its descendants."""
        if self.process is None or self.exit_code is not None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []


class ProcessStack:
    """All services but :data:`ABSENT`. Use :func:`process_stack`."""

    def __init__(
        self, folder: Path, variables: Mapping[str, str], scale: Mapping[str, int]
    ) -> None:
        self.folder = folder
        self.variables = dict(variables)
        services = read_compose(ROOT / "docker-compose.yaml", self.variables)
        self.services = {name: one for name, one in services.items() if name not in ABSENT}
        network = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
        names = [
            (name, number) for name in self.services for number in range(1, scale.get(name, 1) + 1)
        ]
        hosts = {one: f"{network}.{host}" for host, one in enumerate(names, start=10)}
        first = {name: hosts[name, 1] for name in self.services}
        self.containers = {
            f"{name}-{number}": self._container(name, number, hosts[name, number], first)
            for name, number in names
        }
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    # What tests use

    def url(self, service: str, port: int) -> str:
        """Where a port of the service is reached from here."""
        return f"http://{self.containers[f'{service}-1'].place.address}:{port}"

    def up(self, *, timeout_s: float, without: frozenset[str] = frozenset()) -> None:
        """Start every container in the order that `depends_on` asks for, and wait until all are
        healthy, or have done what they were for.

        Raises:
            RuntimeError: one ended badly, or took too long; with the end of its log.
        """
        todo = [one for one in self.containers.values() if one.service.name not in without]
        deadline = time.monotonic() + timeout_s
        checks: dict[str, concurrent.futures.Future[bool]] = {}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            while not all(self._settled(one) for one in todo):
                for one in todo:
                    if not one.wanted and self._may_start(one.service):
                        self.start(one.name)
                    if one.wanted and one.service.restarts and not one.healthy:
                        self._look(one, checks, pool)
                    self._check_failed(one)
                if time.monotonic() > deadline:
                    late = [one for one in todo if not self._settled(one)]
                    raise RuntimeError("\n".join(map(self._said, late)) or "too slow")
                time.sleep(_TICK_S)

    def start(self, name: str) -> None:
        """Start a container, again or for the first time."""
        with self._lock:
            one = self.containers[name]
            one.wanted, one.healthy = True, False
            self._spawn(one)

    def kill(self, name: str) -> None:
        """As a machine that loses its power: SIGKILL to all processes of the container; it stays
        down until it is started again."""
        with self._lock:
            one = self.containers[name]
            one.wanted, one.healthy = False, False
            if not (running := self._processes(one)):
                raise RuntimeError(f"nothing of {name} runs that could be killed")
            _end(running, hard=True)

    def stop(self, name: str, *, patience_s: float = 20.0) -> None:
        """SIGTERM to the container's first process, SIGKILL to what is left afterwards."""
        with self._lock:
            one = self.containers[name]
            one.wanted = False
        if one.process is not None and one.process.poll() is None:
            one.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.process.wait(patience_s)
        _end(self._processes(one), hard=True)

    def await_healthy(self, name: str, *, timeout_s: float) -> None:
        one = self.containers[name]
        deadline = time.monotonic() + timeout_s
        while not self._is_healthy(one):
            if time.monotonic() > deadline:
                raise RuntimeError(self._said(one))
            time.sleep(_TICK_S)

    def run(self, service: str, *command: str, timeout_s: float = 120.0) -> str:
        """Run a command in the service's first container; what it printed.

        Raises:
            CalledProcessError: it failed.
        """
        one = self.containers[f"{service}-1"]
        return subprocess.run(
            [one.place.here(word) for word in command],
            env=self._environment(one),
            cwd=one.place.workdir,
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
        """What the health checks said when the containers were started, and who ended since."""
        return {one.name: _state(one) for one in self.containers.values()}

    def end(self) -> None:
        """End everything, and delete what it wrote."""
        self._ended.set()
        self._watcher.join()
        for one in reversed(self.containers.values()):
            one.wanted = False
        _end(self._all_processes(), hard=False)
        for _ in range(10):
            if not (left := self._all_processes()):
                break
            _end(left, hard=True)

    # Starting

    def _container(
        self, name: str, number: int, address: str, addresses: Mapping[str, str]
    ) -> Container:
        service = self.services[name]
        place = Place(
            service, address, addresses, self.folder / f"{name}-{number}", self.folder / "volumes"
        )
        place.furnish()
        one = Container(f"{name}-{number}", place, [], None)
        one.command = standins.command(place, self._environment(one))
        one.user = standins.user(service)
        return one

    def _environment(self, one: Container) -> dict[str, str]:
        here = {key: one.place.here(value) for key, value in one.service.environment.items()}
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "HOSTNAME": one.name,
            "PYTHONUNBUFFERED": "1",
            **here,
            **standins.environment(one.place),
            MARKER: str(one.place.folder),
            # A process that renames itself would wipe the marker (setproctitle's README).
            "SPT_NOENV": "1",
        }

    def _spawn(self, one: Container) -> None:
        one.starts.append(time.monotonic())
        environment = self._environment(one)
        standins.prepare(one.place, environment)
        with one.log.open("ab") as log:
            one.process = subprocess.Popen(
                one.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=one.place.workdir,
                start_new_session=True,
                user=one.user,
            )

    def _watch(self) -> None:
        """Docker's `restart: unless-stopped`: what ends is started again, ever later."""
        while not self._ended.wait(_TICK_S):
            for one in self.containers.values():
                with self._lock:
                    if one.wanted and one.service.restarts and one.exit_code is not None:
                        lately = [s for s in one.starts if time.monotonic() - s < 120]
                        if time.monotonic() - one.starts[-1] > min(len(lately), 10):
                            _end(self._processes(one), hard=True)
                            self._spawn(one)

    # Order and health

    def _may_start(self, service: Service) -> bool:
        return all(
            self._is_done(other)
            if condition == "service_completed_successfully"
            else self._are_healthy(other)
            for other, condition in service.depends_on.items()
        )

    def _of(self, service: str) -> list[Container]:
        return [one for one in self.containers.values() if one.service.name == service]

    def _is_done(self, service: str) -> bool:
        return all(one.exit_code == 0 for one in self._of(service))

    def _are_healthy(self, service: str) -> bool:
        return all(one.healthy for one in self._of(service))

    def _settled(self, one: Container) -> bool:
        return one.healthy if one.service.restarts else one.exit_code == 0

    def _look(
        self,
        one: Container,
        checks: dict[str, concurrent.futures.Future[bool]],
        pool: concurrent.futures.Executor,
    ) -> None:
        """Run the health check if it does not run already; take over what it said."""
        if (check := checks.get(one.name)) is None:
            checks[one.name] = pool.submit(self._is_healthy, one)
        elif check.done():
            one.healthy = check.result()
            del checks[one.name]

    def _is_healthy(self, one: Container) -> bool:
        """The file's health check, run once."""
        assert one.service.healthcheck is not None, f"{one.name} has no health check"
        environment = self._environment(one)
        command = standins.healthcheck(one.place, environment)
        try:
            done = subprocess.run(
                command,
                env=environment,
                cwd=one.place.workdir,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=_CHECK_S,
            )
        except subprocess.TimeoutExpired:
            return False
        (one.place.folder / "health.txt").write_bytes(done.stdout)
        one.healthy = done.returncode == 0
        return one.healthy

    def _check_failed(self, one: Container) -> None:
        if one.wanted and not one.service.restarts and one.exit_code not in (None, 0):
            raise RuntimeError(self._said(one))
        if len(one.starts) > 3:
            raise RuntimeError(f"{one.name} does not stay up\n{self._said(one)}")

    def _said(self, one: Container) -> str:
        health = one.place.folder / "health.txt"
        checked = health.read_text(errors="replace")[-1500:] if health.exists() else ""
        state = "not started" if not one.starts else f"exit code {one.exit_code}"
        return (
            f"{one.name}: {state}\n{self.logs(one.name)[-4000:]}\n"
            f"health check {standins.healthcheck(one.place, self._environment(one))}: {checked}"
        )

    # Ending

    def _processes(self, one: Container) -> list[psutil.Process]:
        return list({*_marked(lambda mark: mark == str(one.place.folder)), *one.family()})

    def _all_processes(self) -> list[psutil.Process]:
        families = [process for one in self.containers.values() for process in one.family()]
        return list({*_marked(lambda mark: mark.startswith(f"{self.folder}/")), *families})


def _state(one: Container) -> str:
    if one.exit_code is not None:
        return "done" if one.exit_code == 0 else f"exit code {one.exit_code}"
    if len(one.starts) != 1:
        return f"started {len(one.starts)} times"
    return "healthy" if one.healthy else "not healthy"


@contextlib.contextmanager
def process_stack(variables: Mapping[str, str], scale: Mapping[str, int]) -> Iterator[ProcessStack]:
    """A stack in a folder of its own, nothing of it started yet; all of it ended afterwards.

    With ``KEEP_STACK`` in the environment the folder is left for a look.
    """
    # Not pytest's: the user postgres has to be let in.
    folder = Path(tempfile.mkdtemp(prefix="moovier-stack-"))
    folder.chmod(0o711)
    stack = None
    try:
        stack = ProcessStack(folder, variables, scale)
        yield stack
    finally:
        if stack is not None:
            stack.end()
        if "KEEP_STACK" not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)


def _marked(belongs: Callable[[str], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and belongs(
                process.environ().get(MARKER, "")
            ):
                found.append(process)
    return found


def _end(processes: list[psutil.Process], *, hard: bool) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
    psutil.wait_procs(processes, timeout=3.0 if hard else 8.0)


def has_loopback_network() -> bool:
    """Whether all of 127.0.0.0/8 is this machine, as on Linux."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.77.1.2", 0))
        return True
    return False
