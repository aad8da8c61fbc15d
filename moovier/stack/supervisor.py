"""Start, query and stop supervisord, which supervises the processes of the stack."""

from __future__ import annotations

import hashlib
import http.client
import os
import shlex
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moovier.errors import StackError
from moovier.stack.services import ManagedProcess

#: The address of a Unix socket has at most 104 to 108 bytes, depending on the system.
_SOCKET_PATH_LIMIT = 100
_START_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class ProcessState:
    """The state of one supervised process.

    Attributes:
        name: Name of the process.
        state: supervisord's name of the state: STARTING, RUNNING, BACKOFF, FATAL, EXITED, STOPPED.
        pid: Process id; 0 if it does not run.
        note: supervisord's description or error.
    """

    name: str
    state: str
    pid: int
    note: str

    @property
    def failed(self) -> bool:
        """Whether the process has ended and supervisord no longer restarts it."""
        return self.state in ("FATAL", "EXITED", "UNKNOWN")


class Supervisor:
    """The supervisor of the stack in ``home``; it may run or not."""

    def __init__(self, home: Path) -> None:
        """Use the supervisor of ``home``, an absolute path."""
        self.home = home
        self.logs = home / "logs"
        self._socket = _socket_path(home)

    def log(self, name: str) -> Path:
        """Return the log file of the process ``name``."""
        return self.logs / f"{name}.log"

    def start(self, processes: Sequence[ManagedProcess], environment: Mapping[str, str]) -> None:
        """Start supervisord in its own session with ``environment``, and wait until it answers.

        Raises:
            StackError: supervisord did not start; the message ends with its log.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        config = self.home / "supervisord.ini"
        self._write_config(config, processes)
        output = self.logs / "supervisord.log"
        with output.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)],
                cwd=self.home,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.running():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise StackError(f"the supervisor did not start\n{tail(output)}")
            time.sleep(0.1)

    def running(self) -> bool:
        """Return whether supervisord answers."""
        try:
            state = self._call("getState")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False
        return bool(state["statename"] == "RUNNING")

    def states(self) -> dict[str, ProcessState]:
        """Return the state of every process by name.

        Raises:
            StackError: The supervisor does not answer.
        """
        return {
            info["name"]: ProcessState(
                info["name"],
                info["statename"],
                info["pid"],
                info["spawnerr"] or info["description"],
            )
            for info in self._checked("getAllProcessInfo")
        }

    def start_process(self, name: str) -> None:
        """Start the process ``name`` unless it runs; do not wait until it is ready.

        Raises:
            StackError: The supervisor does not answer.
        """
        if self.states()[name].state not in ("RUNNING", "STARTING", "BACKOFF"):
            self._checked("startProcess", name, False)

    def shut_down(self, timeout_s: float) -> bool:
        """Stop all processes in reverse order, then the supervisor.

        Returns False if the supervisor did not run, or did not end within ``timeout_s`` seconds.
        """
        try:
            self._call("shutdown")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self._socket.exists():
                return True
            time.sleep(0.2)
        return False

    def _checked(self, method: str, *arguments: object) -> Any:
        try:
            return self._call(method, *arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise StackError(
                f"the supervisor does not answer: {error}; run `moovier up` to start it"
            ) from error

    def _call(self, method: str, *arguments: object) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(serverurl=f"unix://{self._socket}")
        try:
            # ServerProxy needs an address, but the transport connects to the socket instead.
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def _write_config(self, path: Path, processes: Sequence[ManagedProcess]) -> None:
        config = RawConfigParser()
        config.optionxform = str  # type: ignore[assignment, method-assign]
        config["unix_http_server"] = {"file": _quoted(self._socket), "chmod": "0700"}
        config["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        config["supervisord"] = {
            "logfile": "/dev/null",  # start() redirects the output to a log file.
            "logfile_maxbytes": "0",
            "pidfile": _quoted(self.home / "supervisord.pid"),
            "nodaemon": "true",
        }
        for position, process in enumerate(processes):
            config[f"program:{process.name}"] = {
                "command": _quoted(shlex.join(process.command)),
                "directory": _quoted(process.directory),
                "priority": str(position),
                "autostart": str(process.autostart).lower(),
                "autorestart": "true",
                "startsecs": "3",
                "startretries": "3",
                "stopasgroup": "true",
                "killasgroup": "true",
                "stopwaitsecs": str(process.stop_wait_s),
                "redirect_stderr": "true",
                # Relative to the home, because supervisord expands a `%` in this value twice.
                "stdout_logfile": str(self.log(process.name).relative_to(self.home)),
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": "2",
            }
        with path.open("w") as file:
            config.write(file)


def tail(
    path: Path, lines: int = 15, readable: Callable[[str], str | None] = lambda line: line
) -> str:
    """Return the last ``lines`` lines of a log, and the log's path below them.

    ``readable`` renders each line; it returns None for a line to leave out.
    """
    try:
        rendered = [readable(line) for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        rendered = []
    last = [line for line in rendered if line is not None][-lines:]
    return "\n".join([*(f"  {line}" for line in last), f"full log: {path}"])


def _quoted(value: object) -> str:
    """Return ``value`` with ``%`` escaped, because supervisord expands ``%(name)s``."""
    return str(value).replace("%", "%%")


def _socket_path(home: Path) -> Path:
    """Return the socket in ``home``, or in the temporary folder if the path is too long."""
    path = home / "supervisor.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"moovier-{os.getuid()}-{digest}.sock"
