"""supervisord: its configuration, its start in a session of its own, the parts' states, its end."""

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

#: A Unix socket's address holds 104 to 108 bytes, depending on the system.
_SOCKET_PATH_LIMIT = 100
_START_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class PartState:
    """``state`` as supervisord names it: STARTING, RUNNING, BACKOFF, FATAL, EXITED, STOPPED."""

    name: str
    state: str
    pid: int
    note: str

    @property
    def failed(self) -> bool:
        return self.state in ("FATAL", "EXITED", "UNKNOWN")


class Supervisor:
    """The supervisor of the stack in ``home`` (absolute); it may or may not run at the moment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logs = home / "logs"
        self._socket = _socket_path(home)

    def log(self, part: str) -> Path:
        """The file that the output of ``part`` goes to."""
        return self.logs / f"{part}.log"

    def start(self, parts: Sequence[ManagedProcess], environment: Mapping[str, str]) -> None:
        """Start supervisord in its own session with ``environment``, and wait until it answers.

        Raises:
            StackError: it did not start; the message holds what it said.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        config = self.home / "supervisord.ini"
        self._write_config(config, parts)
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
        try:
            state = self._call("getState")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False
        return bool(state["statename"] == "RUNNING")

    def states(self) -> dict[str, PartState]:
        """State of every part, by name.

        Raises:
            StackError: the supervisor does not answer.
        """
        return {
            info["name"]: PartState(
                info["name"],
                info["statename"],
                info["pid"],
                info["spawnerr"] or info["description"],
            )
            for info in self._checked("getAllProcessInfo")
        }

    def start_part(self, name: str) -> None:
        """Start ``name`` unless it runs; does not wait for it to be ready.

        Raises:
            StackError: the supervisor does not answer, or does not know the part.
        """
        if self.states()[name].state not in ("RUNNING", "STARTING", "BACKOFF"):
            self._checked("startProcess", name, False)

    def shut_down(self, timeout_s: float) -> bool:
        """Stop all parts in reverse order, then the supervisor; False when it has not ended by
        ``timeout_s``, or was not there."""
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
            raise StackError(f"the supervisor does not answer: {error}") from error

    def _call(self, method: str, *arguments: object) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(serverurl=f"unix://{self._socket}")
        try:
            # The address is never used: the transport speaks to the socket.
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def _write_config(self, path: Path, parts: Sequence[ManagedProcess]) -> None:
        config = RawConfigParser()
        config.optionxform = str  # type: ignore[assignment, method-assign]
        config["unix_http_server"] = {"file": _quoted(self._socket), "chmod": "0700"}
        config["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        config["supervisord"] = {
            "logfile": "/dev/null",  # its own log is its output, which start() keeps
            "logfile_maxbytes": "0",
            "pidfile": _quoted(self.home / "supervisord.pid"),
            "nodaemon": "true",
        }
        for position, part in enumerate(parts):
            config[f"program:{part.name}"] = {
                "command": _quoted(shlex.join(part.command)),
                "directory": _quoted(part.directory),
                "priority": str(position),
                "autostart": str(part.autostart).lower(),
                "autorestart": "true",
                "startsecs": "3",
                "startretries": "3",
                "stopasgroup": "true",
                "killasgroup": "true",
                "stopwaitsecs": str(part.stop_wait_s),
                "redirect_stderr": "true",
                # Relative to the home: supervisord would expand a `%` in it twice.
                "stdout_logfile": str(self.log(part.name).relative_to(self.home)),
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": "2",
            }
        with path.open("w") as file:
            config.write(file)


def tail(
    path: Path, lines: int = 15, readable: Callable[[str], str | None] = lambda line: line
) -> str:
    """The last ``lines`` lines of a log, each as ``readable`` renders it (None leaves it out),
    with the log's path below them."""
    try:
        rendered = [readable(line) for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        rendered = []
    last = [line for line in rendered if line is not None][-lines:]
    return "\n".join([*(f"  {line}" for line in last), f"the whole log: {path}"])


def _quoted(value: object) -> str:
    """supervisord expands ``%(name)s`` in values."""
    return str(value).replace("%", "%%")


def _socket_path(home: Path) -> Path:
    path = home / "supervisor.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"moovier-{os.getuid()}-{digest}.sock"
