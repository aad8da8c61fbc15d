"""Check that the stack's ports are free, and name the process that holds a taken one."""

from __future__ import annotations

import socket
from contextlib import suppress

import psutil

from moovier.errors import StackError
from moovier.settings import PREFIX, Settings
from moovier.stack.services import LOOPBACK


def check_ports(settings: Settings) -> None:
    """Check that every port of the stack is free and used once.

    Raises:
        StackError: Two settings name the same port, or a port is taken. The message names each
            port, its holder if known, and the variable to set.
    """
    listeners = {
        "port": (settings.host, settings.port, "the service"),
        "mlflow_port": (LOOPBACK, settings.mlflow_port, "MLflow"),
        "airflow_port": (LOOPBACK, settings.airflow_port, "Airflow"),
    }
    problems = []
    users: dict[int, str] = {}
    for field, (host, port, title) in listeners.items():
        variable = PREFIX + field.upper()
        if port in users:
            problems.append(
                f"port {port} is set for both {users[port]} and {title}: set {variable} to a "
                "different port"
            )
        elif reason := _refusal(host, port):
            problems.append(f"port {port} for {title} {reason}: set {variable} to a free port")
        users.setdefault(port, title)
    if problems:
        raise StackError("; ".join(problems))


def _refusal(host: str, port: int) -> str | None:
    """Return why no process can listen at ``host:port``; None if one can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # A stopped server may leave connections in TIME_WAIT; its port is free all the same.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except PermissionError:
        return "needs rights that this user lacks"
    except OSError as error:
        holder = _holder(port)
        return f"is taken by {holder}" if holder else f"cannot be used on {host} ({error.strerror})"
    return None


def _holder(port: int) -> str | None:
    """Return the process that listens on ``port``; None if this user may not see it."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listening = connection.status == psutil.CONN_LISTEN
            same_port = getattr(connection.laddr, "port", None) == port
            if listening and same_port and connection.pid:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())[:60] or process.name()
                return f"process {connection.pid} ({command})"
    return None
